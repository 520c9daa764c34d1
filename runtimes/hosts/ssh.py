"""A board, reached over ssh: its own Python runs the sessions, with runtimes that are brought.

Their wheels are fetched here, for the board's processor and Python, and unpacked there, so that it
needs neither a network nor pip. Whatever passes between the two goes through the connection.
"""

import contextlib
import functools
import os
import select
import shlex
import subprocess
import sys
import tempfile
import time
import urllib.parse
from collections.abc import Mapping, Sequence
from pathlib import Path

from common import files, process
from common.console import say
from common.errors import UserError
from common.hashes import cached_sha256
from common.paths import ROOT
from runtimes import wheels
from runtimes.environments import MAIN, Environment
from runtimes.hosts.base import Check, Child, Host
from runtimes.hosts.board import BEGINS, LOST, Board, Python, mode
from runtimes.hosts.local import child_folder
from runtimes.worker_protocol import Channel

PYTHONS = ("3.11", "3.12", "3.13", "3.14")  # those that all wheels are made for, best first
MACHINES = ("aarch64", "x86_64")
_ROOM = 500e6  # bytes: the wheels, packed and unpacked
_ROOMS = ("common", "runtimes")  # the code that sessions import
_SIGNALLED = 128  # and the signal's number: a status of our first process there
_READY = b"\nportage is here\n"

_UNPACK = """
import glob, os, zipfile
for wheel in glob.glob("*.whl"):
    zipfile.ZipFile(wheel).extractall()
    os.remove(wheel)
"""
# The first process there only waits, since ssh does not tell of signals. The kernel ends each as
# soon as the one above it is gone, sshd's own first: a connection that is cut leaves nothing that
# computes. The arguments are what to import from.
_BEGIN = f"""
import ctypes, os, signal, sys
def end_with(parent):
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
end_with(os.getppid())
first = os.getpid()
child = os.fork()
if child:
    status = os.waitpid(child, 0)[1]
    os._exit({_SIGNALLED} + os.WTERMSIG(status) if os.WIFSIGNALED(status) else status >> 8)
end_with(first)
sys.path[:0] = sys.argv[1:]
from runtimes.worker_protocol import main
os.write(1, {_READY!r})
main("", "")
"""
# The same for ssh on this machine, and the process that starts it.
_TIED = (
    "import ctypes, os, signal, sys; ctypes.CDLL(None).prctl(1, signal.SIGKILL); "
    "os.execvp(sys.argv[1], sys.argv[1:])"
)


