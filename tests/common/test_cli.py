"""What commands take, and how they end: in one line, whatever happened."""

import errno
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from common import cli, paths
from common.errors import StepError, UserError, suggest
from common.paths import ROOT


def ended(capsys, main) -> tuple[int, str]:
    with pytest.raises(SystemExit) as caught:
        cli.run(main)
    return caught.value.code, capsys.readouterr().err


def raising(error: BaseException):
    def main():
        raise error

    return main


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (UserError("no such\nmodel"), 2, "error: no such model\n"),
        (StepError("it differs"), 1, "error: it differs\n"),
        (MemoryError(), 2, "error: not enough memory"),
        (ModuleNotFoundError("", name="cv2"), 2, "error: the environment lacks cv2; remove .venv"),
        (KeyboardInterrupt(), 130, "error: interrupted; what was finished is kept"),
        (KeyboardInterrupt("In the code:\nhere"), 130, "error: interrupted; what was finished is"),
        (KeyboardInterrupt("ended by SIGTERM"), 130, "error: ended by SIGTERM\n"),
        (OSError(errno.ENOSPC, "", "/build/x"), 2, "error: /build/x: no space left on the disk"),
        (OSError(errno.EDQUOT, "", "/build/x"), 2, "error: /build/x: the disk quota is used up"),
        (OSError(errno.EFBIG, "", "/build/x"), 2, "error: /build/x: larger than a file may be"),
        (OSError(errno.EIO, "", "/build/x"), 2, "error: /build/x: the disk failed"),
        (OSError(errno.EROFS, "", "/build"), 2, "error: /build: that place is read-only"),
    ],
)
def test_errors_become_one_line_and_a_status(capsys, error, status, line):
    code, printed = ended(capsys, raising(error))
    assert code == status
    assert printed.startswith(line)
    assert printed.count("\n") == 1


@pytest.mark.parametrize(
    "bug",
    [
        ZeroDivisionError("by zero"),
        FileNotFoundError(errno.ENOENT, "gone", "x"),
        ModuleNotFoundError("no such module", name="common.nothing"),
    ],
)
def test_a_bug_is_one_line_that_says_where_its_traceback_is(capsys, bug):
    code, printed = ended(capsys, raising(bug))
    assert code == 70
    assert printed.count("\n") == 1
    assert printed.startswith(f"error: a bug in the toolkit ({type(bug).__name__}: {bug})")
    kept = Path(printed.rpartition(" ")[2].strip())
    assert kept.is_relative_to(paths.cache_root())
    assert "Traceback" in kept.read_text()
    assert "in raising" in kept.read_text() or "in main" in kept.read_text()


