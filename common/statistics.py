"""The interval of a share of photos."""

import math
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
