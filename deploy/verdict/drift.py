"""How far a target drifted from the reference, and whether that is within its budget.

`measure_drift` turns two sets of logits for the same photos into a `Comparison`; two gates turn
that into a `Verdict`. The numeric gate is for steps that promise the same arithmetic (fp32 to
fp32), the statistical one for those that do not (fp16, bf16, int8).
"""

import math
from dataclasses import dataclass

import numpy as np

from deploy.verdict.paired import more_photos_to_exclude, paired_interval
from deploy.verdict.result import Accuracy, Budget, Drift, Judged, Reference

MAX_RELATIVE = 1e-3  # the numeric gate's limit on a photo's relative logit difference
BUDGET_SHARE = 0.01  # of the reference top-1: MLPerf Inference's 99 % rule
_CHUNK = 1 << 22  # logits compared at a time, which bounds the memory used


@dataclass(frozen=True)
class Comparison:
    """Two sides' logits of the same photos, compared: a result's three objects, and the rest."""

    images: int
    reference: Reference
    measured: Accuracy
    drift: Drift
    reference_non_finite: int = 0  # logits of the reference that are not finite

    @property
    def flips(self) -> int:
        """Photos with unequal decisions."""
        return round((1 - self.drift.agreement) * self.images)


@dataclass(frozen=True)
class Verdict:
    """What a gate says: pass, fail or undecided, one sentence why, and the budget applied."""

    verdict: Judged
    reason: str
    budget: Budget


# --- comparing ---


def measure_drift(reference: np.ndarray, measured: np.ndarray, labels: np.ndarray) -> Comparison:
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
    return Comparison(
        images=images,
        reference=Reference(
            runtime="paddle",
            top1=total(lambda p: p.reference.right(1).sum()) / images,
            top5=total(lambda p: p.reference.right(5).sum()) / images,
        ),
        measured=Accuracy(
            top1=total(lambda p: p.measured.right(1).sum()) / images,
            top5=total(lambda p: p.measured.right(5).sum()) / images,
        ),
        drift=Drift(
            top1_pp=100 * (gained - lost) / images,
            **interval_fields(gained, lost, images),
            agreement=total(lambda p: (~p.flipped).sum()) / images,
            gained=gained,
            lost=lost,
            flips_beyond_tie=total(lambda p: (p.flipped & ~p.tied).sum()),
            max_abs=max(float(p.moved.max()) for p in parts),
            max_rel=max(float(p.moved_relative.max()) for p in parts),
            non_finite=total(lambda p: p.measured.non_finite),
            non_finite_photos=total(lambda p: (~p.measured.sound).sum()),
        ),
        reference_non_finite=total(lambda p: p.reference.non_finite),
    )


def interval_fields(gained: int, lost: int, images: int) -> dict:
    """The fields "ci95_pp" and "ci_method" of a drift."""
    found = paired_interval(gained, lost, images)
    return {"ci95_pp": (100 * found.low, 100 * found.high), "ci_method": found.method}


def decisions(logits: np.ndarray) -> np.ndarray:
    """The top-1 class of each photo, int64 [photos]; -1 where a logit is not finite."""
    return np.where(np.isfinite(logits).all(axis=1), logits.argmax(axis=1), -1)


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
        self.decision = decisions(logits)
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


def judge(found: Comparison, precision: str, budget_pp: float | None = None) -> Verdict:
    """The verdict of the gate that a precision has; `budget_pp` as for `statistical_verdict`."""
    if gate(precision) == "numeric":
        return numeric_verdict(found)
    return statistical_verdict(found, budget_pp)


def numeric_verdict(found: Comparison) -> Verdict:
    """Whether the target computes what the reference does, up to rounding."""
    faults = _non_finite_faults(found) or _numeric_faults(found)
    reason = "; ".join(faults) or (
        f"over {_photos(found.images)} the largest relative logit difference is "
        f"{found.drift.max_rel:.1e} and no top-1 class changed except on ties"
    )
    limit = f"relative logit difference <= {MAX_RELATIVE:.0e}, no top-1 change except on ties"
    return Verdict("fail" if faults else "pass", reason, Budget(kind="numeric", limit=limit))


def statistical_verdict(found: Comparison, budget_pp: float | None = None) -> Verdict:
    """Whether the loss of top-1 accuracy is within a budget, in percentage points.

    The budget defaults to 1 % of the reference top-1. The whole 95 % interval must lie on one side
    of it; otherwise more photos are needed, and the reason says how many.
    """
    if budget_pp is not None and not 0 <= budget_pp < math.inf:
        raise ValueError(f"a budget is a loss of 0 or more percentage points, not {budget_pp}")
    loss = 100 * BUDGET_SHARE * found.reference.top1 if budget_pp is None else budget_pp
    limit = f"top-1 loss <= {loss:.2f} pp"
    if budget_pp is None:
        limit += f" ({BUDGET_SHARE:.0%} of the reference top-1)"

    def verdict(word: Judged, reason: str) -> Verdict:
        return Verdict(word, reason, Budget(kind="statistical", limit=limit))

    if faults := _non_finite_faults(found):
        return verdict("fail", "; ".join(faults))
    if found.reference.top1 == 0:
        return verdict(
            "undecided",
            f"the reference gets none of {_photos(found.images)} right, so a loss cannot be seen",
        )
    low, high = found.drift.ci95_pp
    measurement = (
        f"the top-1 drift {found.drift.top1_pp:+.2f} pp "
        f"(95 % interval {low:+.2f} to {high:+.2f}, {_photos(found.images)})"
    )
    allowed = f"a loss of {loss:.2f} pp"
    if low >= -loss:
        # A file may be as accurate as the reference, and yet another classifier.
        changed = f"{found.flips:,} decision{'s' * (found.flips != 1)} changed"
        return verdict("pass", f"{measurement} stays within {allowed}; {changed}")
    if high < -loss:
        return verdict("fail", f"{measurement} is beyond {allowed}")
    return verdict(
        "undecided",
        f"{measurement} may or may not stay within {allowed}; {_what_decides(found, loss)}",
    )


def _non_finite_faults(found: Comparison) -> list[str]:
    sides = {"the target": found.drift.non_finite, "the reference": found.reference_non_finite}
    return [
        f"{side} computed {count:,} non-finite logit{'s' * (count > 1)}"
        for side, count in sides.items()
        if count
    ]


def _numeric_faults(found: Comparison) -> list[str]:
    faults, drift = [], found.drift
    if drift.max_rel > MAX_RELATIVE:
        # Six digits, so that a difference just over the limit does not read as the limit itself.
        faults.append(
            f"the largest relative logit difference {drift.max_rel:.6g} exceeds {MAX_RELATIVE:.0e}"
        )
    if drift.flips_beyond_tie:
        faults.append(
            f"{drift.flips_beyond_tie:,} of {_photos(found.images)} changed the top-1 class "
            "by more than a tie explains"
        )
    return faults


def _what_decides(found: Comparison, loss: float) -> str:
    drift = found.drift
    more = more_photos_to_exclude(-loss / 100, drift.gained, drift.lost, found.images)
    if more is None:
        return "the drift is exactly the budget, and no number of photos decides that"
    return f"about {more:,} more photo{'s' * (more > 1)} would decide it if these rates hold"


def _photos(count: int) -> str:
    return f"{count:,} photo{'s' * (count != 1)}"
