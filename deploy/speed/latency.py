"""How long a batch takes: in a process of its own, on pinned cores, until the median is known.

What is timed is one call of the session, from a batch in the process's memory to its logits. It
is timed in blocks, between which the parent decides:

- Warm-up ends when the medians of two blocks in a row differ by at most 2 %, and after 3 s
  anyway, which is then noted.
- The measurement ends when there are 100 runs and the 95 % interval of the median is within 1 %
  of it on both sides, or when the time is up. The interval is that of order statistics
  (`common.intervals.median_ranks`), and stopping by it is the rule of Hoefler and Belli,
  "Scientific benchmarking of parallel computing systems" (SC 2015).
- A figure is noisy where the spread, (p90 - p10) / median, is above 10 %, where other processes
  took above 5 % of the cores, or where one of the two rules above was not met. A ratio is, where
  the spread of either side's blocks is, or where it was not known when the time was up.
"""

import contextlib
import itertools
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from common import files, machine
from common.errors import StepError
from common.intervals import median_interval, median_ranks
from common.paths import build_root
from common.strict_json import decode
from convert import step_check
from convert.artifact import Artifact
from deploy.verdict.result import Latency
from runtimes.session_pool import SessionSpec
from runtimes.worker import Worker

LIMIT = 10.0  # seconds for one figure

_BLOCK = 0.25  # seconds of a block; a slower session gets
_LEAST = 3  # runs
_WARM_UP = 3.0
_SETTLED = 0.02
_RUNS = 100
_WANTED = 0.01
_SPREAD = 0.10
_OTHERS = 0.05


class Timer:
    """A session with its batch, opened for timing; `runs` counts those of the warm-up."""

    def __init__(self, worker: Worker):
        self._worker = worker
        self.runs = 0
        self.settled = False

    def block(self) -> np.ndarray:
        """The times of a block's runs, float64 ms [runs]."""
        return 1e-6 * self._worker.use("block", seconds=_BLOCK, least=_LEAST)

    def median(self) -> float:
        """The median of a new block, in ms: a side for `compare_speed`."""
        return float(np.median(self.block()))

    def warm_up(self) -> None:
        """Run until the speed no longer changes, or the warm-up's time is over."""
        end = time.monotonic() + _WARM_UP
        before = np.inf
        while not self.settled:
            block = self.block()
            self.runs += len(block)
            now = float(np.median(block))
            self.settled = abs(now / before - 1) <= _SETTLED
            before = now
            if time.monotonic() > end:
                break

    def cpu_seconds(self) -> float:
        return self._worker.use("cpu_seconds")

    def environment(self) -> dict[str, Any]:
        return self._worker.use("environment")


@contextlib.contextmanager
def open_timer(
    session_spec: SessionSpec, artifact: Artifact, precision: str, batch: int, cores: Sequence[int]
) -> Iterator[Timer]:
    """Open an artifact as specified, on these cores only, and warm it up.

    Raises StepError where its logits are not finite: the speed of something broken says nothing.
    """
    label = f"timing {artifact.folder}"
    with Worker(session_spec.environment, label, threads=len(cores)) as worker:
        worker.open(
            "runtimes.timing:Timed",
            session=session_spec.session,
            cores=list(cores),
            folder=str(artifact.folder),
            precision=precision,
            threads=len(cores),
            **session_spec.options,
        )
        synthetic = step_check.images(tuple(artifact.facts["input_shape"]))
        logits = worker.use("load", batch=np.resize(synthetic, (batch, *synthetic.shape[1:])))
        if len(logits) != batch or not np.isfinite(logits).all():
            raise StepError(f"{label}: the logits of a batch of {batch} are not all there")
        timer = Timer(worker)
        timer.warm_up()
        yield timer


def measure(
    session_spec: SessionSpec,
    artifact: Artifact,
    precision: str,
    batch: int,
    cores: Sequence[int],
    limit: float = LIMIT,
) -> dict[str, Any]:
    """The latency of a whole batch: an entry of "latency" in a result, with its environment.

    Takes at most `limit` seconds after the warm-up, or one block more.
    """
    with open_timer(session_spec, artifact, precision, batch, cores) as timer:
        others = _Others(timer, cores)
        taken = timer.block()
        while not _known(taken) and taken.sum() < 1000 * limit:
            taken = np.concatenate([taken, timer.block()])
        figure = summary(taken)
        figure |= {"warmup_runs": timer.runs, "others": others.share()}
        figure["noisy"] = _noise(figure, _known(taken), timer.settled)
        return {**figure, "environment": timer.environment()}


def summary(taken: np.ndarray) -> dict[str, Any]:
    """What times in ms amount to; a percentile that too few runs can show is None."""
    p10, median, p90, p99 = np.percentile(taken, (10, 50, 90, 99), method="inverted_cdf")
    return {
        "median_ms": float(median),
        "ci95_ms": [float(bound) for bound in median_interval(taken.tolist())],
        "p90_ms": float(p90) if len(taken) >= 10 else None,
        "p99_ms": float(p99) if len(taken) >= 100 else None,
        "least_ms": float(taken.min()),
        "spread": float((p90 - p10) / median),
        "runs": len(taken),
    }


def _known(taken: np.ndarray) -> bool:
    """Whether the median is as precise as wanted, with enough runs for a 99th percentile."""
    if len(taken) < _RUNS:
        return False
    median = np.median(taken)
    low, high = median_interval(taken.tolist())
    return max(high - median, median - low) <= _WANTED * median


