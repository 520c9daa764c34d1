"""The timing loop, in the process that holds the session, so that a run is all that is timed.

Runs in .venv-lite too (CPython 3.7), and so imports nothing of the project.
"""

import gc
import importlib
import os
import time
from pathlib import Path

import numpy as np

_LEAD = 2  # untimed runs at the start of a block: threads wake up, caches fill again


class Timed:
    """A session that is opened on `cores` only; `options` are the session's own."""

    def __init__(self, session, cores, **options):
        pin(cores)
        module, _, name = session.partition(":")
        self._session = getattr(importlib.import_module(module), name)(**options)
        self._batch = None

    def load(self, batch):
        """Keep a batch float32 [N, 3, S, S] in this process; the logits that it gives."""
        self._batch = np.array(batch)  # a copy, since runtimes copy what they cannot write to
        return np.array(self._session.run(self._batch))

    def block(self, seconds, least):
        """Run the batch again and again: nanoseconds of each run, int64 [runs].

        Ends after `seconds`, but not before `least` runs. Python's garbage collector, which
        would stop some of the runs, waits.
        """
        run, batch, clock = self._session.run, self._batch, time.perf_counter_ns
        for _ in range(_LEAD):
            run(batch)
        taken = []  # type: list[int]
        gc.disable()
        started = before = clock()
        while before - started < 1e9 * seconds or len(taken) < least:
            run(batch)
            after = clock()
            taken.append(after - before)
            before = after
        gc.enable()
        return np.array(taken, np.int64)

    def cpu_seconds(self):
        """The CPU time that this process, all threads together, has used so far."""
        return time.process_time()

    def environment(self):
        return self._session.environment()


def pin(cores):
    """Keep this process on these cores: the threads there are, and those that they will start."""
    for thread in Path("/proc/self/task").iterdir():
        os.sched_setaffinity(int(thread.name), cores)
