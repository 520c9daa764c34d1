"""This machine, as a host: children share memory with their parent."""

import contextlib
import fcntl
import functools
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from common import machine
from common.paths import ROOT, tools_home
from common.process import start_group
from runtimes.environments import Environment
from runtimes.hosts.base import Child, Host
from runtimes.worker_protocol import Channel

_PREFIX = "portage-"
_LOG = "output.log"
_HELD = "held"  # a file that is locked as long as the folder around it is in use

# Runs in the child; its arguments are the shared folder, the lifeline and what to import from.
_BEGIN = """
import sys
sys.path[:0] = sys.argv[3:]
from runtimes.worker_protocol import main
main(*sys.argv[1:3])
"""


class Local(Host):
    """This machine; its environments are those that `make setup` made."""

    name = "local"
    label = ""

    @property
    def model(self) -> str:
        return machine.cpu()

    @property
    def isa(self) -> list[str]:
        return machine.isa()

    @property
    def cores(self) -> int:
        return machine.threads()

    def problem(self, environment: Environment) -> str | None:
        return environment.problem()

    def command(self, words: Sequence[str | Path]) -> list[str]:
        return list(map(str, words))

    def start(self, environment: Environment, settings: Mapping[str, str]) -> Child:
        return start_here([environment.python], settings)


def start_here(
    interpreter: Sequence[str | Path], settings: Mapping[str, str], packages: Sequence[Path] = ()
) -> Child:
    """Start a child on this machine with an interpreter: a command that takes Python's arguments.

    It imports from the project, then from `packages`, then from what is its own.
    """
    with contextlib.ExitStack() as stack:
        shared = stack.enter_context(child_folder())
        # What foreign tools leave there where they are killed goes with the folder.
        temporary = stack.enter_context(child_folder(Path(tempfile.gettempdir())))
        log = shared / _LOG
        own = {"HOME": str(tools_home()), "TMPDIR": str(temporary)}
        lifeline, ours = os.pipe()
        stack.callback(os.close, ours)
        try:
            with log.open("wb") as said:
                process = start_group(
                    [*interpreter, "-c", _BEGIN, shared, str(lifeline), ROOT, *packages],
                    cwd=ROOT,
                    env={**os.environ, **own, **settings},
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=said,
                    pass_fds=[lifeline],
                )
        finally:
            os.close(lifeline)
        assert process.stdout and process.stdin
        with process.stdout, process.stdin:
            reading, writing = os.dup(process.stdout.fileno()), os.dup(process.stdin.fileno())
        channel = Channel(reading, writing, str(shared))
        return Child(process, channel, log, stack.pop_all().close)


LOCAL = Local()


class ByLocalPython(Host):
    """Another host, for sessions in this machine's Python that start a program of it."""

    def __init__(self, host: Host):
        self.name, self.emulates, self.patience = host.name, host.emulates, host.patience
        self._host = host

    @property
    def label(self) -> str:
        return self._host.label

    @property
    def model(self) -> str:
        return self._host.model

    @property
    def isa(self) -> list[str]:
        return self._host.isa

    @property
    def cores(self) -> int:
        return self._host.cores

    def problem(self, environment: Environment) -> str | None:
        return LOCAL.problem(environment) or self._host.program_problem()

    def bring(self, path: Path) -> str:
        return self._host.bring(path)

    def command(self, words: Sequence[str | Path]) -> list[str]:
        return self._host.command(words)

    def start(self, environment: Environment, settings: Mapping[str, str]) -> Child:
        return LOCAL.start(environment, settings)


def _memory() -> Path:
    """The folder that folders shared with children are made in: in memory, where there is one."""
    in_memory = Path("/dev/shm")
    return in_memory if os.access(in_memory, os.W_OK) else Path(tempfile.gettempdir())


@contextlib.contextmanager
def child_folder(root: Path | None = None) -> Iterator[Path]:
    """A new folder for a child, held until the block ends, and then removed; in memory, or in
    `root`.

    What runs that were killed left behind goes, too, with the files beside it that begin with its
    name, as a child's own shared memory may be called.
    """
    root = root or _memory()
    _sweep(root)
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=root))
    try:
        with (folder / f".{_HELD}").open("w") as holder:
            fcntl.flock(holder, fcntl.LOCK_EX)
            (folder / f".{_HELD}").rename(folder / _HELD)  # never there and not locked
            yield folder
    finally:
        _remove(folder)


@functools.cache
def _sweep(root: Path) -> None:
    """Remove the folders of runs that were killed, which hold theirs no longer."""
    for held in root.glob(f"{_PREFIX}*/{_HELD}"):
        if not is_held(held.parent):
            _remove(held.parent)


def is_held(folder: Path) -> bool:
    """Whether a folder is one that `child_folder` made, and whose block has not ended."""
    try:
        with (folder / _HELD).open("r") as holder:
            fcntl.flock(holder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def _remove(folder: Path) -> None:
    for beside in folder.parent.glob(f"{folder.name}?*"):
        beside.unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)
