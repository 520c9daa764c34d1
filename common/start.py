"""What every command imports first, where it is run: it goes on in the project's environment.

The command's own folder, where Python looks first, gives way to the project's. An exception while
the rest is imported ends the command as any other would. Standard library only, and nothing that
Python 3.7 does not understand, since it runs before anything is installed.
"""

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def _enter() -> None:
    """Replace this process with the same command under `.venv`'s interpreter, if it is another.

    Files are UTF-8 there, whatever the terminal is set to. Without an environment the command ends
    with one line and exit status 2.
    """
    python = ROOT / ".venv" / "bin" / "python"
    entered = os.path.realpath(sys.prefix) == os.path.realpath(str(python.parents[1]))
    os.environ["PYTHONUTF8"] = "1"
    # ONNX Runtime, from 1.29 on, would tell its maker which networks are run.
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    if entered and sys.getfilesystemencoding() == "utf-8":
        return
    if not python.exists():
        print("error: the toolkit is not set up yet; run: make setup", file=sys.stderr)
        sys.exit(2)
    os.execv(str(python), [str(python), *sys.argv])


def _end(_: type[BaseException], error: BaseException, __: object) -> None:
    from common.cli import complain

    os._exit(complain(error))


_enter()
sys.path[:2] = [str(ROOT)]
sys.excepthook = _end
