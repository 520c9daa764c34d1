"""make's command line: every word reaches its command as typed, or is refused."""

import os
import re
import subprocess
import sys

import pytest

from common.paths import ROOT
from tests.conftest import assert_refused
from tests.runtimes.arm import program

MAKEFILE = (ROOT / "Makefile").read_text()
# The Python file of each target that is a command.
COMMANDS = dict(re.findall(r"^([a-z-]+):.*\n\t\$\(call run,(\S+?)\)", MAKEFILE, re.M))


@pytest.fixture
def make(tmp_path):
    """Run make as a user does, with folders of the test's own."""

    def run(*words: str, **environment: object) -> subprocess.CompletedProcess:
        own = {"BUILD_DIR": tmp_path / "build", "WEIGHTS_DIR": tmp_path / "weights"}
        settings = os.environ | {k: str(v) for k, v in (own | environment).items()}
        for name in ("MAKEFLAGS", "MAKELEVEL"):  # of the make that runs the tests
            settings.pop(name, None)
        return subprocess.run(
            ["make", "--no-print-directory", f"PYTHON={sys.executable}", *words],
            capture_output=True,
            text=True,
            cwd=ROOT,
            env=settings,
            timeout=120,
        )

    return run


def error(done: subprocess.CompletedProcess) -> str:
    """The one line that says what is wrong."""
    assert done.returncode == 2, done.stderr
    ours, theirs = done.stderr.splitlines()
    assert theirs.startswith("make: ***")
    return ours.removeprefix("error: ")


def test_words_reach_the_command(make):
    done = make("reference", "MODEL=VGG16 AlexNet", "JSON=1")
    assert done.returncode == 0, done.stderr
    assert set(re.findall(r'"model": "(\w+)"', done.stdout)) == {"VGG16", "AlexNet"}


@pytest.mark.parametrize("name", ["my results", "o'neil", 'a"b', "$x$(y", "#1", "back\\slash", "ä"])
def test_paths_arrive_as_they_were_typed(make, tmp_path, name):
    absent = tmp_path / name / "r.json"
    assert str(absent) in error(make("validate", f"IMPORT={absent}"))


def test_home_folders_are_expanded(make, tmp_path):
    said = error(make("validate", "IMPORT=~/r.json", HOME=tmp_path))
    assert str(tmp_path / "r.json") in said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["evaluate", "DATASET=/x"], "make evaluate takes no DATASET=, did you mean DATA?"),
        (["validate", "MODLE=VGG16"], "make validate takes no MODLE=, did you mean MODEL"),
        (["doctor", "MODEL=VGG16"], "make doctor takes no MODEL=, known: HELP"),
        (["serve", "MODEL=VGG16", "EXPORT=x"], "EXPORT needs FORMAT (triton, ovms, kserve)"),
        (
            ["calibrate", "MODEL=VGG16", "TARGET=onnx", "RAY=auto"],
            "RAY is for a search: give WITHIN_BUDGET=1, too",
        ),
        (
            ["report", "OUT=/proc/report.html"],
            "/proc/report.html: no file can be made there (No such",
        ),
        (
            ["gpu-check", "OUT=/dev/null/x"],
            "/dev/null/x: no file can be made there (Not a directory)",
        ),
        (["audit", "SERVICE=osv"], "SERVICE: 'osv' is no address: write https://host"),
        (["adapt", "WEIGHTS=official"], "make adapt takes no WEIGHTS=, write INIT="),
        (["evaluate", "SKIP_BAD=maybe"], "SKIP_BAD=maybe: 1 turns it on"),
        (["validate"], "the following arguments are required: TARGET (see make validate HELP=1)"),
        (["train", "MODEL=VGG16", "DATA=x", "EPOCHS=0"], "EPOCHS: '0' is not a whole number"),
    ],
)
def test_mistakes_are_one_line(make, words, said):
    assert error(make(*words)).startswith(said)


