"""Processes that decode photos on behalf of this one.

Plain child processes with a pipe each way, not `multiprocessing`: that runs the caller's main
script again in every child (or forks a process that may hold a runtime's threads), and its pool
does not say what a dead child was working on.
"""

import contextlib
import os
import pickle
import subprocess
import sys
import threading

from common.errors import UserError
from common.paths import ROOT
from data.decode_many import Bad, Task, decode_some

_KILLER = Bad(
    "its decoding was killed: damaged in a way that crashes the decoder, or too large",
    lasting=False,
)


class DecodeProcesses:
    """`decode_some` in child processes, one for each thread that calls.

    A photo that kills its process becomes a bad photo like any other.
    """

    def __init__(self):
        self._mine = threading.local()
        self._all = []

    def __enter__(self):
        return self._decode

    def __exit__(self, *_):
        for process in self._all:
            process.stop()

    def _decode(self, task: Task) -> dict[int, Bad]:
        try:
            return self._process().decode(task)
        except _DeadError:
            self._mine.process = None
        if len(task.paths) == 1:
            return {0: _KILLER}
        # One of them did it; the others have a right to be decoded.
        alone = [self._decode(task.part(row, row + 1)) for row in range(len(task.paths))]
        return {row: bad[0] for row, bad in enumerate(alone) if bad}

    def _process(self) -> "_Process":
        if getattr(self._mine, "process", None) is None:
            self._mine.process = _start()
            self._all.append(self._mine.process)
        return self._mine.process


class _DeadError(Exception):
    """The child process is gone; the text is its exit status."""


def _start() -> "_Process":
    """A new child process; a second one where somebody killed the first before it was ready."""
    try:
        return _Process()
    except _DeadError:
        try:
            return _Process()
        except _DeadError as error:
            raise UserError(
                f"processes that decode photos do not start: {sys.executable} ended with status "
                f"{error}; run: make setup"
            ) from None


class _Process:
    """A child process; it ends when its standard input does, so also when this process dies."""

    def __init__(self):
        path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
        self._child = subprocess.Popen(
            # -P: nothing in the user's working folder is imported.
            [sys.executable, "-P", "-c", "from data.decode_process import serve; serve()"],
            env={**os.environ, "PYTHONPATH": path},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for the caller alone
        )
        self._read()  # "ready"

    def decode(self, task: Task) -> dict[int, Bad]:
        try:
            pickle.dump(task, self._child.stdin)
            self._child.stdin.flush()
        except BrokenPipeError:
            raise _DeadError(self._child.wait()) from None
        answer = self._read()
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _read(self):
        try:
            return pickle.load(self._child.stdout)
        except (EOFError, pickle.UnpicklingError):
            raise _DeadError(self._child.wait()) from None

    def stop(self) -> None:
        with contextlib.suppress(BrokenPipeError):  # what a dead child did not read
            self._child.stdin.close()
        self._child.stdout.close()
        self._child.wait()


def serve() -> None:
    """What the child does: decode the tasks that come in, one after the other."""
    import cv2

    cv2.setNumThreads(1)  # there is a process per core already
    _answer("ready")
    while True:
        try:
            task = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        try:
            _answer(decode_some(task))
        except Exception as error:  # noqa: BLE001 - a full disk, say: the caller's to report
            _answer(error)


def _answer(value) -> None:
    pickle.dump(value, sys.stdout.buffer)
    sys.stdout.buffer.flush()
