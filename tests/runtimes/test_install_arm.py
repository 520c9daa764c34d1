"""`make setup-arm`: a root that is whole or absent, and a sentence where it cannot be made."""

import os

import pytest

from common import files
from common.errors import UserError
from runtimes import install_arm, wheels
from runtimes.hosts import arm
from runtimes.hosts.arm import Root
from tests.conftest import assert_refused
from tests.runtimes.arm import fake_qemu, fake_system, program

# "Fetches" a package whose content is in $CONTENT, and unpacks it as an interpreter.
APT = """#!/bin/sh
if [ "$2" = download ]; then /bin/echo "$CONTENT" > python_1_arm64.deb; fi
"""
DPKG = """#!/bin/sh
/bin/mkdir -p "$3/usr/bin" && /bin/cp "$2" "$3/usr/bin/python3.11"
"""


@pytest.fixture
def root(tmp_path, monkeypatch) -> Root:
    """Where a root is to be made, with a stand-in for QEMU and no wheels to fetch."""
    lock = tmp_path / "arm.txt"
    lock.write_text("# nothing\n")
    monkeypatch.setattr(wheels, "LOCK", lock)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    fake_qemu(tmp_path / "bin")
    return Root(tmp_path / ".arm" / "root")


@pytest.fixture
def own_system(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("PORTAGE_ARM_ROOT", str(fake_system(tmp_path / "system")))


def left(root: Root) -> list[str]:
    return [entry.name for entry in root.folder.parent.iterdir() if entry.name != ".lock"]


def test_it_is_made_once(root, own_system, capsys):
    assert install_arm.install(root)
    assert " MB, " in capsys.readouterr().err
    for cpu in arm.CPUS.values():
        assert (root.of(cpu.name) / "usr" / "bin" / "python3.11").exists()
        cpuinfo = (root.of(cpu.name) / "proc" / "cpuinfo").read_text()
        assert f"CPU part\t: {cpu.part}\n" in cpuinfo
        assert cpuinfo.count("processor") == len(os.sched_getaffinity(0))
    assert not install_arm.install(root)
    assert capsys.readouterr().err == ""
    assert left(root) == ["root"]


@pytest.mark.parametrize("damage", ["lost", "cut", "no note", "half-made"])
def test_a_damaged_one_is_made_anew(root, own_system, damage):
    install_arm.install(root)
    victim = root.of("cortex-a72") / "proc" / "cpuinfo"
    whole = victim.read_text()
    if damage == "lost":
        victim.unlink()
    elif damage == "cut":
        victim.write_text(whole[:10])
    elif damage == "no note":
        root.stamp.unlink()
    else:  # by a run that was killed
        root.folder.rename(root.folder.with_name(".root.killed"))
    assert install_arm.install(root)
    assert victim.read_text() == whole
    assert left(root) == ["root"]


def test_bytecode_that_python_adds_is_no_damage(root, own_system):
    install_arm.install(root)
    (root.packages / "__pycache__").mkdir()
    (root.packages / "__pycache__" / "a.pyc").write_bytes(b"x")
    assert not install_arm.install(root)


def test_another_lock_file_makes_another(root, own_system):
    install_arm.install(root)
    wheels.LOCK.write_text("# another nothing\n")
    assert install_arm.install(root)


def test_a_system_of_ones_own_is_named_once(root, own_system, monkeypatch, tmp_path):
    install_arm.install(root)
    monkeypatch.delenv("PORTAGE_ARM_ROOT")
    assert not install_arm.install(root)
    monkeypatch.setenv("PORTAGE_ARM_ROOT", str(fake_system(tmp_path / "another")))
    assert install_arm.install(root)


def test_debian_packages_are_known_by_what_came_first(root, tmp_path, monkeypatch):
    program(tmp_path / "bin" / "apt-get", APT)
    program(tmp_path / "bin" / "dpkg-deb", DPKG)
    monkeypatch.setenv("CONTENT", "as it was")
    install_arm.install(root)
    assert files.read_json(root.stamp)["debian"].keys() == {"python_1_arm64.deb"}
    assert sorted(entry.name for entry in root.folder.iterdir()) == [
        *("cpus", "lib", "made-from.json", "system")
    ]
    root.stamp.unlink()
    monkeypatch.setenv("CONTENT", "swapped")
    with pytest.raises(UserError, match=r"python_1_arm64\.deb is another file than it was before"):
        install_arm.install(root)


def test_without_qemu_nothing_is_begun(root, tmp_path):
    (tmp_path / "bin" / arm.QEMU).unlink()
    with pytest.raises(UserError, match="apt-get install qemu-user-static"):
        install_arm.install(root)
    assert not root.folder.parent.exists()


def test_a_machine_without_apt_is_told_what_else_will_do(root):
    with pytest.raises(UserError, match=r"apt-get is not there; .*PORTAGE_ARM_ROOT=/path"):
        install_arm.install(root)
    assert left(root) == []


def test_what_apt_says_reaches_the_user(root, tmp_path):
    program(tmp_path / "bin" / "apt-get", "#!/bin/sh\necho 'E: no such package' >&2\nexit 100\n")
    with pytest.raises(UserError, match="E: no such package; check the network and apt's sources"):
        install_arm.install(root)
    assert left(root) == []


def test_an_emulator_that_dies_leaves_nothing(root, own_system, tmp_path):
    program(tmp_path / "bin" / arm.QEMU, "#!/bin/sh\n[ $1 = --version ] || kill -SEGV $$\n")
    with pytest.raises(UserError, match="as cortex-a76: it was ended by SIGSEGV"):
        install_arm.install(root)
    assert left(root) == []


def test_a_root_without_the_interpreter_is_refused(root, tmp_path, monkeypatch):
    monkeypatch.setenv("PORTAGE_ARM_ROOT", str(tmp_path))
    with pytest.raises(UserError, match=r"has no usr/bin/python3\.11"):
        install_arm.install(root)
    assert left(root) == []


def test_the_command_says_it_in_a_line(command):
    done = command("runtimes/install_arm.py", PORTAGE_QEMU="/no/such/qemu")
    assert_refused(done, "PORTAGE_QEMU=/no/such/qemu is no program")
