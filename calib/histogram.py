"""What is remembered of a tensor's values: counts over a range that grows, extremes, moments.

The bins are uniform and symmetric about zero, over (-radius, radius). The radius is the smallest
power of two above the largest magnitude seen, so when a larger one comes it doubles, and each bin
takes in its neighbour exactly: the counts depend on the values and not on the order they came in.
"""

import math
from collections.abc import Iterable
from typing import Self

import numba
import numpy as np

_DEPTH = 12
HALF = 2**_DEPTH  # bins on each side of zero; the largest magnitude lies in their outer half
BINS = 2 * HALF

# Magnitudes below 2**-100 share the innermost bins: no network tells them from zero, and the
# factor from value to bin stays within float32.
_LEAST_EXPONENT = -100
_BLOCK = 2048  # values looked at in one go: they stay in the fastest cache between the two loops
_FEW = 16384  # fewer values are counted in place, since the interleaved banks cost a set-up

# The places in a histogram's state.
_MINIMUM, _MAXIMUM, _TOTAL, _SQUARES, _EXPONENT, _COUNT, _ZEROS, _NON_FINITE = range(8)
STATE = 8


class Histogram:
    """The values of one tensor so far.

    `counts` int64 [BINS]: bin `HALF + i` holds the values in [i, i + 1) * width for i >= 0, and
    those in (i, i + 1] * width for i < 0, except zero, which is in bin `HALF` whatever its sign.
    Values that are not finite are counted apart (`non_finite`) and enter nothing else.
    """

    def __init__(self, counts: np.ndarray | None = None, state: np.ndarray | None = None):
        self.counts = np.zeros(BINS, np.int64) if counts is None else counts
        self.state = _empty_state() if state is None else state

    @classmethod
    def of(cls, *arrays: np.ndarray) -> Self:
        """The histogram of all values of some arrays."""
        histogram = cls()
        for array in arrays:
            histogram.update(array)
        return histogram

    @classmethod
    def merged(cls, histograms: Iterable["Histogram"]) -> Self:
        """The histogram of all values of some histograms."""
        merged = cls()
        for histogram in histograms:
            merged.merge(histogram)
        return merged

    def update(self, values: np.ndarray) -> None:
        """Take in an array, float32 of any shape. Lets go of the interpreter's lock meanwhile."""
        flat = np.ascontiguousarray(values, np.float32).reshape(-1)
        _fold(flat, flat.view(np.int32), self.counts, self.state)

    def merge(self, other: "Histogram") -> None:
        """Take in another histogram's values."""
        exponent = max(self.state[_EXPONENT], other.state[_EXPONENT])
        theirs = other.counts.copy()
        _coarsen(theirs, int(exponent - other.state[_EXPONENT]))
        _coarsen(self.counts, int(exponent - self.state[_EXPONENT]))
        self.counts += theirs
        added = self.state + other.state
        added[_MINIMUM] = min(self.minimum, other.minimum)
        added[_MAXIMUM] = max(self.maximum, other.maximum)
        added[_EXPONENT] = exponent
        self.state[:] = added

    @property
    def radius(self) -> float:
        """The bins cover (-radius, radius): a power of two."""
        return math.ldexp(1.0, int(self.state[_EXPONENT]))

    @property
    def width(self) -> float:
        """A bin's width."""
        return self.radius / HALF

    @property
    def minimum(self) -> float:
        """The smallest finite value; +inf while there is none."""
        return float(self.state[_MINIMUM])

    @property
    def maximum(self) -> float:
        """The largest finite value; -inf while there is none."""
        return float(self.state[_MAXIMUM])

    @property
    def magnitude(self) -> float:
        """The largest finite magnitude; 0 while there is none."""
        return max(-self.minimum, self.maximum, 0.0)

    @property
    def count(self) -> int:
        """How many finite values there were."""
        return int(self.state[_COUNT])

    @property
    def zeros(self) -> int:
        """How many values were exactly zero (they are in bin `HALF` too)."""
        return int(self.state[_ZEROS])

    @property
    def non_finite(self) -> int:
        """How many values were infinite or not a number."""
        return int(self.state[_NON_FINITE])

    @property
    def mean(self) -> float:
        """The mean of the finite values; NaN while there is none."""
        return float(self.state[_TOTAL] / self.count) if self.count else math.nan

    @property
    def second_moment(self) -> float:
        """The mean of the squares of the finite values; NaN while there is none."""
        return float(self.state[_SQUARES] / self.count) if self.count else math.nan

    @property
    def std(self) -> float:
        """The standard deviation (of the values as a population); NaN while there is none."""
        return math.sqrt(max(self.second_moment - self.mean**2, 0.0)) if self.count else math.nan


def _empty_state() -> np.ndarray:
    state = np.zeros(STATE)
    state[_MINIMUM], state[_MAXIMUM], state[_EXPONENT] = math.inf, -math.inf, _LEAST_EXPONENT
    return state


