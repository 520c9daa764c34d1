"""Foreign programs: run with a time limit, and their failure turned into one sentence.

Standard library only, since `make setup` runs before anything is installed.
"""

import contextlib
import ctypes
import io
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from common import files, paths
from common.errors import StepError, UserError

_GRACE = 5.0  # seconds for a program to clean up in, after it was asked to end
_LONGEST = 300  # characters of a foreign line in a sentence of ours
ANY_STATUS = range(256)
_NOTHING, _LITTLE = 1 << 20, 1 << 30  # bytes free on a disk: it is full, or may well have been
_ABOUT_WRITING = re.compile(
    r"basic_ios|ios_base|iostream|[Nn]o space left|[Qq]uota exceeded|[Ww]rit(e|ing) (fail|err)"
)
_PR_SET_PDEATHSIG = 1  # prctl(2)
_running: set[subprocess.Popen] = set()  # those that `start_group` started and nobody ended
_starting = threading.Lock()
_ending: list[bool] = []  # while there is anything in it nothing is started


@dataclass(frozen=True)
class Completed:
    """A program that ended: its exit status (-N: ended by signal N), and what it printed."""

    status: int
    stdout: str = ""
    stderr: str = ""

    @property
    def printed(self) -> str:
        return self.stdout + self.stderr


def last_line(done: Completed) -> str | None:
    """The last line that it printed, complaints before answers."""
    lines = (done.stderr.strip() or done.stdout.strip()).splitlines()
    return lines[-1] if lines else None


def error_line(done: Completed) -> str | None:
    """The first line that speaks of an error, else the first line."""
    lines = [line for line in done.printed.splitlines() if line.strip()]
    telling = [line for line in lines if "error" in line.casefold()] or lines
    return telling[0] if telling else None


def first_line(text: str) -> str | None:
    """The first line of a text that says something."""
    return next((line for line in text.splitlines() if line.strip(" -\n")), None)


def ending(status: int) -> str:
    """How a program ended: "ended with status 3", "was ended by SIGSEGV"."""
    if status >= 0:
        return f"ended with status {status}"
    try:
        return f"was ended by {signal.Signals(-status).name}"
    except ValueError:
        return f"was ended by signal {-status}"  # a real-time one has no name


def sentence(what: str, how: str, line: str | None = None, remedy: str | None = None) -> str:
    """ "{what}: {how}: {line}; {remedy}", without the parts that are None, on one line."""
    said = " ".join((line or "").split())[:_LONGEST]
    return ": ".join(filter(None, (what, how, said))) + (f"; {remedy}" if remedy else "")


def refuse_full_disk(what: str, said: str) -> None:
    """Raise OSError where there was no room, or no quota left, for what a program writes, which
    failed in its own words then, as with `basic_ios::clear: iostream error`: nothing is free, or
    little, and what it `said` is about writing (it may have deleted its half of a file before it
    ended)."""
    least = _LITTLE if _ABOUT_WRITING.search(said) else _NOTHING
    for find in (paths.build_root, paths.cache_root, lambda: Path(tempfile.gettempdir())):
        lack = None
        with contextlib.suppress(OSError, UserError):
            if os.access(find(), os.W_OK):  # one that is read-only has no room either
                lack = files.lack_of_room(find(), least)
        if lack:
            raise OSError(lack.errno, lack.strerror, what)


def run(
    command: Sequence[object],
    *,
    what: str,
    limit: float,
    error: type[Exception] = StepError,
    telling: Callable[[Completed], str | None] = last_line,
    remedy: str | None = None,
    statuses: Container[int] = (0,),
    folder: Path | None = None,
    environment: Mapping[str, str] | None = None,
    shown: bool = False,
    hear: Callable[[str], None] | None = None,
    feed: Callable[[IO[bytes]], None] | None = None,
) -> Completed:
    """Run a program to its end, in `folder`, with `environment` added to ours.

    Raises `error` with one sentence where the program is not here, takes longer than `limit`
    seconds, dies of a signal, or ends with none of `statuses`. The sentence begins with `what`
    was being done, quotes the line that `telling` picks, and ends with `remedy`. Its output is
    kept, unless it is `shown`: then all of it goes to our standard error as it comes. `hear` gets
    each line of its standard error at once.

    It gets no input but what `feed` writes into the stream that it is given, and a process group
    of its own: Ctrl-C is for us alone, and whatever ends the wait, or us, ends the whole group.
    """
    words = [str(word) for word in command]
    try:
        child = start_group(
            words,
            cwd=folder,
            env={**os.environ, **(environment or {})},
            stdin=subprocess.PIPE if feed else subprocess.DEVNULL,
            stdout=sys.stderr if shown else subprocess.PIPE,
            stderr=None if shown else subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
        )
    except FileNotFoundError as absent:
        raise error(sentence(what, f"{absent.filename} is not there", None, remedy)) from None
    except OSError as refused:
        why = (refused.strerror or str(refused)).lower()
        said = sentence(what, f"{words[0]} cannot be started ({why})", None, remedy)
        raise error(said) from None
    output, feeder, guard = [], None, None
    try:
        guard = _Guard(child)
        if child.stdout and child.stderr:
            output = [_Reader(child.stdout), _Reader(child.stderr, hear)]
        if feed and isinstance(child.stdin, io.TextIOWrapper):
            feeder = _Feeder(child.stdin.buffer, feed)
        how = _wait(child, output, limit)
    finally:
        if guard:
            guard.dismiss()
        end_group(child)
        if feeder:
            feeder.join()
    if feeder and feeder.error:
        raise feeder.error
    if how is None and child.returncode not in statuses:
        how = f"it {ending(child.returncode)}"
    for reader in output:
        reader.join(_GRACE)
    done = Completed(child.returncode, *(reader.text() for reader in output))
    if how:
        refuse_full_disk(what, done.printed)
        raise error(sentence(what, how, telling(done), remedy))
    return done