def test_a_bug_is_told_where_no_cache_can_be(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    code, printed = ended(capsys, raising(ZeroDivisionError()))
    assert code == 70
    assert printed.count("\n") == 1
    assert list(tmp_path.glob("paddle-portage/crashes/*.txt"))


@pytest.mark.parametrize(
    ("variable", "value"),
    [("BUILD_DIR", "/proc/nope"), ("BUILD_DIR", __file__), ("XDG_CACHE_HOME", __file__)],
)
def test_a_place_that_cannot_be_is_named_with_its_variable(capsys, monkeypatch, variable, value):
    monkeypatch.setenv(variable, value)

    def main():
        root = paths.build_root() if variable == "BUILD_DIR" else paths.cache_root()
        (root / "some" / "folder").mkdir(parents=True)

    code, printed = ended(capsys, main)
    assert code == 2
    assert printed.startswith("error: ")
    assert f"{variable}=/path/to/a/folder" in printed
    assert printed.count("\n") == 1


def test_the_status_of_main_is_the_status_of_the_process(capsys):
    assert ended(capsys, lambda: cli.Exit.UNDECIDED) == (3, "")


def test_a_mistyped_word_gets_a_suggestion():
    assert suggest("squeezenet1.1", ["SqueezeNet1_1", "VGG11"]) == "did you mean SqueezeNet1_1?"
    assert suggest("zzz", ["onnx", "paddle"]) == "known: onnx, paddle"


def test_a_reader_that_goes_away_is_no_failure(tmp_path):
    script = tmp_path / "table.py"
    script.write_text(
        "from common import cli, console\n"
        "def main():\n"
        "    for _ in range(9):\n"
        "        console.table('t', ['h'], [['x' * 60]] * 999)\n"
        "    return 0\n"
        "cli.run(main)\n"
    )
    child = subprocess.Popen(
        [sys.executable, script],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    with child:
        child.stdout.readline()
        child.stdout.close()
        assert child.stderr.read() == b""
    assert child.returncode == 0


# ---- arguments ----


@pytest.fixture
def parse(monkeypatch):
    """Parse arguments as a command that takes one of every kind."""

    def run(*words: str):
        parser = cli.Parser(prog="python some.py")
        parser.add_argument("--count", type=cli.positive)
        parser.add_argument("--opset", type=cli.whole(11, 19))
        parser.add_argument("--minutes", type=cli.number)
        parser.add_argument("--rate", type=cli.above_zero)
        parser.add_argument("--part", type=cli.choice("check", "bench"))
        parser.add_argument("--batch", type=cli.several(cli.positive))
        parser.add_argument("--data", type=cli.word_or_path("demo", "cifar10"))
        parser.add_argument("--out", type=paths.absolute)
        monkeypatch.setattr(sys, "argv", ["some.py", *words])
        return parser.parse_args()

    return run


def test_arguments_that_are_right(parse, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/of-mine")
    options = parse("--count", "3", "--opset", "11", "--minutes", "0", "--rate", "1e-3")
    assert (options.count, options.opset, options.minutes, options.rate) == (3, 11, 0, 1e-3)
    assert parse("--part", "bench").part == "bench"
    assert parse("--batch", "1, 4,8,4").batch == (1, 4, 8)
    assert parse("--data", "demo").data == "demo"
    assert parse("--data", "./demo").data == str(tmp_path / "demo")
    assert parse("--data=~/photos").data == "/home/of-mine/photos"
    assert parse("--out", "a b").out == tmp_path / "a b"
    (tmp_path / "demos").mkdir()
    assert parse("--data", "demos").data == str(tmp_path / "demos")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--count", "0"], "--count: '0' is not a whole number of at least 1"),
        (["--count", "1.5"], "--count: '1.5' is not a whole number of at least 1"),
        (["--count", "-3"], "--count: '-3' is not a whole number of at least 1"),
        (["--opset", "99"], "--opset: '99' is not a whole number from 11 to 19"),
        (["--minutes", "x"], "--minutes: 'x' is not a number of at least 0"),
        (["--minutes", "nan"], "--minutes: 'nan' is not a number of at least 0"),
        (["--minutes", "inf"], "--minutes: 'inf' is not a number of at least 0"),
        (["--rate", "0"], "--rate: '0' is not a number above 0"),
        (["--rate", "abc"], "--rate: 'abc' is not a number above 0"),
        (["--part", "chekc"], "--part: unknown 'chekc', did you mean check?"),
        (["--batch", "1,x"], "--batch: 'x' is not a whole number of at least 1"),
        (["--data", "dmeo"], "--data: no file or folder 'dmeo' is here, did you mean demo?"),
        (["--outt", "x"], "there is no argument --outt, did you mean out"),
        (["x"], "there is no argument x, known: "),
        (["--count"], "--count: expected one argument"),
    ],
)
def test_arguments_that_are_wrong(parse, words, said):
    with pytest.raises(UserError) as caught:
        parse(*words)
    assert str(caught.value).startswith(said)
    assert str(caught.value).endswith("(see python some.py --help)")


def test_no_command_leaves_its_types_to_the_framework():
    for source in ROOT.glob("[!.]*/**/*.py"):
        if "import common.start" in (text := source.read_text()):
            assert not re.findall(r"type=(?:int|float|Path)\b|\bchoices=", text), source


def test_what_a_terminal_cannot_show_stops_nothing():
    script = "from common import cli; cli.run(lambda: print('80 % … ±1', '\\udcff') or 0)"
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        env=os.environ | {"PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "ascii"},
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"80 % ? ?1 ?\n", b"")