class Ssh(Host):
    """A board; `alias` is what ssh calls it: a name in ~/.ssh/config, or user@host."""

    name = "ssh"

    def __init__(self, alias: str):
        self.name = f"{Ssh.name}:{alias}"
        self._board = Board(alias, self.name)

    @property
    def label(self) -> str:
        return f"{self.kind}-{urllib.parse.quote(self._board.alias, safe='@')}"

    @property
    def model(self) -> str:
        return self._board.facts.cpu

    @property
    def isa(self) -> list[str]:
        return self._board.facts.isa

    @property
    def cores(self) -> int:
        return self._board.facts.cores

    def problem(self, environment: Environment = MAIN) -> str | None:
        if environment is not MAIN:
            return f"boards have no counterpart of {environment.folder}"
        return self.program_problem() or self.python_problem()

    def program_problem(self) -> str | None:
        try:
            facts = self._board.facts
        except UserError as error:
            return str(error)
        if facts.machine not in MACHINES:
            return (
                f"{self.name} has a processor of kind {facts.machine}, and runtimes are made for "
                f"{' and '.join(MACHINES)} only"
            )
        return None

    def python_problem(self) -> str | None:
        if self._python:
            return None
        found = self._board.facts.pythons
        right = [one for one in found if one.version in PYTHONS]
        if any(not one.is_64_bit for one in right):
            return f"{self.name} has a Python of 32 bits, and runtimes are made for 64"
        if any(one.glibc is None for one in right):
            return f"{self.name} has another C library than glibc, which the runtimes are made for"
        versions = ", ".join(sorted({f"{one.implementation} {one.version}" for one in found}))
        return (
            f"{self.name} has {versions or 'no Python'} on its path; install CPython "
            f"{', '.join(PYTHONS[:-1])} or {PYTHONS[-1]} there"
        )

    def checks(self) -> list[Check]:
        facts, python = self._board.facts, self._python
        found = [
            Check("connection", f"ssh {self._board.alias}"),
            Check(
                "processor",
                f"{facts.machine}: {facts.cpu}, {facts.cores} cores",
                self.program_problem(),
            ),
            Check("instructions", ", ".join(facts.isa) or "none of those that matter"),
        ]
        there = False
        if python:
            about = f"CPython {python.version} ({python.path}), glibc 2.{python.glibc}"
            found.append(Check("Python", about))
            there = packages_part(*self._wanted(python)) in facts.parts
            state = "there" if there else "brought by the first run"
            found.append(Check("runtimes", state))
        else:
            found.append(Check("Python", "-", self.python_problem()))
        full = facts.free is not None and facts.free < _ROOM and not there
        about = "unknown" if facts.free is None else f"{facts.free / 1e6:,.0f} MB"
        problem = f"free {_ROOM / 1e6:.0f} MB there, for the runtimes" if full else None
        found.append(Check("free disk", f"{about}, for {facts.folder}", problem))
        return found

    def ending(self, status: int) -> str:
        return process.ending(_SIGNALLED - status if status > _SIGNALLED else status)

    def lost(self, doing: str, status: int, said: str) -> UserError | None:
        if status != LOST and status >= 0:
            return None
        return self._board.refusal(doing, status, said)

    def bring(self, path: Path) -> str:
        if not path.is_dir():
            return f"{self._bring({path.name: path}, path.name)}/{path.name}"
        found = sorted(one for one in path.rglob("*") if one.is_file())
        content = {one.relative_to(path).as_posix(): one for one in found}
        return self._bring(content, f"{path.parent.name}/{path.name}")

    def command(self, words: Sequence[str | Path]) -> list[str]:
        return self._board.command(words)

    def start(self, environment: Environment, settings: Mapping[str, str]) -> Child:
        python = self._python
        assert python  # else there is a problem
        folder = self._board.facts.folder
        places = [self._bring(_code(), "code"), self._packages(python)]
        # What runtimes write beside their work comes into our folder, too.
        own = {"HOME": f"{folder}/home", "XDG_CACHE_HOME": f"{folder}/home/.cache"}
        given = (f"{name}={value}" for name, value in {**own, **settings}.items())
        words = ["env", *given, python.path]
        # -I and -S: nothing of what else is installed there.
        words += ["-I", "-S", "-W", "ignore", "-c", _BEGIN, *places]
        with contextlib.ExitStack() as stack:
            log = stack.enter_context(child_folder()) / "output.log"
            with log.open("wb") as said:
                ssh = process.start_group(
                    [sys.executable, "-I", "-S", "-c", _TIED, *self.command(words)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=said,
                )
            stack.callback(process.end_group, ssh, grace=0)
            assert ssh.stdout and ssh.stdin
            with ssh.stdout, ssh.stdin:
                self._wait(ssh, ssh.stdout.fileno(), log)
                reading, writing = os.dup(ssh.stdout.fileno()), os.dup(ssh.stdin.fileno())
            return Child(ssh, Channel(reading, writing), log, stack.pop_all().close)

    def _wait(self, ssh: subprocess.Popen, output: int, log: Path) -> None:
        """Wait for the tool's first words; what a shell printed before them is dropped."""
        given_up = time.monotonic() + BEGINS
        heard = b""
        while not heard.endswith(_READY):
            left = max(0.0, given_up - time.monotonic())
            if not select.select([output], [], [], left)[0]:
                raise UserError(f"{self.name} did not start Python within {BEGINS:.0f} s")
            piece = os.read(output, 1 << 16)
            if not piece:
                raise self._board.refusal(
                    f"starting Python on {self.name}",
                    ssh.wait(BEGINS),
                    log.read_text(errors="replace"),
                    f"if files are lost there, remove {self._board.facts.folder}",
                )
            heard += piece

    @functools.cached_property
    def _python(self) -> Python | None:
        """The interpreter there that will do, of several the one that is tested most."""
        found = [
            one
            for one in self._board.facts.pythons
            if one.implementation == "cpython" and one.version in PYTHONS
            if one.is_64_bit and one.glibc is not None
        ]
        return min(found, key=lambda one: PYTHONS.index(one.version), default=None)

    def _bring(self, content: Mapping[str, Path], title: str) -> str:
        """The folder there with these files, relative name → file here."""
        about = {name: [cached_sha256(path), mode(path)] for name, path in content.items()}
        return self._board.take(f"files-{files.sha256_of(about)[:16]}", lambda: content, title)

    def _wanted(self, python: Python) -> tuple[str, str, int]:
        """What wheels have to be for: the processor, the Python, the C library."""
        assert python.glibc is not None
        return self._board.facts.machine, python.version, python.glibc

    def _packages(self, python: Python) -> str:
        """The folder there that holds the wheels of the lock file, unpacked."""
        wanted = self._wanted(python)
        started = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:

            def fetch() -> dict[str, Path]:
                say(f"  {self.name}: fetching runtimes for {wanted[0]} and CPython {wanted[1]}")
                wheels.fetch(Path(folder), *wanted)
                return {path.name: path for path in Path(folder).iterdir()}

            unpack = shlex.join([python.path, "-I", "-c", _UNPACK])
            place = self._board.take(packages_part(*wanted), fetch, "runtimes", unpack)
            if any(Path(folder).iterdir()):
                say(
                    f"  {self.name}: ready in {time.monotonic() - started:.0f} s; all that comes "
                    f"there is in {self._board.facts.folder}"
                )
        return place


def packages_part(machine: str, python: str, glibc: int) -> str:
    """The name of what holds the lock file's wheels for such a board."""
    wanted = [machine, python, glibc, files.sha256(wheels.LOCK)]
    return f"packages-{files.sha256_of(wanted)[:16]}"


def _code() -> dict[str, Path]:
    """What a session's interpreter imports of the project."""
    return {
        path.relative_to(ROOT).as_posix(): path
        for room in _ROOMS
        for path in sorted((ROOT / room).rglob("*.py"))
    }
