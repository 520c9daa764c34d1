"""How commands begin: in the project's environment, from any folder, in any place."""

import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from common.paths import ROOT
from tests.conftest import assert_refused

EVALUATE = ("deploy/evaluate.py", "--model", "SqueezeNet1_1", "--weights", "random")
EXPORT = ("convert/export.py", "--model", "SqueezeNet1_1", "--weights", "random")


def test_any_python_will_do(tmp_path):
    done = subprocess.run(
        [sys._base_executable, ROOT / "deploy" / "published.py", "--model", "VGG16", "--json"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert '"VGG16"' in done.stdout


def test_without_an_environment_the_way_to_one_is_told(tmp_path):
    for name in ("common/start.py", "deploy/published.py"):
        (tmp_path / name).parent.mkdir()
        shutil.copy(ROOT / name, tmp_path / name)
    done = subprocess.run(
        [sys.executable, "deploy/published.py"], capture_output=True, text=True, cwd=tmp_path
    )
    assert_refused(done, "not set up yet", "make setup")


@pytest.mark.parametrize(
    ("error", "status", "words"),
    [("1 / 0", 70, "a bug in the toolkit"), ("raise KeyboardInterrupt", 130, "interrupted")],
)
def test_what_happens_before_the_command_begins_is_one_line_too(
    command, tmp_path, error, status, words
):
    (tmp_path / "numpy.py").write_text(error)
    done = command("deploy/evaluate.py", "--help", PYTHONPATH=tmp_path)
    assert done.returncode == status
    assert done.stderr.count("\n") == 1
    assert words in done.stderr


@pytest.mark.parametrize(
    ("words", "environment", "said"),
    [
        (EVALUATE, {"HOME": "/dev/null", "XDG_CACHE_HOME": ""}, "XDG_CACHE_HOME="),
        (EVALUATE, {"HOME": "/sys", "XDG_CACHE_HOME": ""}, "XDG_CACHE_HOME="),
        (EVALUATE, {"XDG_CACHE_HOME": __file__}, "XDG_CACHE_HOME="),
        (EXPORT, {"BUILD_DIR": "/proc/nope"}, "BUILD_DIR="),
        (EXPORT, {"BUILD_DIR": __file__}, "BUILD_DIR="),
    ],
)
def test_a_place_that_cannot_be_is_one_line(command, words, environment, said):
    assert_refused(command(*words, **environment), said)


def test_paths_start_from_the_users_folder(command, tmp_path):
    mine = tmp_path / "weights" / "mine.pdparams"
    mine.parent.mkdir()
    mine.write_bytes(b"nothing")
    done = command(*EXPORT[:3], "--weights", "weights/mine.pdparams")
    assert_refused(done, str(mine))
    assert_refused(command(*EVALUATE, "--data=~/photos", HOME=tmp_path), f"{tmp_path}/photos")


def test_a_build_folder_of_the_users_and_a_home_that_is_none(command, tmp_path):
    done = command(*EXPORT, BUILD_DIR="out", HOME="/dev/null")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out/SqueezeNet1_1/inference/fp32/inference.pdmodel").is_file()


def test_a_home_that_is_read_only_is_not_written_to(small_disk, tmp_path):
    words = shlex.join([sys.executable, str(ROOT / EXPORT[0]), *EXPORT[1:]])
    done = small_disk.run(
        "1m",
        f"mount -o remount,ro {small_disk.path}; touch {small_disk.path}/x && exit 78\n"
        f"HOME={small_disk.path} BUILD_DIR={tmp_path}/build {words}",
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "build/SqueezeNet1_1/inference/fp32/inference.pdmodel").is_file()


@pytest.fixture
def latin(tmp_path) -> dict[str, Path | str]:
    """The settings of a user whose language is written in ISO-8859-1."""
    folder = tmp_path / "locales" / "en_US.ISO-8859-1"
    folder.parent.mkdir()
    made = shutil.which("localedef") and subprocess.run(
        ["localedef", "-i", "en_US", "-f", "ISO-8859-1", folder], capture_output=True, check=False
    )
    if not made or not folder.is_dir():
        pytest.skip("no such locale can be made here")
    return {"LOCPATH": folder.parent, "LC_ALL": folder.name}


def test_files_are_utf8_whatever_the_terminal_is(command, tmp_path, latin):
    (tmp_path / "写真").mkdir()
    done = command(*EVALUATE, "--data", "写真", **latin)
    assert_refused(done, "写真: no photos in it")