def _noise(figure: dict[str, Any], known: bool, settled: bool) -> list[str]:
    """Why a figure is not to be trusted; empty where it is."""
    low, high = (bound / figure["median_ms"] - 1 for bound in figure["ci95_ms"])
    reasons = []
    if figure["spread"] > _SPREAD:
        reasons.append(f"spread {figure['spread']:.0%}, above {_SPREAD:.0%}")
    if figure["others"] > _OTHERS:
        reasons.append(f"others took {figure['others']:.0%} of the cores, above {_OTHERS:.0%}")
    if not settled:
        reasons.append(f"not settled after {_WARM_UP:g} s of warm-up")
    if not known:
        reasons.append(f"time was up at {figure['runs']} runs, interval {low:+.1%} {high:+.1%}")
    return reasons


class _Others:
    """How much of the cores other processes took, since this was made."""

    def __init__(self, timer: Timer, cores: Sequence[int]):
        self._timer = timer
        self._cores = cores
        self._start = self._now()

    def share(self) -> float:
        """From 0 to 1, or above by rounding. Time that a hypervisor stole counts as others'."""
        wall, busy, ours = (now - then for now, then in zip(self._now(), self._start, strict=True))
        return max(0.0, busy - ours) / (wall * len(self._cores))

    def _now(self) -> tuple[float, float, float]:
        ours = self._timer.cpu_seconds() + time.process_time()
        return time.monotonic(), machine.busy_seconds(self._cores), ours


def compare_speed(
    first: Callable[[], float], second: Callable[[], float], limit: float = 3 * LIMIT
) -> dict[str, Any]:
    """Which of two is faster: blocks of both by turns, in the order ABBA.

    Each call measures one block and returns its median in ms. The ratio is the median over the
    pairs of second / first, so above 1 means that the first is faster; its interval is that of
    order statistics over the pairs, which share what the machine did at the time. Ends when the
    interval is within 1 % of the ratio, not before 10 pairs, or when the time is up, not before
    6, which are the fewest for an interval. "noisy" has the reasons not to trust it.
    """
    pairs: list[tuple[float, float]] = []
    end = time.monotonic() + limit
    for number in itertools.count():
        order = (first, second) if number % 2 == 0 else (second, first)
        medians = {side: side() for side in order}
        pairs.append((medians[first], medians[second]))
        ratios = [later / earlier for earlier, later in pairs]
        ratio = float(np.median(ratios))
        low, high = median_interval(ratios)
        close = len(pairs) >= 10 and max(high - ratio, ratio - low) <= _WANTED * ratio
        if close or (median_ranks(len(pairs)) and time.monotonic() > end):
            break
    sides = np.array(pairs)
    medians = np.median(sides, axis=0)
    return {
        "first_ms": float(medians[0]),
        "second_ms": float(medians[1]),
        "ratio": ratio,
        "ci95": [low, high],
        "pairs": len(pairs),
        "verdict": _which(low, high),
        "noisy": _noise_of_turns(sides, ratio, (low, high), close),
    }


def _noise_of_turns(
    sides: np.ndarray, ratio: float, interval: tuple[float, float], close: bool
) -> list[str]:
    """Why a ratio is not to be trusted; `sides` are the blocks' medians, [pairs, 2]."""
    reasons = []
    for name, (p10, median, p90) in zip(
        ("first", "second"),
        np.percentile(sides, (10, 50, 90), axis=0, method="inverted_cdf").T,
        strict=True,
    ):
        spread = (p90 - p10) / median
        if spread > _SPREAD:
            reasons.append(f"spread of the {name} one's blocks {spread:.0%}, above {_SPREAD:.0%}")
    if not close:
        low, high = (bound / ratio - 1 for bound in interval)
        reasons.append(f"time was up at {len(sides)} pairs, interval {low:+.1%} {high:+.1%}")
    return reasons


def _which(low: float, high: float) -> str:
    if low > 1:
        return "first is faster"
    return "second is faster" if high < 1 else "no difference shown"


def write(outcome: dict[str, Any]) -> None:
    """Keep a benchmark as `build/<name>/latency/<target>-<precision>.json`.

    Validations keep theirs elsewhere, so that the two never write the same file.
    """
    files.write_json(_path(outcome["name"], outcome["target"], outcome["precision"]), outcome)


def kept(name: str, target: str, precision: str, digests: Mapping[str, str]) -> dict[str, Latency]:
    """The latencies by batch that the last benchmark kept of the files with these sha256; else
    empty."""
    known = {
        batch: {name: value for name, value in figure.items() if value is not None}
        for batch, figure in _kept(name, target, precision, digests).get("latency", {}).items()
    }
    return decode(dict[str, Latency], known)


def floors_kept(
    name: str, target: str, precision: str, digests: Mapping[str, str]
) -> dict[str, dict[str, float]]:
    """The floors by batch, as `deploy.speed.benchmarks` works them out, that were kept with these
    latencies; else empty."""
    return _kept(name, target, precision, digests).get("floor", {})


def _kept(name: str, target: str, precision: str, digests: Mapping[str, str]) -> dict[str, Any]:
    """What the last benchmark kept, if it is about the files with these sha256; else empty."""
    found = files.read_json(_path(name, target, precision))
    return found if isinstance(found, dict) and found.get("files") == digests else {}


def unfinished(name: str) -> Path:
    """The folder of the figures that an interrupted benchmark of a build had taken."""
    return build_root() / name / "latency" / "unfinished"


def _path(name: str, target: str, precision: str) -> Path:
    return build_root() / name / "latency" / f"{target}-{precision}.json"


def conditions(cores: Sequence[int]) -> dict[str, Any]:
    """What a latency depends on beside the file: the CPU, its clocks, who else is working."""
    return {
        "cpu": machine.cpu(),
        "isa": machine.isa(),
        "cores": list(cores),
        "clocks_mhz": machine.clocks_mhz(cores),
        "governor": machine.governor(),
        "load": list(os.getloadavg()),
    }
