"""This machine, as a host: children share memory with their parent."""

import contextlib
import os
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from common import machine
from common.paths import ROOT, tools_home
from common.process import start_group
from common.temporary import temporary_folder
from runtimes.environments import Environment
from runtimes.hosts.base import Child, Host
from runtimes.worker_protocol import Channel

_LOG = "output.log"

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
        temporary = stack.enter_context(temporary_folder())
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


def child_folder() -> AbstractContextManager[Path]:
    """A new folder to share with a child, in memory where that can be (see `temporary_folder`)."""
    return temporary_folder(_memory())
