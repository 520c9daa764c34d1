"""`make setup` and `make doctor` on machines that lack something."""

import re
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from common.errors import UserError
from runtimes import environments, install
from runtimes.environments import LITE, MAIN, SERVE, Environment, find_interpreter, python_version

HERE = f"{sys.version_info.major}.{sys.version_info.minor}"


def environment(**changes) -> Environment:
    facts = {
        "name": "toy",
        "folder": ".venv-toy",
        "pythons": (HERE,),
        "lock": "toy.txt",
        "tools": {"toy": "testing"},
        "required": False,
    }
    return Environment(**facts | changes)


@pytest.fixture
def project(tmp_path, monkeypatch) -> Path:
    """A project folder with a lock file that asks for nothing, so that no registry is needed."""
    (tmp_path / "requirements").mkdir()
    (tmp_path / "requirements" / "toy.txt").write_text("# nothing\n")
    monkeypatch.setattr(environments, "ROOT", tmp_path)
    for name in ("PIP_NO_INDEX", "UV_NO_INDEX"):
        monkeypatch.setenv(name, "1")
    return tmp_path


@pytest.fixture
def without_uv(monkeypatch):
    """A machine that has pip only, which takes some seconds more for each environment."""
    which = install.shutil.which
    monkeypatch.setattr(install.shutil, "which", lambda name: None if name == "uv" else which(name))


def test_an_environment_is_made_once(project, without_uv, capsys):
    assert install.install(environment())
    assert python_version(project / ".venv-toy" / "bin" / "python") == HERE
    assert "CPython" in capsys.readouterr().err
    assert install.install(environment())
    assert capsys.readouterr().err == ""

    (project / "requirements" / "toy.txt").write_text("# another nothing\n")
    assert install.install(environment())
    assert "installing" in capsys.readouterr().err


def test_it_is_made_again_where_the_lock_without_dependencies_changed(project, capsys):
    lock = project / "requirements" / "toy-no-deps.txt"
    lock.write_text("# nothing\n")
    toy = environment(no_deps_lock=lock.name)
    assert install.install(toy)
    capsys.readouterr()
    assert install.install(toy)
    assert capsys.readouterr().err == ""

    lock.write_text("no-such-package-at-all==1.0\n")
    with pytest.raises(UserError, match=r"toy-no-deps\.txt has a line .* sha256"):
        install.install(toy)
    lock.write_text("# another nothing\n")
    assert install.install(toy)
    assert "installing" in capsys.readouterr().err


def test_an_interrupted_set_up_is_begun_again(project):
    venv.create(project / ".venv-toy")  # made, but never finished: no stamp
    leftover = project / ".venv-toy" / "leftover"
    leftover.touch()
    assert install.install(environment())
    assert not leftover.exists()


def test_one_that_fails_leaves_the_one_of_before(project):
    assert install.install(environment())
    mark = project / ".venv-toy" / "mark"
    mark.touch()
    line = f"no-such-package-at-all==1.0 --hash=sha256:{'0' * 64}\n"
    (project / "requirements" / "toy.txt").write_text(line)
    with pytest.raises(UserError, match="no-such-package"):
        install.install(environment())
    assert mark.exists() and python_version(project / ".venv-toy" / "bin" / "python") == HERE
    assert [path.name for path in project.glob(".venv*")] == [".venv-toy"]


def test_one_that_was_killed_leaves_the_one_of_before_to_the_next(project):
    assert install.install(environment())
    toy = project / ".venv-toy"
    toy.rename(project / ".venv-toy.before")  # as it lies when SIGKILL comes
    venv.create(toy)
    assert install.install(environment())  # of the same lock files: there is nothing to make
    assert (toy / ".made-from").exists()
    assert [path.name for path in project.glob(".venv*")] == [".venv-toy"]


def test_an_optional_environment_without_interpreter_is_left_out_with_advice(project, capsys):
    assert not install.install(environment(pythons=("2.4",)))
    said = capsys.readouterr().err
    assert "no CPython 2.4 found" in said
    assert "PORTAGE_PYTHON_TOY=/path/to/python make setup" in said
    assert not (project / ".venv-toy").exists()


