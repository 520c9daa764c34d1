"""How commands end: one line for a user's mistake, a traceback for a bug of ours."""

import errno
import os
import subprocess
import sys

import pytest

from common import cli
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
        (KeyboardInterrupt(), 130, "error: interrupted; what was finished is kept"),
        (OSError(errno.ENOSPC, "", "/build/x"), 2, "error: /build/x: no space left on the disk"),
        (OSError(errno.EROFS, "", "/build"), 2, "error: /build: that place is read-only"),
    ],
)
def test_errors_become_one_line_and_a_status(capsys, error, status, line):
    code, printed = ended(capsys, raising(error))
    assert code == status
    assert printed.startswith(line)
    assert printed.count("\n") == 1


def test_a_bug_keeps_its_traceback():
    with pytest.raises(ZeroDivisionError):
        cli.run(lambda: 1 // 0)
    with pytest.raises(FileNotFoundError):
        cli.run(raising(FileNotFoundError(errno.ENOENT, "", "x")))


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
    child.stdout.readline()
    child.stdout.close()
    assert child.stderr.read() == b""
    assert child.wait() == 0
