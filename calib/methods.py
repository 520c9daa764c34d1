"""From a histogram to the range that a tensor's integers cover: four published methods.

A method takes the histogram and the target's grid, and returns (low, high), zero included:

- symmetric, 255 levels: the integers -127…127 times `high / 127`, and low = -high, for signed
  INT8 (TensorRT, Paddle Lite). Where nothing is negative, half of the levels stay unused.
- not symmetric, 256 levels: 256 numbers `(high - low) / 255` apart, of which one is zero, for
  unsigned INT8 with a zero point (ONNX Runtime).

With `reduce_range` a target has half as many levels. Only MSE and entropy depend on their number.
"""

import math
from collections.abc import Callable, Mapping

import numba
import numpy as np

from calib.histogram import HALF, Histogram

Range = tuple[float, float]
Method = Callable[..., Range]

# Wu et al., "Integer Quantization for Deep Learning Inference" (2020), compare 99.9 to 99.9999:
# below 99.99 networks with wide tails lose points, and with 99.999 none lost more than the best
# method by much. It is also ONNX Runtime's default.
PERCENTILE = 99.999


def minmax(histogram: Histogram, symmetric: bool = False, levels: int | None = None) -> Range:
    """Everything seen: nothing is cut off, and one outlier makes every step coarser.

    Krishnamoorthi, "Quantizing deep convolutional networks for efficient inference" (2018), 3.1.
    """
    low, high = _extremes(histogram)
    return _centred(max(-low, high)) if symmetric else (low, high)


def percentile(
    histogram: Histogram,
    symmetric: bool = False,
    levels: int | None = None,
    share: float = PERCENTILE,
) -> Range:
    """All but the outermost values; `share` is how many of the values stay inside, in percent.

    McKinstry et al., "Discovering low-precision networks close to full-precision networks" (2018).
    Symmetric: that share of the magnitudes. Otherwise each end loses half of the rest, or the only
    end loses it all where no value, or every value, is negative. Values within a bin count as
    evenly spread, so the result is within a bin of the exact one.
    """
    low, high = _extremes(histogram)
    if symmetric:
        most = max(-low, high)
        return _centred(min(_quantile(_fold(histogram.counts), 0, share, histogram), most) or most)
    outside = (100 - share) / (2 if low < 0 < high else 1)
    if low < 0:
        low = max(low, min(0.0, _quantile(histogram.counts, -HALF, outside, histogram)))
    if high > 0:
        high = min(high, max(0.0, _quantile(histogram.counts, -HALF, 100 - outside, histogram)))
    return (low, high) if low < high else _extremes(histogram)  # all but a few are zeros


def entropy(histogram: Histogram, symmetric: bool = False, levels: int | None = None) -> Range:
    """The clipping that loses the least information: Kullback and Leibler's divergence.

    Migacz, "8-bit inference with TensorRT" (GTC 2017): of all thresholds take the one whose
    clipped distribution P, with the outliers added to its outermost bins, is told best by Q, the
    same bins without outliers, averaged within each of the grid's levels over the bins that are
    not empty. Symmetric: the magnitudes on 128 levels. Otherwise both ends are clipped at the same
    magnitude (an end that lies nearer to zero stays whole), on 256 levels.

    Where the published recipe is known to go wrong, this departs from it:
    - Exact zeros are left out. After a ReLU they are half of all values, every grid has a zero, and
      averaging them over the innermost level would push the threshold down.
    - Levels are equally wide; the recipe gives the remainder of the division to the last one.
    - A threshold that puts outliers where Q has nothing has an infinite divergence, and loses.
    - With few values per bin, noise looks like information, more so the more bins there are, and
      the threshold shrinks: bins are joined until they hold 32 values on average, or until there
      are only four for each level.

    Thresholds are tried every eight bins, so with a resolution of 1/512 of the range or better.
    """
    low, high = _extremes(histogram)
    levels = _level_count(symmetric, levels)
    counts = histogram.counts.copy()
    counts[HALF] -= histogram.zeros
    if symmetric:
        levels = (levels + 1) // 2
        below, above = counts[:0], _fold(counts)
    else:
        below, above = counts[:HALF][::-1], counts[HALF:]
    # Outwards from zero, as far as there are values.
    below, above = np.trim_zeros(below, "b"), np.trim_zeros(above, "b")
    if not below.size + above.size:
        return minmax(histogram, symmetric)
    doublings = 0
    while (
        below.sum() + above.sum() < 32 * (below.size + above.size)
        and below.size + above.size >= 8 * levels
    ):
        below, above = _paired(below), _paired(above)
        doublings += 1
    stride = max(8 >> doublings, 1)
    kept = _least_divergence(below, above, levels, stride)
    threshold = kept * histogram.width * 2.0**doublings
    if symmetric:
        return _centred(min(threshold, max(-low, high)))
    return max(low, -threshold), min(high, threshold)


