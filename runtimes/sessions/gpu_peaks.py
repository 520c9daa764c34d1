"""What a GPU reaches: in an engine that does nothing but multiply, and in copies of its own memory.

Runs where the engine does: in .venv-trt (CPython 3.10), or in .venv.
"""

import math
import time
from collections.abc import Callable

import numpy as np

from runtimes.sessions.cuda import Device
from runtimes.sessions.tensorrt_engine import Resident

_COPIED = 1 << 28  # bytes: more than the largest cache of a GPU holds
_COPIES = 8  # waited for together, as the kernels of an engine are
_SECONDS = 0.5  # spent on each peak: a GPU that was idle takes some to raise its clocks


def reach(folder: str, precision: str, gpu: dict, library: str, shape: list[int]) -> dict:
    """The fastest run of `model.engine` in a folder on a batch of that shape, in "seconds", and the
    bytes a second that go to the GPU's memory or come from it, "bytes_per_s": a copy is both.
    """
    session = Resident(folder, precision, 1, gpu, library)
    batch = np.random.default_rng(0).standard_normal(shape, np.float32)
    seconds = _fastest(lambda: session.run(batch))
    device = Device(gpu["index"])
    there, here = device.allocate(_COPIED), device.allocate(_COPIED)

    def copy() -> None:
        for _ in range(_COPIES):
            device.copy(there, here, _COPIED)
        device.wait()

    return {"seconds": seconds, "bytes_per_s": 2 * _COPIED * _COPIES / _fastest(copy)}


def _fastest(work: Callable[[], object]) -> float:
    """The seconds of the fastest of the runs that fit into the time, the first left out."""
    work()
    best, end = math.inf, time.perf_counter() + _SECONDS
    while time.perf_counter() < end or best == math.inf:
        started = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - started)
    return best
