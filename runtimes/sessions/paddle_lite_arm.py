"""Paddle Lite on ARM: the runner, a C++ program (`runtimes/paddle_lite_arm/runner.cc`).

It stays up, and is spoken with over its standard streams.
"""

import contextlib
import subprocess
import tempfile
from collections.abc import Callable, Sequence

import numpy as np

from runtimes.paddle_lite_arm.talk import Answers, Silence, named, packed, why

_FILE = "model.nb"


class Session:
    """Runs `model.nb`, made for ARM, of a folder.

    The folder is as the runner sees it, which `command` starts: by an emulator, or on another
    machine. UnavailableError where Paddle Lite's library cannot run the file.
    """

    def __init__(self, folder: str, precision: str, threads: int, command: Sequence[str]):
        self._precision = precision
        self._threads = threads
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 - as long as the runner lives
        self._runner = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
        )
        assert self._runner.stdout
        self._send(named(f"{folder}/{_FILE}", threads))
        self._answers = Answers(self._runner.stdout)
        self._version = self._hear(self._answers.version)

    def run(self, batch: np.ndarray) -> np.ndarray:
        """Logits float32 [N, classes] of a batch float32 [N, 3, S, S]."""
        self._send(packed(batch))
        return self._hear(self._answers.logits)

    def environment(self) -> dict:
        return {
            "threads": self._threads,
            "versions": {"paddlelite": self._version or "does not tell"},
        }

    def _send(self, message: bytes) -> None:
        assert self._runner.stdin
        with contextlib.suppress(BrokenPipeError):  # it has ended; what it said is read next
            self._runner.stdin.write(message)
            self._runner.stdin.flush()

    def _hear(self, answer: Callable):
        try:
            return answer()
        except Silence as silence:
            status = self._runner.wait()
            self._said.seek(0)
            said = self._said.read().decode("latin-1")
            raise why(silence, status, said, self._precision) from None
