"""Commands killed, and run on bad disks, in a process beside the one that damages files.

The former wait for disks and for children most of the time, the latter keeps one core busy.
"""

import contextlib
import copy
import itertools
import multiprocessing
import os
import signal
import time
from collections.abc import Collection, Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Self

from benchmarks.faults import disks, kills
from benchmarks.faults.judging import Outcome
from benchmarks.faults.record import Record, Tally
from common import process
from common.errors import StepError

KILLS, DISKS = "kills", "disks"
_ORDER = (KILLS, KILLS, DISKS)  # a disk's case takes longer, and there are more kills to try


class Beside:
    """The other process; it ends at the deadline, or when there is nothing left to try."""

    def __init__(self, record: Record, parts: Collection[str], root: Path, deadline: float):
        context = multiprocessing.get_context("fork")
        self._outcomes, theirs = context.Pipe(duplex=False)
        words = (copy.deepcopy(record), parts, root, deadline, theirs)
        self._child = context.Process(target=_work, args=words)
        self._child.start()
        theirs.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Where the campaign fails, what works beside it must not go on in the same folders."""
        self._child.kill()
        self._child.join()

    def ended(self, *, wait: bool = False) -> Iterator[Outcome]:
        """What became of the cases that have ended meanwhile; of all that are still to come where
        they are waited for. StepError where none can be tried."""
        with contextlib.suppress(EOFError):  # it has ended
            while wait or self._outcomes.poll():
                outcome = self._outcomes.recv()
                if isinstance(outcome, StepError):
                    raise outcome
                yield outcome


def _work(
    record: Record, parts: Collection[str], root: Path, deadline: float, answers: Connection
) -> None:
    process.end_with_parent(signal.SIGKILL)
    signal.signal(signal.SIGINT, lambda *_: os._exit(1))  # what it starts is ended by Ctrl-C itself
    idle = 0
    try:
        for part in itertools.cycle(one for one in _ORDER if one in parts):
            tallies, attempt = (
                (record.kills, kills.kill) if part == KILLS else (record.disks, disks.try_disks)
            )
            before = time.monotonic()
            tried = 0
            for outcome in attempt(record.seed, tallies, root, deadline):
                record.take(outcome, tallies.setdefault(outcome.kind, Tally()))
                answers.send(outcome)
                tried += 1
            idle = 0 if tried else idle + 1
            if before > deadline or idle == len(_ORDER):
                break
    except StepError as error:
        answers.send(error)
    answers.close()
    os._exit(0)
