"""Confidence intervals for the difference of two paired proportions.

Every photo is judged twice, by the reference and by the target: `gained` photos are right only
the second time, `lost` photos only the first. With g = gained/n and l = lost/n, the drift is
θ = g − l, and only the discordant photos (gained + lost) say anything about it.

Two formulas, chosen by `paired_interval` from the discordant photos alone:

- more than EXACT_UP_TO of them: Tango's score interval (Statistics in Medicine 17, 1998, 891-908),
  the θ which the score test does not reject; by enumeration at 1,000 photos either side then errs
  in at most 3.3 % of samples, and both together in at most 5.6 %;
- otherwise an exact interval, since there either side of the score interval errs in up to 5 %
  (1,000 photos) or 15 % (8 photos) of samples instead of 2.5 %. Its lower limit is Buehler's: the
  θ at which the outcomes at least as favourable as the observed one have probability α/2, favour
  being the order of Tango's own lower limit (Buehler, JASA 52, 1957, 482-493; Kabaila, DOI
  10.1007/BF02741305). The rate of lost photos, unknown too, is put at its worst value within a
  confidence bound whose risk is taken off α/2 (Berger & Boos, JASA 89, 1994, 1012-1016). The
  upper limit mirrors it. Each side errs in at most 2.5 % of samples, whatever the two rates.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from common.intervals import exact_high

EXACT_UP_TO = 50  # discordant photos; the exact interval takes about 0.1 s here
TANGO = "Tango 1998 score"
EXACT = "exact unconditional (Buehler limits in the order of Tango's)"

_BERGER_BOOS = 1 / 50  # share of α spent on bounding the nuisance rate
_STEPS = 32  # the grid of nuisance rates
_GRID_ERROR = 2e-5  # more than that grid misses of the worst probability
_HALVINGS = 60


@dataclass(frozen=True)
class Interval:
    """A confidence interval for (gained − lost)/n, in proportions, and the formula behind it."""

    low: float
    high: float
    method: str


def paired_interval(gained: int, lost: int, n: int, confidence: float = 0.95) -> Interval:
    """The two-sided confidence interval for the drift (gained − lost)/n of n paired photos."""
    _check(gained, lost, n, confidence)
    return Interval(
        low=_low(gained, lost, n, confidence),
        high=-_low(lost, gained, n, confidence),  # the mirrored question
        method=EXACT if gained + lost <= EXACT_UP_TO else TANGO,
    )


def more_photos_to_exclude(
    theta: float, gained: int, lost: int, n: int, confidence: float = 0.95
) -> int | None:
    """How many more photos would put the drift θ outside the interval, to two significant digits.

    The observed rates are assumed to hold, with counts rounded to whole photos. None where the
    estimate is θ itself: then no number of photos would. Tango's statistic grows with √n at fixed
    rates, so n′ = z²·v/(g − l − θ)² solves it. Exact intervals and whole counts differ from that
    by some percent, so the answer is sought upwards from a little below.
    """
    _check(gained, lost, n, confidence)
    distance = abs((gained - lost) / n - theta)
    if distance <= 1e-12:
        return None
    variance = float(_score_variance(gained / n, lost / n, theta))
    enough = _z(confidence) ** 2 * variance / distance**2
    more = two_digits(max(1, math.ceil(0.96 * enough) - n))
    while not _excluded(theta, gained, lost, n, n + more, confidence):
        more = two_digits(more + 1)
    return more


def _excluded(theta: float, gained: int, lost: int, n: int, scaled: int, confidence: float) -> bool:
    gained, lost = round(gained * scaled / n), round(lost * scaled / n)
    if gained - lost < theta * scaled:
        gained, lost, theta = lost, gained, -theta
    return _rejects(gained, lost, scaled, confidence)(theta)


def two_digits(count: int) -> int:
    """The next number with at most two significant digits."""
    unit = 10 ** max(0, len(str(count)) - 2)
    return -(-count // unit) * unit


def _check(gained: int, lost: int, n: int, confidence: float) -> None:
    if n < 1:
        raise ValueError(f"an interval needs at least one photo, not {n}")
    if gained < 0 or lost < 0 or gained + lost > n:
        raise ValueError(f"{gained} gained and {lost} lost photos are impossible out of {n}")
    if not 0 < confidence < 1:
        raise ValueError(f"a confidence lies between 0 and 1, unlike {confidence}")


def _z(confidence: float) -> float:
    return NormalDist().inv_cdf((1 + confidence) / 2)


def _low(gained: int, lost: int, n: int, confidence: float) -> float:
    """The lower limit: the furthest θ, from −1 up to the estimate, that is rejected."""
    exact = gained + lost <= EXACT_UP_TO
    # To about 1e-5 photos, on the wide side; each step of the exact test takes milliseconds.
    halvings = 16 + n.bit_length() if exact else _HALVINGS
    return _last_true(_rejects(gained, lost, n, confidence), -1.0, (gained - lost) / n, halvings)


def _rejects(gained: int, lost: int, n: int, confidence: float) -> Callable[[float], bool]:
    """The one-sided test of "the drift is θ" against "it is more", at level α/2."""
    if gained + lost > EXACT_UP_TO:
        z = _z(confidence)
        return lambda theta: _excess(gained, lost, n, theta, z) >= 0
    risk = _BERGER_BOOS * (1 - confidence)
    weaker = _WeakerOutcomes(gained, lost, n, confidence, exact_high(lost, n, risk))
    return lambda theta: 1 - weaker.least_probability(theta) <= (1 - confidence) / 2 - risk


# --- Tango's score test ---


def _score_variance(g, l, theta):  # noqa: E741 - the module's notation
    """n times the variance of the estimate where the drift is θ, at the likeliest rate of losses.

    v = 2q + θ(1 − θ), q the larger root of 2q² + (θ(2 − g + l) − g − l)q − lθ(1 − θ) = 0.
    """
    b = theta * (2 - g + l) - g - l
    root = np.sqrt(np.maximum(b * b + 8 * l * theta * (1 - theta), 0))
    return np.maximum((root - b) / 2 + theta * (1 - theta), 0)


def _excess(gained, lost, n: int, theta: float, z: float):
    """How far the estimate exceeds θ beyond what the score test lets pass; in photos."""
    variance = _score_variance(gained / n, lost / n, theta)
    return gained - lost - n * theta - z * np.sqrt(n * variance)


def _tango_low(gained: int, lost: int, n: int, confidence: float) -> float:
    z = _z(confidence)
    return _last_true(
        lambda theta: _excess(gained, lost, n, theta, z) >= 0, -1.0, (gained - lost) / n, _HALVINGS
    )


# --- the exact test ---


class _WeakerOutcomes:
    """The outcomes (gained, lost) whose lower limit by Tango is below that of the observed one.

    Raising the count of gained, or lowering that of lost, photos never makes an outcome weaker, so
    the probability of them all falls as θ grows at a fixed rate of lost photos: the limit is found
    by halving. Counts beyond the table are left out, which can only lower that probability, that
    is, widen the interval (by less than 1e-9 in probability).
    """

    def __init__(self, gained: int, lost: int, n: int, confidence: float, most_lost: float):
        self.most_lost = most_lost
        expected = n * most_lost
        lost_end = min(n, math.ceil(expected + 6 * math.sqrt(expected) + 8))
        gained_end = min(n, gained + 2 * lost_end + 10)
        x, y = np.meshgrid(np.arange(gained_end + 1), np.arange(lost_end + 1))
        limit = _tango_low(gained, lost, n, confidence)
        # The observed outcome is itself at zero, up to rounding, and must not count as weaker.
        weak = (_excess(x, y, n, limit, _z(confidence)) < -1e-6) & (x + y <= n)
        x, y = x[weak], y[weak]
        self.counts = np.stack([x, y, n - x - y], axis=1).astype(float)
        k = np.arange(gained_end + lost_end + 1)
        log_factorial = np.cumsum(np.log(np.maximum(k, 1)))
        log_falling = np.append(0, np.cumsum(np.log(np.maximum(n - k, 1))))  # n!/(n − k)!
        self.log_ways = log_falling[x + y] - log_factorial[x] - log_factorial[y]

    def least_probability(self, theta: float) -> float:
        """Their probability under the drift θ, least over the rates of lost photos allowed."""
        low, high, top = max(0.0, -theta), self.most_lost, (1 - theta) / 2
        if low > high:
            return 1.0
        # Steps in the arcsine scale, in which counts spread evenly; then finer ones at each dip.
        share = min(1.0, (high - low) / max(top - low, 1e-300))
        steps = np.linspace(0, math.asin(math.sqrt(share)), _STEPS)
        rates = low + (top - low) * np.sin(steps) ** 2
        at = self._probability(theta, rates)
        dips = [i for i in range(_STEPS) if at[i] == at[max(i - 1, 0) : i + 2].min()]
        finer = [np.linspace(rates[max(i - 1, 0)], rates[min(i + 1, _STEPS - 1)], 9) for i in dips]
        return self._probability(theta, np.concatenate(finer)).min() - _GRID_ERROR

    def _probability(self, theta: float, lost_rates: np.ndarray) -> np.ndarray:
        """The trinomial probability of the outcomes, one value for each rate of lost photos."""
        rates = np.stack([lost_rates + theta, lost_rates, 1 - 2 * lost_rates - theta])
        logs = np.log(np.maximum(rates, 1e-300))  # 0 photos at rate 0 have probability 1
        return np.exp(self.log_ways[:, None] + self.counts @ logs).sum(axis=0)


def _last_true(condition, low: float, high: float, halvings: int) -> float:
    """The largest number, up to rounding, at which a condition true from `low` on still holds.

    Brent's method would stop at the wrong place: where no photo is discordant Tango's statistic
    is zero at the estimate too, which is the other end of the search.
    """
    for _ in range(halvings):
        middle = (low + high) / 2
        if condition(middle):
            low = middle
        else:
            high = middle
    return low
