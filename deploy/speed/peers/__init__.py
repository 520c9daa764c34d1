"""Other tools that run a target's file, one a file: what `deploy/benchmark.py --peers` times."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

from convert.artifact import Artifact


@dataclass(frozen=True)
class Peer:
    """One of them. `open(artifact, precision, batch, cores)` gets it ready for a batch size.

    The context's value runs for a while and returns the time of a batch in ms: a side for
    `deploy.speed.latency.compare_speed`.
    """

    name: str
    open: Callable[[Artifact, str, int, Sequence[int]], AbstractContextManager[Callable[[], float]]]