@numba.njit(nogil=True, cache=True, inline="never")
def _coarsen(counts, doublings):
    """Make each bin 2**doublings as wide, in place; the bins nearest to zero move first."""
    if doublings <= 0:
        return
    doublings = min(doublings, 62)  # a processor shifts by more as if by the rest modulo 64
    for i in range(HALF):
        for place, target in (
            (HALF + i, HALF + (i >> doublings)),
            (HALF - 1 - i, HALF - 1 - (i >> doublings)),
        ):
            if place != target:
                counts[target] += counts[place]
                counts[place] = 0


# The float32 order as an integer order: a negative number's bits count backwards. Infinities and
# NaNs lie beyond these two.
_ABOVE_ALL = np.int32(0x7F800000)
_BELOW_ALL = np.int32(-0x7F800001)


@numba.njit(nogil=True, cache=True, inline="never", fastmath={"reassoc", "nsz"})
def _survey(values, bits):
    """Smallest and largest order key, sum, sum of squares and zeros of a block; vectorised.

    Minima and maxima of floats do not vectorise for fear of NaN, those of integers do.
    """
    low, high = np.int32(0x7FFFFFFF), np.int32(-0x80000000)
    total, squares, zeros = 0.0, 0.0, 0
    for i in range(values.size):
        bit = bits[i]
        key = bit ^ ((bit >> np.int32(31)) & np.int32(0x7FFFFFFF))
        low, high = min(low, key), max(high, key)
        value = np.float64(values[i])
        total += value
        squares += value * value
        zeros += np.int64(values[i] == 0)  # type: ignore[assignment] # numba's integers
    return low, high, total, squares, zeros


@numba.njit(nogil=True, cache=True, inline="never")
def _places(values, scale, places):
    """The bin of each value of a block; scaling by a power of two is exact. Vectorised."""
    for i in range(values.size):
        value = values[i]
        places[i] = np.uint32(np.int32(value * scale) - np.int32(value < 0) + np.int32(HALF))


@numba.njit(nogil=True, cache=True)
def _fold(values, bits, counts, state):
    """Take values, float32 [n], and the same as int32 `bits` [n], into counts and state.

    Equal neighbours (the zeros of a ReLU) would each wait for the other's increment: four banks
    of counts take them in turn.
    """
    many = values.size >= _FEW
    banks = np.zeros((4 if many else 1, BINS), np.int32) if many else np.empty((1, 1), np.int32)
    places = np.empty(_BLOCK, np.uint32)
    finite = np.empty(_BLOCK, np.float32)
    exponent = int(state[_EXPONENT])
    scale = np.float32(2.0 ** (_DEPTH - exponent))
    for start in range(0, values.size, _BLOCK):
        block, block_bits = values[start : start + _BLOCK], bits[start : start + _BLOCK]
        low, high, total, squares, zeros = _survey(block, block_bits)
        if high >= _ABOVE_ALL or low <= _BELOW_ALL:
            kept = 0
            for value in block:
                if np.isfinite(value):
                    finite[kept] = value
                    kept += 1
            state[_NON_FINITE] += block.size - kept
            if kept == 0:
                continue
            block = finite[:kept]
            low, high, total, squares, zeros = _survey(block, block.view(np.int32))
        state[_TOTAL] += total
        state[_SQUARES] += squares
        state[_ZEROS] += zeros
        state[_COUNT] += block.size
        least, most = _value_of(low), _value_of(high)
        state[_MINIMUM] = min(state[_MINIMUM], least)
        state[_MAXIMUM] = max(state[_MAXIMUM], most)
        needed = _exponent_above(max(-least, most))
        if needed > exponent:
            if many:
                _drain(banks, counts)
            _coarsen(counts, needed - exponent)
            exponent = needed
            scale = np.float32(2.0 ** (_DEPTH - exponent))
        _places(block, scale, places)
        if many:
            whole = block.size // 4 * 4
            for i in range(0, whole, 4):
                banks[0, places[i]] += 1
                banks[1, places[i + 1]] += 1
                banks[2, places[i + 2]] += 1
                banks[3, places[i + 3]] += 1
            for i in range(whole, block.size):
                banks[0, places[i]] += 1
        else:
            for i in range(block.size):
                counts[places[i]] += 1
    if many:
        _drain(banks, counts)
    state[_EXPONENT] = exponent


@numba.njit(nogil=True, cache=True, inline="never")
def _drain(banks, counts):
    """Move the banks' counts, int32 [4, BINS], over to `counts`."""
    for i in range(BINS):
        counts[i] += np.int64(banks[0, i]) + banks[1, i] + banks[2, i] + banks[3, i]
    banks[:] = 0


@numba.njit(nogil=True, cache=True)
def _value_of(key):
    """The float of an order key, without negative zero."""
    bits = np.empty(1, np.int32)
    bits[0] = key ^ ((key >> np.int32(31)) & np.int32(0x7FFFFFFF))
    return np.float64(bits.view(np.float32)[0]) + 0.0


@numba.njit(nogil=True, cache=True)
def _exponent_above(magnitude):
    """The least exponent, from `_LEAST_EXPONENT` up, whose power of two exceeds a magnitude."""
    if magnitude < 2.0**_LEAST_EXPONENT:
        return _LEAST_EXPONENT
    return math.frexp(magnitude)[1]