def test_words_for_the_environment(make, tmp_path):
    done = make("doctor", "BUILD_DIR=~/b $x", HOME=tmp_path)
    assert f"{tmp_path}/b $x" in done.stdout


def test_words_of_the_users_environment_are_not_makes(make):
    assert "NonSense" not in make("reference", MODEL="NonSense").stderr


@pytest.mark.parametrize("target", COMMANDS)
def test_a_word_that_a_command_has_not_is_refused_by_each(command, target):
    done = command(COMMANDS[target], "--make", target, target, MAKEFLAGS=" -- NOSUCHWORD=1")
    assert_refused(done, f"make {target} takes no NOSUCHWORD=")


@pytest.mark.parametrize(
    ("target", "words", "said", "then"),
    [
        ("validate", ["TARGET=onnx"], "no model has weights here", "MODEL=…"),
        ("benchmark", ["TARGET=onnx"], "no model has weights here", "WEIGHTS=…"),
    ],
)
def test_the_last_line_says_what_a_status_means(make, tmp_path, target, words, said, then):
    # No model has weights in an empty folder, nor the demo's in a cache of its own.
    done = make(target, *words, XDG_CACHE_HOME=tmp_path / "cache")
    assert done.returncode == 2
    last = done.stderr.splitlines()[-1]
    assert "*** status 3: this is no error: " in last
    assert said in last
    assert then in last.partition("; next: ")[2]
    assert "Error 3" not in done.stderr


def test_a_command_that_ends_without_a_word_fails_by_its_status(make):
    done = make("validate", "TARGET=onnx", PYTHONPATH="/proc/nope", PYTHONHOME="/proc/nope")
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("make: ***")


SLOW = """#!{python}
import sys, time
sys.path[:0] = ["{root}"]
from common.cli import run
def main():
    print("begun", file=sys.stderr, flush=True)
    time.sleep(300)
run(main)
"""


def test_a_signal_to_make_ends_the_command(tmp_path):
    program(tmp_path / "python", SLOW.format(python=sys.executable, root=ROOT))
    words = ["make", "doctor", f"PYTHON={tmp_path / 'python'}"]
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True, cwd=ROOT) as make:
        assert make.stderr.readline() == "begun\n"
        make.terminate()
        _, said = make.communicate(timeout=60)  # the command holds on to it, too
    assert "ended by SIGTERM; what was finished is kept" in said


def test_every_command_has_the_rule_that_says_what_its_status_means():
    assert set(re.findall(r"^([a-z-]+)::", MAKEFILE, re.M)) == set(COMMANDS)


def test_what_takes_no_words_says_so(make):
    assert "make clean takes no words" in make("clean", "BUILD_DIR=/x").stderr


def listed(text: str) -> set[str]:
    """The words in a line of the Makefile's list, with those of the groups that it names."""
    groups = dict(re.findall(r"^#   (<\w+>) = (.*)$", MAKEFILE, re.M))
    for name, words in groups.items():
        text = text.replace(name, words)
    return {word.replace("MODELS", "MODEL") for word in re.findall(r"\b([A-Z_]+)=", text)}


@pytest.mark.parametrize("target", COMMANDS)
def test_the_list_has_every_word_of_a_command(target):
    done = subprocess.run(
        [sys.executable, ROOT / COMMANDS[target], "--help"],
        capture_output=True,
        text=True,
        check=True,
    )
    options = re.findall(r"^  (?:-h, )?--([a-z-]+)", done.stdout, re.M)
    words = {option.replace("-", "_").upper() for option in options} - {"HELP"}
    line = re.search(rf"^{target}:.*?## (.*)", MAKEFILE, re.M)[1]
    aliases = {"TARGETS": "TARGET", "PADDLE_LITE_ANDROID": "PADDLE_LITE"}
    aliases["ONNXRUNTIME_ANDROID"] = "ONNXRUNTIME"
    assert {aliases.get(word, word) for word in listed(line)} == words
