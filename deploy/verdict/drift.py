"""How far a target drifted from the reference, and whether that is within its budget.

`measure_drift` turns two sets of logits for the same photos into a `Drift`; two gates turn a
`Drift` into a `Verdict`. The numeric gate is for steps that promise the same arithmetic (fp32 to
fp32), the statistical one for those that do not (fp16, bf16, int8).
"""

import math
from dataclasses import dataclass

import numpy as np

from deploy.verdict.paired import Interval, more_photos_to_exclude, paired_interval

MAX_RELATIVE = 1e-3  # the numeric gate's limit on a photo's relative logit difference
BUDGET_SHARE = 0.01  # of the reference top-1: MLPerf Inference's 99 % rule
_CHUNK = 1 << 22  # logits compared at a time, which bounds the memory used


@dataclass(frozen=True)
class Drift:
    """A target's logits held against the reference's, photo by photo.

    A decision is a photo's top-1 class; where logits tie, the lower class number wins, in top-1 as
    in top-5. A photo with a non-finite logit has no decision: it is wrong, and agrees with nothing.
    """

    images: int
    reference_top1: float  # proportions
    reference_top5: float
    measured_top1: float
    measured_top5: float
    gained: int  # photos wrong by the reference and right by the target
    lost: int  # the reverse
    agreement: float  # share of photos with equal decisions
    flips: int  # photos with unequal ones
    flips_beyond_tie: int  # flips where the reference's top-1 led by no less than the photo moved
    max_abs: float  # largest difference of two logits, both finite
    max_rel: float  # largest, over photos, of max|a − b| / max|a|
    non_finite: int  # logits of the target that are not finite
    reference_non_finite: int
    ci95: Interval  # of the drift (gained − lost)/images

    @property
    def top1(self) -> float:
        """The drift of the top-1 accuracy, a proportion."""
        return (self.gained - self.lost) / self.images

    def to_json(self, runtime: str = "paddle") -> dict:
        """The objects "reference", "measured" and "drift" of a result (DESIGN, section 5)."""
        return {
            "reference": {
                "runtime": runtime,
                "top1": self.reference_top1,
                "top5": self.reference_top5,
            },
            "measured": {"top1": self.measured_top1, "top5": self.measured_top5},
            "drift": {
                "top1_pp": 100 * self.top1,
                "ci95_pp": [100 * self.ci95.low, 100 * self.ci95.high],
                "ci_method": self.ci95.method,
                "agreement": self.agreement,
                "gained": self.gained,
                "lost": self.lost,
                "max_abs": self.max_abs,
                "max_rel": self.max_rel,
                "non_finite": self.non_finite,
            },
        }


@dataclass(frozen=True)
class Verdict:
    """What a gate says: pass, fail or undecided, one sentence why, and the budget applied."""

    verdict: str
    reason: str
    budget: dict[str, str]


# --- comparing ---


