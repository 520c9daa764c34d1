"""How the runner is spoken with, whatever carries it; `runner.cc` says what goes over."""

import re
import signal
from typing import IO

import numpy as np

from common import process
from common.errors import StepError, UnavailableError

_RELEASE = re.compile(r"v?(\d+\.\d+\S*)")
_LACKING = re.compile(r"(operator|kernel for) '(\w+)'")
_OTHER_VERSION = re.compile(r"version of current Paddle-Lite:\s*(\S+)")
STARTING, OPENING, RUNNING = "starting the runner", "opening the file", "running the file"
# A shell's status for a program that a signal ended is 128 and the signal.
_SIGNALS = {128 + number: -number for number in signal.valid_signals()}


class Silence(Exception):  # noqa: N818 - no error yet: the caller finds out why
    """The runner said no more, where it had to, or but a last sentence."""

    def __init__(self, doing: str, sentence: str = ""):
        super().__init__(doing)
        self.doing = doing
        self.sentence = " ".join(sentence.split())


def named(model: str, threads: int) -> bytes:
    """How a runner's input begins."""
    return f"{threads} {model}\n".encode()


def packed(batch: np.ndarray) -> bytes:
    """A batch [N, C, H, W] for the runner's input."""
    return np.array(batch.shape, "<i4").tobytes() + batch.astype("<f4").tobytes()


class Answers:
    """What a runner says, read from a stream as it comes.

    Raises Silence where it ends too early, and UnavailableError where the library is of another
    version than the file.
    """

    def __init__(self, stream: IO[bytes]):
        self._stream = stream

    def version(self) -> str:
        """The library's version, once it has opened the file; "" where it does not tell."""
        optimizer = self._line("file", STARTING)
        library = self._line("library", OPENING)
        theirs, ours = (_RELEASE.fullmatch(one) for one in (library, optimizer))
        # A library that was built between two releases tells a commit, or nothing.
        if theirs and ours and theirs[1] != ours[1]:
            raise UnavailableError(
                f"Paddle Lite's library is of version {library}, and the file was written for "
                f"{optimizer}: give the library of that version"
            )
        return library

    def logits(self) -> np.ndarray:
        """Logits float32 [N, classes] of the next batch."""
        shape = tuple(map(int, self._line("logits", RUNNING).split()))
        size = 4 * int(np.prod(shape))
        payload = self._stream.read(size)
        if len(payload) != size:
            raise Silence(RUNNING)
        return np.frombuffer(payload, "<f4").reshape(shape)

    def _line(self, word: str, doing: str) -> str:
        """What follows a word, which the runner must say next."""
        line = self._stream.readline().decode("latin-1")
        found, _, rest = line.rstrip("\n").partition(" ")
        if found == "error":
            raise Silence(doing, rest)
        if found != word or not line.endswith("\n"):
            raise Silence(doing)
        return rest


def why(silence: Silence, status: int, said: str, precision: str) -> StepError:
    """Why a runner ended, by its status (-N or 128 + N: signal N) and what its library printed.

    The library aborts or throws where it lacks something, often without a word.
    """
    status = _SIGNALS.get(status, status)
    what = f"{silence.doing} with Paddle Lite on ARM"
    how = silence.sentence or f"the runner {process.ending(status)}"
    fit = "give one that has all operators (an archive with_extra)"
    if precision == "fp16":
        fit += ", built with FP16 (with_arm82_fp16=ON)"
    opening = silence.doing == OPENING
    if opening and (lacking := _LACKING.search(said + how)):
        kind = lacking[1].removesuffix(" for")
        return UnavailableError(f"{what}: the library has no {kind} '{lacking[2]}'; {fit}")
    if status == -signal.SIGILL:
        return UnavailableError(f"{what}: {how}: the CPU lacks an instruction that it takes")
    lines = [line for line in said.splitlines() if not line.startswith("qemu: uncaught")]
    telling = [line for line in lines if "rror" in line or "Check failed" in line] or lines
    last = telling[-1] if telling and not silence.sentence else None
    if opening and (status == -signal.SIGABRT or silence.sentence):
        other = _OTHER_VERSION.search(said)
        remedy = f"the library says that its version is {other[1]}; " if other else ""
        remedy += f"where it lacks something, {fit}, of the version that wrote the file"
        return UnavailableError(process.sentence(what, how, last, remedy))
    # Its own failures are signals or sentences: another status is the loader's, which does not find
    # what the library needs, or that of the way to another machine.
    error = UnavailableError if status > 0 and not silence.sentence else StepError
    return error(process.sentence(what, how, last))
