"""How far a target drifted from the reference: two sets of logits for the same photos, compared.

Whether that is within its budget is for `deploy.verdict.gates` to say.
"""

import dataclasses
from dataclasses import dataclass

import numpy as np

from common.mapped import by_rows, chunks
from deploy.verdict.paired import paired_interval
from deploy.verdict.result import Accuracy, Drift, Reference


@dataclass(frozen=True)
class Comparison:
    """Two sides' logits of the same photos, compared: a result's three objects, and the rest.

    Photos without labels have no accuracy, and none of the drift's figures that count right ones.
    """

    images: int
    reference: Reference | None
    measured: Accuracy | None
    drift: Drift
    reference_non_finite: int = 0  # logits of the reference that are not finite

    @property
    def flips(self) -> int:
        """Photos with unequal decisions."""
        return round((1 - self.drift.agreement) * self.images)


def measure_drift(
    reference: np.ndarray, measured: np.ndarray, labels: np.ndarray | None
) -> Comparison:
    """Hold a target's logits [photos, classes] against the reference's on the same photos; their
    labels are int [photos], or None where they have none."""
    reference, measured = map(np.asarray, (reference, measured))
    _check(reference, measured, labels)
    images = len(reference)
    sides = (reference, measured) if labels is None else (reference, measured, np.asarray(labels))
    parts = [_Photos(*part) for part in chunks(*sides)]

    def total(count) -> int:
        return sum(int(count(part)) for part in parts)

    moved = Drift(
        agreement=total(lambda p: (~p.flipped).sum()) / images,
        flips_beyond_tie=total(lambda p: (p.flipped & ~p.tied).sum()),
        max_abs=max(float(p.moved.max()) for p in parts),
        max_rel=max(float(p.moved_relative.max()) for p in parts),
        non_finite=total(lambda p: p.measured.non_finite),
        non_finite_photos=total(lambda p: (~p.measured.sound).sum()),
    )
    reference_non_finite = total(lambda p: p.reference.non_finite)
    if labels is None:
        return Comparison(images, None, None, moved, reference_non_finite)
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
        drift=dataclasses.replace(
            moved,
            top1_pp=100 * (gained - lost) / images,
            **interval_fields(gained, lost, images),
            gained=gained,
            lost=lost,
        ),
        reference_non_finite=reference_non_finite,
    )


def interval_fields(gained: int, lost: int, images: int) -> dict:
    """The fields "ci95_pp" and "ci_method" of a drift."""
    found = paired_interval(gained, lost, images)
    return {"ci95_pp": (100 * found.low, 100 * found.high), "ci_method": found.method}


def decisions(logits: np.ndarray) -> np.ndarray:
    """The top-1 class of each photo, int64 [photos]; -1 where a logit is not finite."""
    return by_rows(_decisions, logits)


def _decisions(logits: np.ndarray) -> np.ndarray:
    return np.where(np.isfinite(logits).all(axis=1), logits.argmax(axis=1), -1)


def _check(reference: np.ndarray, measured: np.ndarray, labels: np.ndarray | None) -> None:
    if reference.ndim != 2 or reference.shape != measured.shape:
        raise ValueError(
            "logits to compare must be two arrays [photos, classes] of one shape, "
            f"not {reference.shape} and {measured.shape}"
        )
    images, classes = reference.shape
    if images == 0 or classes == 0:
        raise ValueError(f"there is nothing to compare in logits of shape {reference.shape}")
    if labels is None:
        return
    labels = np.asarray(labels)
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

    def __init__(self, logits: np.ndarray, labels: np.ndarray | None):
        finite = np.isfinite(logits)
        self.non_finite = int((~finite).sum())
        self.sound = finite.all(axis=1)
        self.decision = _decisions(logits)
        if labels is None:
            return
        own = np.take_along_axis(logits, labels[:, None], axis=1)
        before = np.arange(logits.shape[1]) < labels[:, None]
        # Of equal logits the lower class comes first, as argmax has it.
        self.rank = ((logits > own) | ((logits == own) & before)).sum(axis=1)

    def right(self, k: int) -> np.ndarray:
        return self.sound & (self.rank < k)


class _Photos:
    """Some photos' logits on both sides, and how far each photo moved between them."""

    def __init__(
        self, reference: np.ndarray, measured: np.ndarray, labels: np.ndarray | None = None
    ):
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