def _wait(child: subprocess.Popen, output: Sequence["_Reader"], limit: float) -> str | None:
    """Wait for a child and all that it prints; how it went beyond the limit, if it did."""
    given_up = time.monotonic() + limit
    for reader in output:
        reader.join(given_up - time.monotonic())
    try:
        child.wait(max(0.0, given_up - time.monotonic()))
    except subprocess.TimeoutExpired:
        return f"it did not end within {limit:.0f} s"
    if any(reader.is_alive() for reader in output):  # a child of its own holds on to them
        _signal(child, signal.SIGKILL)
        return f"what it started did not end within {limit:.0f} s"
    return None


class _Reader(threading.Thread):
    """Reads a stream to its end, and tells each line to `hear` as it comes."""

    def __init__(self, stream: IO[str], hear: Callable[[str], None] | None = None):
        super().__init__(daemon=True)
        self._stream, self._hear = stream, hear
        self._lines: list[str] = []
        self.start()

    def run(self) -> None:
        with self._stream:
            for line in self._stream:
                self._lines.append(line)
                if self._hear:
                    self._hear(line.rstrip("\n"))

    def join(self, timeout: float | None = None) -> None:
        super().join(None if timeout is None else max(0.0, timeout))

    def text(self) -> str:
        return "".join(self._lines)


class _Feeder(threading.Thread):
    """Writes a program's input; that it stops reading is no error."""

    def __init__(self, stream: IO[bytes], feed: Callable[[IO[bytes]], None]):
        super().__init__(daemon=True)
        self.error: Exception | None = None
        self._stream, self._feed = stream, feed
        self.start()

    def run(self) -> None:
        try:
            with self._stream:
                self._feed(self._stream)
        except BrokenPipeError:
            pass
        except Exception as error:  # noqa: BLE001 - goes to who waits
            self.error = error


def start_group(command: Sequence[str | Path], **options: Any) -> subprocess.Popen:
    """Start a program that leads a process group of its own; the options are Popen's.

    Ctrl-C is for us alone; whoever started it ends it by `end_group`.
    """
    with _starting:
        if _ending:
            raise KeyboardInterrupt
        child = subprocess.Popen(command, **options, start_new_session=True)
        _running.add(child)
    return child


class _Guard:
    """What kills a program's group when we are killed: a compiler's driver, say, has children that
    nobody else would end. It waits for the end of a pipe that we hold."""

    def __init__(self, child: subprocess.Popen):
        words = ["/bin/sh", "-c", 'read _; kill -KILL "-$0"', str(child.pid)]
        self._guard = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            start_new_session=True,
        )  # fmt: skip

    def dismiss(self) -> None:
        """Before the group's number can mean another."""
        self._guard.kill()
        self._guard.wait()
        if self._guard.stdin:
            self._guard.stdin.close()


@contextlib.contextmanager
def none_starts() -> Iterator[None]:
    """End all that this process has started, and let no thread of it start anything more."""
    with _starting:
        _ending.append(True)
    try:
        end_all()
        yield
    finally:
        _ending.pop()


def end_with_parent(number: int) -> None:
    """Let the kernel send this process a signal when the thread that started it ends."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, number)


def end_all(*, at_once: bool = False) -> None:
    """Ask all that this process has started to end, or make them; whoever waits for one goes on."""
    for child in list(_running):
        if child.returncode is None:
            _signal(child, signal.SIGKILL if at_once else signal.SIGTERM)


def end_group(child: subprocess.Popen, grace: float = _GRACE) -> None:
    """End a child that leads a process group, and all of the group.

    They are asked to end first, so that they can clean up, and made to when `grace` seconds are
    over. The child is waited for last: until then its number can mean nobody else.
    """
    _running.discard(child)
    if child.returncode is not None:
        return
    if grace:
        _signal(child, signal.SIGTERM)
        given_up = time.monotonic() + grace
        ended = os.WEXITED | os.WNOHANG | os.WNOWAIT
        while os.waitid(os.P_PID, child.pid, ended) is None and time.monotonic() < given_up:
            time.sleep(0.01)
    _signal(child, signal.SIGKILL)
    child.wait()


def _signal(child: subprocess.Popen, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):  # already gone
        os.killpg(child.pid, number)
