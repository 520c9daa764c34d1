"""Let a command be started with any Python: it goes on in the project's own environment.

Standard library only, since it runs before anything is installed.
"""

import os
import sys

from common.paths import ROOT


def enter() -> None:
    """Replace this process with the same command under `.venv`'s interpreter, if it is another.

    Without an environment the command ends with one line and exit status 2.
    """
    python = ROOT / ".venv" / "bin" / "python"
    if os.path.realpath(sys.prefix) == os.path.realpath(python.parents[1]):
        return
    if not python.exists():
        sys.exit(_no_environment())
    os.execv(python, [str(python), *sys.argv])


def _no_environment() -> int:
    print("error: the toolkit is not set up yet; run: make setup", file=sys.stderr)
    return 2