def mse(histogram: Histogram, symmetric: bool = False, levels: int | None = None) -> Range:
    """The range with the least mean squared error, of rounding and clipping together.

    The criterion of Shin et al. (2016), as Choukroun et al., "Low-bit quantization of neural
    networks for efficient inference" (2019), apply it after training. The error is integrated in
    closed form, the values within a bin taken as evenly spread; exact zeros cost nothing. Searched:
    the extremes times 1/100, 2/100 … 100/100; where there are values on both sides and the grid
    need not be symmetric, then each end on its own in the same steps, the other fixed.
    """
    low, high = _extremes(histogram)
    levels = _level_count(symmetric, levels)
    counts = histogram.counts.copy()
    counts[HALF] -= histogram.zeros
    fractions = np.arange(1, 101) / 100
    if symmetric:
        thresholds = fractions * max(-low, high)
        lows, highs, first, counts = -thresholds, thresholds, 0, _fold(counts)
    else:
        lows, highs, first = fractions * low, fractions * high, -HALF
    used = np.flatnonzero(counts)
    if used.size == 0:
        return minmax(histogram, symmetric)
    first, counts = first + int(used[0]), counts[used[0] : used[-1] + 1]

    def best(lows: np.ndarray, highs: np.ndarray) -> Range:
        grids = _grids(lows, highs, symmetric, levels)
        return min(
            zip(_squared_errors(counts, first, histogram.width, *grids), lows, highs, strict=True)
        )[1:]

    chosen = best(lows, highs)
    if not symmetric and low < 0 < high:
        chosen = best(np.full_like(lows, chosen[0]), highs)
        chosen = best(lows, np.full_like(highs, chosen[1]))
    lows, highs = (np.array([end]) for end in chosen)
    step, least, most = _grids(lows, highs, symmetric, levels)
    return float(least[0] * step[0]), float(most[0] * step[0])


METHODS: Mapping[str, Method] = {
    "minmax": minmax,
    "percentile": percentile,
    "entropy": entropy,
    "mse": mse,
}


# ---- what the methods share ----


def _extremes(histogram: Histogram) -> Range:
    """The smallest and the largest value, widened to include zero."""
    if histogram.non_finite:
        raise ValueError(f"{histogram.non_finite} values are infinite or not a number")
    if not histogram.count:
        raise ValueError("no values were seen, so there is no range")
    return _usable(min(histogram.minimum, 0.0), max(histogram.maximum, 0.0))


def _usable(low: float, high: float) -> Range:
    """The range, or the unit range for only zeros: any will do but one whose scale is zero."""
    return (low, high) if low < high else (0.0, 1.0)


def _centred(threshold: float) -> Range:
    return -threshold, threshold


def _level_count(symmetric: bool, levels: int | None) -> int:
    return levels or (255 if symmetric else 256)


def _fold(counts: np.ndarray) -> np.ndarray:
    """The counts of the magnitudes, from zero outwards: int64 [HALF]."""
    return counts[HALF:] + counts[:HALF][::-1]


def _paired(counts: np.ndarray) -> np.ndarray:
    """Bins twice as wide."""
    even = np.append(counts, 0) if counts.size % 2 else counts
    return even.reshape(-1, 2).sum(axis=1)


def _quantile(counts: np.ndarray, first: int, percent: float, histogram: Histogram) -> float:
    """Where a share of the counts lies below; bin 0 of `counts` starts at `first` widths."""
    total = counts.cumsum()
    wanted = total[-1] * percent / 100
    place = min(int(np.searchsorted(total, wanted, side="left")), counts.size - 1)
    zeros = histogram.zeros if place == -first else 0  # they lie at their bin's start, not in it
    spread = counts[place] - zeros
    inside = wanted - (total[place] - spread)
    return float(first + place + (max(inside, 0.0) / spread if spread else 0.0)) * histogram.width


