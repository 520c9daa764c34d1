"""The interval of a share of photos, and of a median."""

import math
from collections.abc import Sequence
from fractions import Fraction
from statistics import NormalDist


def wilson_interval(right: int, total: int, confidence: float = 0.95) -> tuple[float, float]:
    """The score interval of a proportion, as two proportions.

    Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22 (1927):
    the values p whose normal test (right/total - p) / sqrt(p (1 - p) / total) is not significant.
    Raises ValueError unless 0 <= right <= total and total > 0.
    """
    if total <= 0 or not 0 <= right <= total:
        raise ValueError(f"{right} of {total} is not a proportion")
    z2 = NormalDist().inv_cdf((1 + confidence) / 2) ** 2
    centre = (right + z2 / 2) / (total + z2)
    half = math.sqrt(z2 * (right * (total - right) / total + z2 / 4)) / (total + z2)
    # At the ends of the scale rounding would leave 0.9999999999999999.
    return centre - half if right else 0.0, centre + half if right < total else 1.0


def exact_high(count: int, total: int, risk: float) -> float:
    """The upper limit of a proportion that errs in at most a share `risk` of samples, whatever the
    proportion is: that of Clopper and Pearson, Biometrika 26 (1934), 404-413.

    It is the p at which so few as `count` of `total` have probability `risk`. Raises ValueError
    unless 0 <= count <= total and total > 0.
    """
    from scipy.special import betaincinv  # half a second, which --help does not need

    if total <= 0 or not 0 <= count <= total:
        raise ValueError(f"{count} of {total} is not a proportion")
    return 1.0 if count == total else float(betaincinv(count + 1, total - count, 1 - risk))


def exact_interval(count: int, total: int, confidence: float = 0.95) -> tuple[float, float]:
    """Clopper and Pearson's interval of a proportion: each of its limits errs in at most half of
    the risk that the confidence leaves."""
    risk = (1 - confidence) / 2
    return 1 - exact_high(total - count, total, risk), exact_high(count, total, risk)


def median_ranks(count: int, confidence: float = 0.95) -> tuple[int, int] | None:
    """The interval of a median, as ranks from 0 in the ordered sample; None for too few values.

    Le Boudec, "Performance Evaluation of Computer and Communication Systems" (2010), theorem 2.1:
    the number of values below the median is binomial with p = 1/2, so that the interval needs no
    assumption about the distribution. Six values are the fewest for 95 %.
    """
    tail = Fraction((1 - confidence) / 2) * 2**count
    below, term = 0, 1  # term: count over rank
    for rank in range(count // 2 + 1):
        below += term
        if below > tail:
            return (rank - 1, count - rank) if rank else None
        term = term * (count - rank) // (rank + 1)
    return None


def median_interval(values: Sequence[float], confidence: float = 0.95) -> tuple[float, float]:
    """The interval of the median of a sample; the whole sample where it is too small for one."""
    ordered = sorted(values)
    low, high = median_ranks(len(ordered), confidence) or (0, len(ordered) - 1)
    return ordered[low], ordered[high]
