"""What photos without labels say about a loss of top-1; docs/verdicts.md derives it.

A reference and a target decide each photo; nobody knows who is right. Only where the two differ can
one be right and the other wrong, so that

- `bound`: top-1 cannot have fallen by more than the share of changed decisions, whoever is right;
- `estimate`: where the reference's probabilities are right, a changed decision costs
  p(old) − p(new), which is never negative, since the old decision was the likeliest;
- `powered_interval`: labelled photos tell how far that estimate is off (prediction-powered
  inference: Angelopoulos, Bates, Fannjiang, Jordan & Zrnic, Science 382, 2023, 669-674).

Each limit of each interval is meant to err in at most 2.5 % of samples, as in the statistical gate.
"""

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from common.intervals import exact_high
from deploy.verdict.drift import Comparison, decisions, measure_drift
from deploy.verdict.paired import two_digits
from deploy.verdict.probabilities import NOT_FITTED, Temperature, fit_temperature, probability

RISK = 0.025  # that a limit is wrong: one side of a two-sided 95 % interval
STRINGER = "Stringer bound"
POWERED = "prediction-powered, normal"
FEWEST_CHANGED = 30  # labelled photos with changed decisions, for the normal interval to hold
FURTHER = 2.0  # no photo's logits are taken to move by more than so often the largest move seen


@dataclass(frozen=True)
class Interval:
    """An estimate of the drift of top-1 and its 95 % interval, in proportions."""

    drift: float
    low: float
    high: float


def bound(changed: int, photos: int) -> float:
    """The most that top-1 can have fallen, as a proportion: the exact upper limit of the share of
    changed decisions, one-sided at 97.5 %."""
    return exact_high(changed, photos, RISK)


def more_photos_to_bound(loss: float, changed: int, photos: int) -> int | None:
    """How many more photos, to two significant digits, would bring `bound` down to a loss, at the
    same rate of changes; None where that rate is itself no less."""
    rate = changed / photos
    if rate >= loss:
        return None
    total = photos
    while bound(math.floor(rate * total), total) > loss:
        total = two_digits(math.ceil(1.02 * total) + 1)
    return max(1, total - photos)


# --- the estimate ---


def expected_losses(
    reference: np.ndarray, old: np.ndarray, new: np.ndarray, temperature: float
) -> np.ndarray:
    """p(old) − p(new) of each photo, float64 [photos], by the reference's logits [photos, classes].

    `old` is the reference's decision, so that no loss is negative, and those of unchanged decisions
    are 0. Logits are finite.
    """
    losses = np.zeros(len(reference))
    changed = old != new
    rows = reference[changed]
    losses[changed] = probability(rows, old[changed], temperature)
    losses[changed] -= probability(rows, new[changed], temperature)
    return np.maximum(losses, 0)  # of equal logits rounding would leave less


def largest_loss(moved: float, temperature: float) -> float:
    """The most that one photo can cost where no logit moves by more than `FURTHER` times `moved`.

    A decision changes only where the old class leads by no more than both logits move together, 2m,
    and p(old) − p(new) is at most tanh(lead / 2T).
    """
    return math.tanh(FURTHER * moved / temperature)


def estimate(losses: np.ndarray, largest: float) -> Interval:
    """The mean drift, −mean(losses), and its interval.

    Most losses are 0, so that the normal interval would be empty where no decision changed, and too
    narrow where few did. These limits are the auditors' (Stringer 1963; Bickel, Int. Stat. Review
    60, 1992, 197-209): with losses z₁ ≥ z₂ ≥ … of the k changed decisions, 0 ≤ z ≤ `largest`, and
    u(j) the exact upper limit for j of n,

        mean ≤ largest · u(0) + Σ (u(j) − u(j−1)) · z(j),

    and the lower one is the same limit of `largest` − z. No proof is known that they hold at every
    distribution; docs/verdicts.md has what simulations found.
    """
    found = np.sort(losses[losses > 0])[::-1]
    n, k = len(losses), len(found)
    if k and found[0] > largest:
        largest = float(found[0])
    upper = np.array([exact_high(j, n, RISK) for j in range(k + 1)])
    lower = np.array([1 - exact_high(n - j, n, RISK) for j in range(k + 1)])
    most = largest * upper[0] + float(np.diff(upper) @ found)
    least = float(np.diff(lower) @ found)
    return Interval(-float(losses.mean()), -most, -least)


# --- with labelled photos beside ---


def powered_interval(
    gains: np.ndarray, losses: np.ndarray, more_losses: np.ndarray
) -> Interval | None:
    """The prediction-powered drift and its normal 95 % interval.

    Of the labelled photos `gains` says what each decision's change did (1: gained, −1: lost, 0) and
    `losses` what was expected of it (`expected_losses`), `more_losses` of those without labels:
    mean(−more_losses) + mean(gains + losses), the second mean being how far the expectation is off.
    None where fewer than `FEWEST_CHANGED` labelled photos, or others, have changed decisions.
    """
    changed = int((losses > 0).sum()), int((more_losses > 0).sum())
    if min(changed) < FEWEST_CHANGED:
        return None
    off = gains + losses
    drift = float(off.mean() - more_losses.mean())
    variance = off.var(ddof=1) / len(off) + more_losses.var(ddof=1) / len(more_losses)
    half = NormalDist().inv_cdf(1 - RISK) * math.sqrt(variance)
    return Interval(drift, max(-1.0, drift - half), min(1.0, drift + half))


# --- all of it, of a target's decisions ---


@dataclass(frozen=True)
class Decisions:
    """What the decisions of all photos say, with labels or without.

    `compared` leaves labels aside. What needs the reference's probabilities is None where they are
    not known, or where a logit is not finite; `largest` is what one photo may cost at most, as a
    proportion.
    """

    compared: Comparison
    expected_top1: float | None = None
    estimate: Interval | None = None
    largest: float = 1.0
    temperature: Temperature = NOT_FITTED
    powered: Interval | None = None


def weigh(reference: np.ndarray, measured: np.ndarray, labels: np.ndarray | None) -> Decisions:
    """What a target's logits [photos, classes], held against the reference's, say without labels.

    `labels`, int, are those of the first photos (None: there are none); they fit the temperature,
    and where there are others without, put the estimate right.
    """
    compared = measure_drift(reference, measured, None)
    if compared.drift.non_finite or compared.reference_non_finite:
        return Decisions(compared)
    known = 0 if labels is None else len(labels)
    temperature = NOT_FITTED if labels is None else fit_temperature(reference[:known], labels)
    old, new = decisions(reference), decisions(measured)
    losses = expected_losses(reference, old, new, temperature.value)
    largest = largest_loss(compared.drift.max_abs, temperature.value)
    powered = None
    if labels is not None and known < len(reference):
        gains = (new[:known] == labels).astype(int) - (old[:known] == labels)
        powered = powered_interval(gains, losses[:known], losses[known:])
    return Decisions(
        compared=compared,
        expected_top1=float(probability(reference, old, temperature.value).mean()),
        estimate=estimate(losses, largest),
        largest=largest,
        temperature=temperature,
        powered=powered,
    )