def measure_drift(reference: np.ndarray, measured: np.ndarray, labels: np.ndarray) -> Drift:
    """Hold a target's logits [photos, classes] against the reference's on the same photos."""
    reference, measured, labels = map(np.asarray, (reference, measured, labels))
    _check(reference, measured, labels)
    images, classes = reference.shape
    step = max(1, _CHUNK // classes)
    parts = [
        _Photos(*(array[start : start + step] for array in (reference, measured, labels)))
        for start in range(0, images, step)
    ]

    def total(count) -> int:
        return sum(int(count(part)) for part in parts)

    gained = total(lambda p: (~p.reference.right(1) & p.measured.right(1)).sum())
    lost = total(lambda p: (p.reference.right(1) & ~p.measured.right(1)).sum())
    flips = total(lambda p: p.flipped.sum())
    return Drift(
        images=images,
        reference_top1=total(lambda p: p.reference.right(1).sum()) / images,
        reference_top5=total(lambda p: p.reference.right(5).sum()) / images,
        measured_top1=total(lambda p: p.measured.right(1).sum()) / images,
        measured_top5=total(lambda p: p.measured.right(5).sum()) / images,
        gained=gained,
        lost=lost,
        agreement=(images - flips) / images,
        flips=flips,
        flips_beyond_tie=total(lambda p: (p.flipped & ~p.tied).sum()),
        max_abs=max(float(p.moved.max()) for p in parts),
        max_rel=max(float(p.moved_relative.max()) for p in parts),
        non_finite=total(lambda p: p.measured.non_finite),
        reference_non_finite=total(lambda p: p.reference.non_finite),
        ci95=paired_interval(gained, lost, images),
    )


def _check(reference: np.ndarray, measured: np.ndarray, labels: np.ndarray) -> None:
    if reference.ndim != 2 or reference.shape != measured.shape:
        raise ValueError(
            "logits to compare must be two arrays [photos, classes] of one shape, "
            f"not {reference.shape} and {measured.shape}"
        )
    images, classes = reference.shape
    if images == 0 or classes == 0:
        raise ValueError(f"there is nothing to compare in logits of shape {reference.shape}")
    if labels.shape != (images,) or not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(
            f"{images} photos need {images} whole-number labels, "
            f"not {labels.dtype} of shape {labels.shape}"
        )
    if labels.min() < 0 or labels.max() >= classes:
        raise ValueError(
            f"labels from {labels.min()} to {labels.max()} do not fit {classes} classes"
        )


class _Logits:
    """One side's logits of some photos: what was decided, and the rank of the right class."""

    def __init__(self, logits: np.ndarray, labels: np.ndarray):
        finite = np.isfinite(logits)
        self.non_finite = int((~finite).sum())
        self.sound = finite.all(axis=1)
        self.decision = logits.argmax(axis=1)
        own = np.take_along_axis(logits, labels[:, None], axis=1)
        before = np.arange(logits.shape[1]) < labels[:, None]
        # Of equal logits the lower class comes first, as argmax has it.
        self.rank = ((logits > own) | ((logits == own) & before)).sum(axis=1)

    def right(self, k: int) -> np.ndarray:
        return self.sound & (self.rank < k)


class _Photos:
    """Some photos' logits on both sides, and how far each photo moved between them."""

    def __init__(self, reference: np.ndarray, measured: np.ndarray, labels: np.ndarray):
        self.reference, self.measured = _Logits(reference, labels), _Logits(measured, labels)
        both_sound = self.reference.sound & self.measured.sound
        self.flipped = ~both_sound | (self.reference.decision != self.measured.decision)

        a, b = reference.astype(np.float64), measured.astype(np.float64)
        comparable = np.isfinite(a) & np.isfinite(b)
        a, b = np.where(comparable, a, 0), np.where(comparable, b, 0)
        self.moved = np.abs(a - b).max(axis=1)
        scale = np.abs(a).max(axis=1)
        # Against a reference of zeros any difference is total: 1, where dividing would say inf.
        scale = np.where(scale > 0, scale, self.moved)
        self.moved_relative = self.moved / np.where(scale > 0, scale, 1)
        self.tied = both_sound & (lead(reference) < self.moved)


def lead(logits: np.ndarray) -> np.ndarray:
    """By how much each photo's highest logit exceeds the second highest."""
    if logits.shape[1] == 1:
        return np.full(len(logits), np.inf)
    second, first = np.partition(logits, -2, axis=1)[:, -2:].T.astype(np.float64)
    with np.errstate(invalid="ignore"):  # inf − inf: such a photo is never tied
        return first - second


# --- judging ---


def gate(precision: str) -> str:
    """Which gate a target of this precision has to pass: numeric or statistical."""
    return "numeric" if precision == "fp32" else "statistical"


def judge(drift: Drift, precision: str, budget_pp: float | None = None) -> Verdict:
    """The verdict of the gate that a precision has; `budget_pp` as for `statistical_verdict`."""
    if gate(precision) == "numeric":
        return numeric_verdict(drift)
    return statistical_verdict(drift, budget_pp)


def numeric_verdict(drift: Drift) -> Verdict:
    """Whether the target computes what the reference does, up to rounding."""
    faults = _non_finite_faults(drift) or _numeric_faults(drift)
    reason = "; ".join(faults) or (
        f"over {_photos(drift.images)} the largest relative logit difference is "
        f"{drift.max_rel:.1e} and no top-1 class changed except on ties"
    )
    limit = f"relative logit difference <= {MAX_RELATIVE:.0e}, no top-1 change except on ties"
    return Verdict("fail" if faults else "pass", reason, {"kind": "numeric", "limit": limit})


def statistical_verdict(drift: Drift, budget_pp: float | None = None) -> Verdict:
    """Whether the loss of top-1 accuracy is within a budget, in percentage points.

    The budget defaults to 1 % of the reference top-1. The whole 95 % interval must lie on one side
    of it; otherwise more photos are needed, and the reason says how many.
    """
    if budget_pp is not None and not 0 <= budget_pp < math.inf:
        raise ValueError(f"a budget is a loss of 0 or more percentage points, not {budget_pp}")
    budget = BUDGET_SHARE * drift.reference_top1 if budget_pp is None else budget_pp / 100
    limit = f"top-1 loss <= {100 * budget:.2f} pp"
    if budget_pp is None:
        limit += f" ({BUDGET_SHARE:.0%} of the reference top-1)"

    def verdict(word: str, reason: str) -> Verdict:
        return Verdict(word, reason, {"kind": "statistical", "limit": limit})

    if faults := _non_finite_faults(drift):
        return verdict("fail", "; ".join(faults))
    if drift.reference_top1 == 0:
        return verdict(
            "undecided",
            f"the reference gets none of {_photos(drift.images)} right, so a loss cannot be seen",
        )
    low, high = drift.ci95.low, drift.ci95.high
    measurement = (
        f"the top-1 drift {100 * drift.top1:+.2f} pp "
        f"(95 % interval {100 * low:+.2f} to {100 * high:+.2f}, {_photos(drift.images)})"
    )
    allowed = f"a loss of {100 * budget:.2f} pp"
    if low >= -budget:
        # A file may be as accurate as the reference, and yet another classifier.
        changed = f"{drift.flips:,} decision{'s' * (drift.flips != 1)} changed"
        return verdict("pass", f"{measurement} stays within {allowed}; {changed}")
    if high < -budget:
        return verdict("fail", f"{measurement} is beyond {allowed}")
    return verdict(
        "undecided",
        f"{measurement} may or may not stay within {allowed}; {_what_decides(drift, budget)}",
    )


def _non_finite_faults(drift: Drift) -> list[str]:
    sides = {"the target": drift.non_finite, "the reference": drift.reference_non_finite}
    return [
        f"{side} computed {count:,} non-finite logit{'s' * (count > 1)}"
        for side, count in sides.items()
        if count
    ]


def _numeric_faults(drift: Drift) -> list[str]:
    faults = []
    if drift.max_rel > MAX_RELATIVE:
        # Six digits, so that a difference just over the limit does not read as the limit itself.
        faults.append(
            f"the largest relative logit difference {drift.max_rel:.6g} exceeds {MAX_RELATIVE:.0e}"
        )
    if drift.flips_beyond_tie:
        faults.append(
            f"{drift.flips_beyond_tie:,} of {_photos(drift.images)} changed the top-1 class "
            "by more than a tie explains"
        )
    return faults


def _what_decides(drift: Drift, budget: float) -> str:
    more = more_photos_to_exclude(-budget, drift.gained, drift.lost, drift.images)
    if more is None:
        return "the drift is exactly the budget, and no number of photos decides that"
    return f"about {more:,} more photo{'s' * (more > 1)} would decide it if these rates hold"


def _photos(count: int) -> str:
    return f"{count:,} photo{'s' * (count != 1)}"