# ---- entropy ----


@numba.njit(nogil=True, cache=True)
def _least_divergence(below, above, levels, stride):
    """How many bins to keep on each side of zero; `below` and `above` count outwards from zero.

    With p the counts of a candidate's n bins, o the outliers, and N all values, the divergence
        sum_j P_j log(P_j / Q_j),  P = (p + o) / N,  Q_j = mean of p in j's level / sum of p
    needs, by levels, only sums over consecutive bins, which differences of running sums give.
    """
    far = max(below.size, above.size)
    bins = below.size + above.size
    masses = np.zeros(bins + 1)  # running sums, from the lowest bin up
    filled = np.zeros(bins + 1)
    terms = np.zeros(bins + 1)
    counts = np.empty(bins)
    for i in range(bins):
        count = float(below[below.size - 1 - i] if i < below.size else above[i - below.size])
        counts[i] = count
        masses[i + 1] = masses[i] + count
        filled[i + 1] = filled[i] + (count > 0)
        terms[i + 1] = terms[i] + (count * math.log(count) if count > 0 else 0.0)
    total = masses[bins]
    best, chosen = math.inf, far
    for kept in range(far, 0, -stride):
        start = below.size - min(kept, below.size)
        stop = below.size + min(kept, above.size)
        if stop - start < levels:
            break
        inside = masses[stop] - masses[start]
        if inside == 0:
            break
        low_outliers, high_outliers = masses[start], total - masses[stop]
        divergence = terms[stop] - terms[start]
        for place, outliers in ((start, low_outliers), (stop - 1, high_outliers)):
            if outliers > 0:
                if counts[place] > 0:
                    divergence -= counts[place] * math.log(counts[place])
                divergence += (counts[place] + outliers) * math.log(counts[place] + outliers)
        for level in range(levels):
            first = start + level * (stop - start) // levels
            last = start + (level + 1) * (stop - start) // levels
            mass = masses[last] - masses[first]
            cells = filled[last] - filled[first]
            told = mass
            if level == 0 and low_outliers > 0:
                told += low_outliers
                cells += counts[start] == 0
            if level == levels - 1 and high_outliers > 0:
                told += high_outliers
                cells += counts[stop - 1] == 0
            if told > 0:
                if mass == 0:
                    divergence = math.inf
                    break
                divergence -= told * math.log(mass / cells)
        # Above, P and Q were not divided by their sums: that adds log(inside / total).
        divergence = divergence / total + math.log(inside / total)
        if divergence < best:
            best, chosen = divergence, kept
    return chosen


# ---- mean squared error ----


def _grids(
    lows: np.ndarray, highs: np.ndarray, symmetric: bool, levels: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The grids of some ranges: step, and least and greatest multiple of it, each float64 [n]."""
    if symmetric:
        most = np.full(highs.size, float((levels - 1) // 2))
        return highs / most, -most, most
    steps = (highs - lows) / (levels - 1)
    least = np.round(lows / steps)
    return steps, least, least + (levels - 1)


@numba.njit(nogil=True, cache=True, error_model="numpy", fastmath={"reassoc", "contract"})
def _squared_errors(counts, first, width, steps, leasts, mosts):
    """The summed squared error of rounding to each grid; bin 0 of counts starts at `first` widths.

    In steps, the error at u within the grid is u - round(u): its square, integrated from 0 to u,
    is n / 12 + (u - n)^3 / 3 with n = round(u). Beyond the ends it is the distance to the end.
    """
    errors = np.empty(steps.size)
    integral = np.empty(counts.size + 1)
    for k in range(steps.size):
        least, most, bin_in_steps = leasts[k], mosts[k], width / steps[k]
        for i in range(counts.size + 1):
            u = (first + i) * bin_in_steps
            n = min(max(math.floor(u + 0.5), least), most)
            integral[i] = n / 12 + (u - n) * (u - n) * (u - n) / 3
        error = 0.0
        for i in range(counts.size):
            error += counts[i] * (integral[i + 1] - integral[i])
        errors[k] = error / bin_in_steps * steps[k] ** 2
    return errors
