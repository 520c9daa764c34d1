"""What a model must compute and move, and the time that this CPU needs for it at the very least.

The floor is the larger of two times: the multiply-adds at the rate of a matrix product, and the
bytes at the rate of reading memory, both measured on the same cores. A convolution by an algorithm
with fewer multiplications (Winograd's) could go below the first.
"""

import math
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from common import machine
from convert.artifact import Artifact
from convert.to_onnx import FILE
from convert.work import count
from runtimes.worker import Worker

_SIDE = 512  # of the matrices whose product shows the peak: a few milliseconds on one core
_READ = 1 << 24  # bytes of one attempt at reading, at least
_SECONDS = 0.5  # spent on each peak


@dataclass(frozen=True)
class Work:
    """What one run of a batch takes.

    `multiply_adds` are those of Conv, Gemm and MatMul, each counted as one. `weight_bytes` are
    read once a run; `activation_bytes` are those nodes' results, written once and read once, as
    if everything between them were fused into them.
    """

    multiply_adds: int
    weight_bytes: int
    activation_bytes: int

    @property
    def bytes(self) -> int:
        return self.weight_bytes + 2 * self.activation_bytes


@dataclass(frozen=True)
class Peak:
    """What these cores reach: 1e9 multiply-adds a second, and 1e9 bytes a second."""

    gmacs: float
    gbytes: float

    def floor_ms(self, work: Work) -> float:
        """The least time of a run in float32, in ms."""
        return 1e-6 * max(work.multiply_adds / self.gmacs, work.bytes / self.gbytes)


def floors(
    onnx: Artifact, batches: Sequence[int], cores: Sequence[int]
) -> dict[int, tuple[Work, Peak]]:
    """For each batch, what an ONNX file's model takes and what these cores reach now.

    The reads go over as much memory as the work moves, so that what fits a cache is held against
    that cache's speed.
    """
    # Left alone, numpy's OpenBLAS takes kernels for AVX2 on AMD's CPUs with AVX-512, half as fast.
    settings = {"OPENBLAS_CORETYPE": "SkylakeX"} if "avx512f" in machine.isa() else {}
    label = f"measuring the floor of {onnx.name}"
    with Worker("main", label, threads=1, settings=settings) as worker:
        path = str(onnx.file(FILE))
        works = [Work(**worker.call(count_in, path=path, batch=batch)) for batch in batches]
        sizes = [work.bytes for work in works]
        reached = worker.call(reach, cores=list(cores), sizes=sizes)
    peaks = [Peak(reached["gmacs"], gbytes) for gbytes in reached["gbytes"]]
    return dict(zip(batches, zip(works, peaks, strict=True), strict=True))


def count_in(path: str, batch: int) -> dict[str, int]:
    """In a child process: the fields of `Work`."""
    import onnx

    return count(onnx.load(path), batch)


def reach(cores: list[int], sizes: list[int]) -> dict[str, Any]:
    """In a child process: the fields of `Peak`, with a rate of reading for each size in bytes.

    They are the sums of what each core reaches at its best. All cores work at the same time, each
    on a part of its own; an attempt is short enough that some go undisturbed on a machine that
    does other work too.
    """
    import threading

    import numpy as np

    meet = threading.Barrier(len(cores))
    multiplied, read = {}, {}

    def work(core: int) -> None:
        os.sched_setaffinity(0, [core])  # of this thread
        random = np.random.default_rng(core)
        left, right = random.standard_normal((2, _SIDE, _SIDE), np.float32)
        product = np.empty_like(left)
        meet.wait()
        multiplied[core] = _SIDE**3 / _fastest(lambda: np.matmul(left, right, out=product))
        for size in sizes:
            halves = np.ones((2, max(1, size // (8 * len(cores)))), np.float32)
            rounds = max(1, _READ // halves.nbytes)

            def dot(halves=halves, rounds=rounds) -> None:
                for _ in range(rounds):
                    np.dot(*halves)

            meet.wait()
            read[core, size] = halves.nbytes * rounds / _fastest(dot)

    threads = [threading.Thread(target=work, args=(core,)) for core in cores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return {
        "gmacs": 1e-9 * sum(multiplied.values()),
        "gbytes": [1e-9 * sum(read[core, size] for core in cores) for size in sizes],
    }


def _fastest(work: Callable[[], object]) -> float:
    """The seconds of the fastest of the runs that fit into the time."""
    best, end = math.inf, time.perf_counter() + _SECONDS
    while time.perf_counter() < end:
        started = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - started)
    return best
