"""`make setup-arm`: a root that is whole or absent, and a sentence where it cannot be made."""

import os
import re

import pytest

from common import files
from common.errors import UserError
from runtimes import debian, install_arm, wheels
from runtimes.hosts import arm
from runtimes.hosts.arm import Root
from tests.conftest import assert_refused
from tests.runtimes.arm import fake_qemu, fake_system, program

# "Fetches" a package whose content is in $CONTENT, in the version that the archive has: $VERSION.
APT = """#!/bin/sh
[ "$2" = download ] || exit 0
case "$3" in (python | "python=$VERSION") ;; (*) echo "E: not found: $3" >&2; exit 100 ;; esac
/bin/echo "$CONTENT" > "python_1%3a${VERSION#1:}_arm64.deb"
"""
CACHE = """#!/bin/sh
/bin/echo "    python | $VERSION | somewhere arm64 Packages"
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


@pytest.fixture
def archive(tmp_path, monkeypatch) -> None:
    """Debian's archive, as it was when it was locked."""
    program(tmp_path / "bin" / "apt-get", APT)
    program(tmp_path / "bin" / "apt-cache", CACHE)
    program(tmp_path / "bin" / "dpkg-deb", DPKG)
    monkeypatch.setenv("CONTENT", "as it was")
    monkeypatch.setenv("VERSION", "1:3.11-2")
    (tmp_path / "as it was").write_text("as it was\n")
    lock = tmp_path / "arm-debian.txt"
    lock.write_text(f"# toy\npython=1:3.11-2 sha256:{files.sha256(tmp_path / 'as it was')}\n")
    monkeypatch.setattr(debian, "LOCK", lock)


def test_debian_packages_are_those_that_are_locked(root, archive, capsys):
    install_arm.install(root)
    assert files.read_json(root.stamp)["debian"].keys() == {"python_1%3a3.11-2_arm64.deb"}
    assert sorted(entry.name for entry in root.folder.iterdir()) == [
        *("cpus", "lib", "made-from.json", "system")
    ]
    assert "python" not in capsys.readouterr().err


def test_another_lock_of_debian_packages_makes_another_root(root, archive):
    install_arm.install(root)
    assert not install_arm.install(root)
    debian.LOCK.write_text("# made later\n" + debian.LOCK.read_text())
    assert install_arm.install(root)


def test_another_file_of_a_locked_version_is_refused(root, archive, monkeypatch):
    monkeypatch.setenv("CONTENT", "swapped")
    with pytest.raises(
        UserError, match=r"python_1%3a3\.11-2_arm64\.deb is not the file of .*\.txt"
    ):
        install_arm.install(root)
    assert left(root) == []


@pytest.mark.parametrize("line", ["python=1:3.11-2", "python=1:3.11-2 sha256:", "python sha256:0"])
def test_a_lock_without_a_hash_installs_nothing(root, archive, line):
    debian.LOCK.write_text(f"# toy\n{line}\n")
    with pytest.raises(UserError, match=r"arm-debian\.txt has a line that is no version with its"):
        install_arm.install(root)
    assert left(root) == []


def test_a_version_that_the_archive_dropped_is_replaced_with_a_word(
    root, archive, monkeypatch, capsys
):
    monkeypatch.setenv("VERSION", "1:3.11-3")
    monkeypatch.setenv("CONTENT", "mended")
    install_arm.install(root)
    [digest] = files.read_json(root.stamp)["debian"].values()
    [line] = [line for line in capsys.readouterr().err.splitlines() if "python" in line]
    assert line == (
        "  .arm: python 1:3.11-3: apt's sources no longer have 1:3.11-2 of arm-debian.txt; "
        f"trusted by the archive's signature, sha256 {digest}"
    )


def test_the_lock_has_all_that_is_wanted():
    wanted = debian.LOCK.with_suffix(".in").read_text().splitlines()
    locked = debian.read_lock()
    assert [one.name for one in locked] == [line for line in wanted if not line.startswith("#")]
    assert all(re.fullmatch("[0-9a-f]{64}", one.sha256) for one in locked)


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