def test_one_whose_hardware_is_absent_is_left_out_without_a_word(project, capsys):
    toy = environment(absent=lambda: "there is no such hardware here")
    assert not install.install(toy)
    assert capsys.readouterr().err == ""
    assert not (project / ".venv-toy").exists()
    assert toy.problem() == "there is no such hardware here"


def test_a_required_one_is_an_error(project):
    with pytest.raises(UserError, match=r"no CPython 2\.4 found"):
        install.install(environment(pythons=("2.4",), required=True))


def test_one_with_a_command_of_its_own_is_an_error_that_names_the_command(project):
    with pytest.raises(UserError, match="PORTAGE_PYTHON_TOY=/path/to/python make toys"):
        install.install(environment(pythons=("2.4",), setup="make toys"))


def locked_versions(environment: Environment) -> dict[str, str]:
    paths = (environment.lock_path, environment.no_deps_lock_path)
    text = "".join(path.read_text() for path in paths)
    return dict(re.findall(r"^([a-z][\w.-]*)==([^ ;]+)", text, re.M))


def test_what_computes_behind_a_server_has_the_version_that_judges():
    """Served crops and logits are those of the toolkit because it is the same software."""
    served, own = locked_versions(SERVE), locked_versions(MAIN)
    for package in ("onnxruntime", "openvino", "opencv-python-headless", "pillow"):
        assert served[package] == own[package]
    assert served["numpy"].startswith("1.")


def test_what_the_installer_says_reaches_the_user(project, without_uv):
    line = f"no-such-package-at-all==1.0 --hash=sha256:{'0' * 64}\n"
    (project / "requirements" / "toy.txt").write_text(line)
    with pytest.raises(UserError, match="No matching distribution found for no-such-package"):
        install.install(environment())
    assert not (project / ".venv-toy").exists()


def test_the_variable_names_an_interpreter(monkeypatch):
    monkeypatch.setenv("PORTAGE_PYTHON_TOY", sys.executable)
    assert find_interpreter(environment()) == Path(sys.executable)
    assert find_interpreter(environment(pythons=("2.4",))) is None


def test_versions_are_read_without_importing():
    assert MAIN.version("paddlepaddle") == "3.1.1"
    assert MAIN.version("no-such-package") is None
    if LITE.problem() is None:
        assert LITE.version("numpy").startswith("1.")


def test_set_up_needs_no_package(tmp_path):
    """`make setup` runs on a bare interpreter: nothing but the standard library is imported."""
    bare = tmp_path / "bare"
    venv.create(bare, symlinks=True)
    done = subprocess.run(
        [bare / "bin" / "python", "-I", environments.ROOT / "runtimes" / "install.py", "--help"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_doctor_tells_what_is_here_and_what_is_missing(command, tmp_path):
    # A cache of its own: the demo's weights may lie in that of the other tests.
    done = command("deploy/doctor.py", PATH="", XDG_CACHE_HOME=tmp_path / "cache")
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines() if line.strip()]
    tools = {words[0]: words for words in lines}
    assert tools["paddlepaddle"][1] == "3.1.1"
    assert tools["paddlepaddle"][-2:] == ["ok", "(.venv)"]
    assert all("missing:" in tools[name] for name in ("adb", "javac", "mvn", "npm"))
    runs = {
        tuple(words[:2]): word
        for words in lines
        for word in words[:6]
        if word in ("native", "simulated", "none")
    }
    assert done.stdout.splitlines()[-1] == (
        "Next: make demo (all that is required is here, but no weights yet)"
    )
    assert runs["onnx", "int8"] == "native"
    assert runs["onnx", "fp16"] == "simulated"
    assert runs["lite-arm", "fp32"] == "none"
    assert runs["lite-arm", "int8"] == ("none" if LITE.problem() else "simulated")
