"""Make the environments of `runtimes.environments` from their hashed lock files (`make setup`).

Standard library only. Uses uv where it is installed, pip otherwise. An environment that was made
from the same lock files and works is left alone.
"""

import sys
from pathlib import Path

if sys.version_info < (3, 11):  # noqa: UP036 - an older Python is what this line is for
    print("error: make setup needs CPython 3.11: PYTHON=/path/to/python3.11 make setup")
    sys.exit(2)
if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import shlex
import shutil
import time

from common import files, process
from common.cli import Exit, Parser, choice, run
from common.console import say
from common.errors import UserError
from runtimes.environments import (
    ENVIRONMENTS,
    SETUP,
    Environment,
    find_interpreter,
    python_version,
)
from runtimes.locks import check_lock, other_file

_LIMIT = 3600.0
_STAMP = ".made-from"


def install(environment: Environment) -> bool:
    """Make an environment if it is not there as its lock files say. True when it is usable.

    The one that was there stays as it was where that fails, or is interrupted.
    One whose hardware is not here is passed over, and one that is not required also where no
    interpreter for it is found. Raises UserError where one cannot be made that is required, or has
    a command of its own, and where the installer fails.
    """
    if environment.absent():
        return False
    no_deps = environment.no_deps_lock_path
    locks = [environment.lock_path, *([no_deps] if no_deps else [])]
    for lock in locks:
        check_lock(lock)
    wanted = " ".join(map(files.sha256, locks))
    _put_back(environment)  # the one of before a set-up that was killed
    stamp = environment.path / _STAMP
    if stamp.exists() and stamp.read_text() == wanted and environment.python.exists():
        return True
    interpreter = find_interpreter(environment)
    if interpreter is None:
        if environment.required or environment.setup != SETUP:
            raise UserError(f"no {environment.wanted} found; {environment.advice}")
        purpose = " and ".join(environment.tools.values())
        say(
            f"  {environment.folder} is left out ({purpose}): no {environment.wanted} found; "
            f"{environment.advice}"
        )
        return False
    started = time.monotonic()
    say(f"  {environment.folder}: installing {environment.lock_path.name} …")
    if stamp.exists():
        environment.path.rename(_before(environment))
    try:
        shutil.rmtree(environment.path, ignore_errors=True)
        _make(environment, interpreter)
        with files.atomic(stamp) as stream:
            stream.write(wanted)
    except BaseException:
        if not _put_back(environment):
            shutil.rmtree(environment.path, ignore_errors=True)  # nobody takes half for whole
        raise
    shutil.rmtree(_before(environment), ignore_errors=True)
    version = python_version(environment.python)
    say(f"  {environment.folder}: CPython {version}, {time.monotonic() - started:.0f} s")
    return True


def _before(environment: Environment) -> Path:
    """Where the environment of other lock files is while a new one is made: it cannot be made
    elsewhere, since its programs know the folder that they are in."""
    return environment.path.with_name(f"{environment.path.name}.before")


def _put_back(environment: Environment) -> bool:
    """Put the one of before in its place again, where the new one is not whole. True if it was."""
    before = _before(environment)
    if not before.exists():
        return False
    if (environment.path / _STAMP).exists():
        shutil.rmtree(before, ignore_errors=True)
        return False
    shutil.rmtree(environment.path, ignore_errors=True)
    before.rename(environment.path)
    return True


def _make(environment: Environment, interpreter: Path) -> None:
    """The environment's folder, and all that its locks name."""
    if shutil.which("uv"):
        _run(["uv", "venv", "--quiet", "--python", interpreter, environment.path])
        installer = ["uv", "pip", "install", "--quiet", "--python", environment.python]
        # As pip does: where nobody may write bytecode later, each start would compile everything.
        installer.append("--compile-bytecode")
    else:
        _run([interpreter, "-m", "venv", environment.path])
        installer = [environment.python, "-m", "pip", "install", "--quiet"]
    _run([*installer, "--require-hashes", "-r", environment.lock_path])
    if no_deps := environment.no_deps_lock_path:
        _run([*installer, "--require-hashes", "--no-deps", "-r", no_deps])


def install_by_itself(environment: Environment, what: str) -> Exit:
    """The command that makes an environment of its own (`make setup-…`); `what` describes it."""
    Parser(prog=f"python runtimes/install_{environment.name}.py", description=what).parse_args()
    install(environment)
    versions = ", ".join(f"{name} {environment.version(name)}" for name in environment.tools)
    say(f"  ready: {environment.folder} with {versions}")
    return Exit.OK


def _run(command: list) -> None:
    what = shlex.join(str(word) for word in command)
    process.run(command, what=what, limit=_LIMIT, error=UserError, telling=_complaint)


def _complaint(done: process.Completed) -> str | None:
    if "ensurepip" in done.printed:
        return (
            "its venv module is missing: install it (Debian: apt-get install python3-venv), "
            "or install uv"
        )
    _, because, why = done.stderr.partition("Because ")  # uv's words, on several lines
    return other_file(done) or (f"{because}{why}" if because else process.last_line(done))


def main() -> int:
    parser = Parser(prog="python runtimes/install.py", description=__doc__.splitlines()[0])
    usual = {name: one for name, one in ENVIRONMENTS.items() if one.setup == SETUP}
    parser.add_argument(
        "--only", type=choice(*usual), metavar="NAME", help=f"{', '.join(usual)} (default: all)"
    )
    only = parser.parse_args().only
    wanted = [usual[only]] if only else list(usual.values())
    usable = [environment.folder for environment in wanted if install(environment)]
    say(f"  ready: {', '.join(usable) or 'nothing'}")
    return Exit.OK


if __name__ == "__main__":
    run(main)
