"""What each layer of a network costs in a target's arithmetic: one typed value.

It is made by `make explain BLAME=1`, written and read here, and shown by
`deploy.layers.cost_tables`. docs/explain.md says how to read it.

Errors are of logits, held against the float network's on the same photos.
"""

from pathlib import Path

import numpy as np
from pydantic.dataclasses import dataclass

from calib.one_by_one import errors
from common.strict_json import STRICT
from deploy.layers import keeping
from deploy.layers.keeping import Finding
from deploy.verdict.result import (
    Count,
    NotNegative,
    Positive,
    Share,
    Text,
)
from runtimes.session_pool import Execution

_KIND = "blame"


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Errors:
    """How far logits are off: `flips` are the photos with another decision, `broken` those among
    them that have a logit which is not finite, and count for nothing else; `error` is the norm of
    the difference as a share of that of the float logits less their mean, and `sqnr_db` the same in
    decibels (-20 log₁₀; absent where there is no error); `kl` is the Kullback-Leibler divergence of
    the softmax from the float network's, in nats, the photos' mean."""

    flips: Count
    broken: Count
    error: NotNegative
    sqnr_db: float | None = None
    kl: NotNegative

    @classmethod
    def of(cls, reference: np.ndarray, logits: np.ndarray) -> "Errors":
        """Those of logits [n, classes] on the same photos."""
        return cls(**errors(reference, logits))


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Cost:
    """A layer's: the errors where it `alone` is in the target's arithmetic, and those that are left
    `without` it, where all others are. In FP16 what lies between two layers has a row as well, by
    the name of its first node."""

    layer: Text
    operator: Text
    alone: Errors
    without: Errors


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Attempt:
    """A list of layers in float, tried: the share of photos on which decisions are the float
    network's where it was `simulated`, on so many photos, and where its file was built and run
    (`agreement`, as `execution` says; both absent where it was not)."""

    keep_float: tuple[Text, ...]
    simulated: Share | None = None
    simulated_photos: Positive | None = None
    agreement: Share | None = None
    photos: Positive | None = None
    execution: Execution | None = None


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Shortest:
    """The shortest list that was found for an agreement of `want` or more. `keep_float` is absent
    where none was; `agreement_ci95` is the exact 95 % interval of what confirmed it."""

    want: Share
    keep_float: tuple[Text, ...] | None = None
    agreement: Share | None = None
    agreement_ci95: tuple[Share, Share] | None = None
    execution: Execution | None = None
    attempts: tuple[Attempt, ...]
    found: Text


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Costs(Finding):
    """What the layers of a target's file cost.

    All errors but those of `file` are simulated, on `photos` of those in `data`: `everything` of
    the whole network in the target's arithmetic, `costs` in order of execution; `left_out` is how
    many layers have none, since all would take too long: those that err least by themselves.
    `file` are the errors of the file itself on the same photos, or on the first `file_photos` of
    them where more would take too long, run as `execution` says. `in_float` are layers that the
    file has in float anyway. The seconds are those of blaming, without the file's making.
    """

    photos: Positive
    in_float: tuple[Text, ...] = ()
    everything: Errors
    file: Errors
    file_photos: Positive
    costs: tuple[Cost, ...]
    left_out: Count = 0
    shortest: Shortest | None = None
    seconds: NotNegative
    peak_mib: Positive

    def by_relief(self) -> list[Cost]:
        """The layers, those first that leave the least error behind when they are in float."""
        return sorted(
            self.costs,
            key=lambda one: (one.without.broken, one.without.error, -one.alone.error),
        )

    def dearest(self) -> list[Cost]:
        """The layers, those first that err most by themselves."""
        return sorted(self.costs, key=lambda one: (-one.alone.broken, -one.alone.error))


def write(costs: Costs, device: str = "") -> Path:
    """Keep costs in `build/<name>/blame`, as `keeping.write` says."""
    return keeping.write(costs, _KIND, device)


def kept(name: str) -> list[Costs]:
    """The costs of a build's layers that are kept, in the order of their files' names."""
    return keeping.kept(name, _KIND, Costs, f"make explain BLAME=1 MODEL={name} …")
