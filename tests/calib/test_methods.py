"""The methods against direct computation on the values themselves."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calib.histogram import Histogram
from calib.methods import METHODS, entropy, minmax, mse, percentile

RANDOM = np.random.default_rng(11)
NORMAL = RANDOM.standard_normal(200_000).astype(np.float32)
WIDE = RANDOM.standard_t(3, 200_000).astype(np.float32)
SAMPLES = {
    "normal": NORMAL,
    "wide tails": WIDE,
    "after a ReLU": np.maximum(NORMAL, 0),
    "wide after a ReLU": np.maximum(WIDE, 0),
    "lopsided": np.where(WIDE < 0, WIDE / 10, WIDE * 3).astype(np.float32),
    "never positive": -np.abs(NORMAL),
}
GRIDS = [(True, 255), (False, 256), (True, 127), (False, 128)]

samples = pytest.mark.parametrize("values", SAMPLES.values(), ids=SAMPLES)
grids = pytest.mark.parametrize(("symmetric", "levels"), GRIDS)
methods = pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)


def quantize(values: np.ndarray, low: float, high: float, symmetric: bool, levels: int):
    """The values as the target's integers give them back, as float64."""
    values = values.astype(np.float64)
    if symmetric:
        most = (levels - 1) // 2
        return np.clip(np.round(values / (high / most)), -most, most) * (high / most)
    step = (high - low) / (levels - 1)
    zero = round(-low / step)
    return (np.clip(np.round(values / step) + zero, 0, levels - 1) - zero) * step


def squared_error(values: np.ndarray, *grid) -> float:
    return float(np.mean((values.astype(np.float64) - quantize(values, *grid)) ** 2))


@samples
@methods
@grids
def test_the_range_holds_zero_and_nothing_unseen(values, method, symmetric, levels):
    low, high = method(Histogram.of(values), symmetric, levels)
    assert low <= 0 <= high
    assert low < high
    step = (high - low) / (levels - 1)  # MSE moves both ends so that zero is a level
    if symmetric:
        assert low == -high
        assert high <= np.abs(values).max()
    else:
        assert low >= min(values.min(), 0) - step / 2
        assert high <= max(values.max(), 0) + step / 2


@samples
def test_minmax_is_the_extremes(values):
    histogram = Histogram.of(values)
    assert minmax(histogram) == (min(values.min(), 0), max(values.max(), 0))
    assert minmax(histogram, symmetric=True)[1] == np.abs(values).max()


@samples
@pytest.mark.parametrize("share", [99.0, 99.9, 99.99])
def test_percentile_is_within_a_bin_of_the_values_own(values, share):
    histogram = Histogram.of(values)
    exact = np.percentile(np.abs(values), share, method="inverted_cdf")
    found = percentile(histogram, symmetric=True, share=share)[1]
    assert found == pytest.approx(exact, abs=histogram.width)

    outside = (100 - share) / (2 if values.min() < 0 < values.max() else 1)
    ends = np.percentile(values, [outside, 100 - outside], method="inverted_cdf")
    low, high = percentile(histogram, share=share)
    assert low == pytest.approx(min(ends[0], 0), abs=histogram.width)
    assert high == pytest.approx(max(ends[1], 0), abs=histogram.width)


def test_a_percentile_that_keeps_only_zeros_falls_back_on_the_extremes():
    values = np.zeros(100_000, np.float32)
    values[7] = 0.25
    assert percentile(Histogram.of(values), share=99.9) == (0, 0.25)
    assert percentile(Histogram.of(values), share=99.9, symmetric=True) == (-0.25, 0.25)


@samples
@grids
def test_mse_is_no_worse_than_any_range_of_the_grid_that_it_searches(values, symmetric, levels):
    low, high = mse(Histogram.of(values), symmetric, levels)
    error = squared_error(values, low, high, symmetric, levels)
    full = minmax(Histogram.of(values), symmetric)
    tried = [(full[0] * share / 100, full[1] * share / 100) for share in range(1, 101)]
    best = min(squared_error(values, *ends, symmetric, levels) for ends in tried)
    # The values within a bin count as evenly spread, which costs a little.
    assert error <= best * 1.01


def test_mse_moves_each_end_on_its_own():
    far = np.float32([30.0])  # one outlier above, none below
    values = np.concatenate([np.clip(NORMAL, -2, 2), far])
    low, high = mse(Histogram.of(values))
    assert low == pytest.approx(-2, abs=0.1)
    assert 2 < high < 30


def divergence(values: np.ndarray, bins: int, kept: int, width: float, levels: int) -> float:
    """Migacz's divergence for a threshold, as he writes it: bin by bin, on magnitudes."""
    counts = np.histogram(np.abs(values), bins=bins, range=(0, bins * width))[0].astype(float)
    inside = counts[:kept]
    reference = inside.copy()
    reference[-1] += counts[kept:].sum()
    told = np.zeros(kept)
    for level in range(levels):
        cells = slice(level * kept // levels, (level + 1) * kept // levels)
        filled = reference[cells] > 0
        if filled.any():
            told[cells] = filled * inside[cells].sum() / filled.sum()
    p, q = reference / reference.sum(), told / told.sum()
    some = p > 0
    if (q[some] == 0).any():
        return math.inf
    return float((p[some] * np.log(p[some] / q[some])).sum())


@pytest.mark.parametrize(
    ("name", "symmetric"),
    [  # the textbook's form is for magnitudes
        ("normal", True),
        ("wide tails", True),
        ("after a ReLU", True),
        ("after a ReLU", False),
        ("wide after a ReLU", False),
    ],
)
def test_entropy_finds_the_threshold_of_least_divergence(name, symmetric):
    values = SAMPLES[name]
    histogram = Histogram.of(values)
    width = histogram.width
    used = math.ceil((np.abs(values).max()) / width)
    seen = values[values != 0]
    while seen.size < 32 * used:  # few values for each bin: wider bins, as documented
        width, used = width * 2, -(-used // 2)
    levels = 256 if not symmetric else 128
    tried = range(used, levels - 1, -1)[::8]
    found = [divergence(seen, used, kept, width, levels) for kept in tried]
    chosen = entropy(histogram, symmetric)[1] / width
    least = divergence(seen, used, min(round(chosen), used), width, levels)
    assert least <= min(found) * 1.02 + 1e-6
    assert chosen < used


def test_entropy_does_not_mind_how_many_zeros_there_are():
    values = np.maximum(NORMAL, 0)
    more = np.concatenate([values, np.zeros(1_000_000, np.float32)])
    assert entropy(Histogram.of(values)) == entropy(Histogram.of(more))


def test_entropy_keeps_a_side_that_is_short():
    values = np.where(WIDE < 0, np.maximum(WIDE / 100, -0.1), WIDE).astype(np.float32)
    low, high = entropy(Histogram.of(values))
    assert low == values.min()
    assert 1 < high < values.max()


@methods
@settings(deadline=None, max_examples=20)
@given(
    exponent=st.integers(-30, 30),
    name=st.sampled_from(sorted(SAMPLES)),
    symmetric=st.booleans(),
)
def test_a_power_of_two_passes_through(method, exponent, name, symmetric):
    values, factor = SAMPLES[name][:20_000], np.float32(2.0**exponent)
    low, high = method(Histogram.of(values), symmetric)
    scaled = method(Histogram.of(values * factor), symmetric)
    assert scaled == pytest.approx((low * factor, high * factor), rel=1e-12)


@methods
@settings(deadline=None, max_examples=20)
@given(name=st.sampled_from(sorted(SAMPLES)))
def test_the_mirror_image_gives_the_mirror_range_where_the_grid_is_symmetric(method, name):
    values = SAMPLES[name][:20_000]
    assert method(Histogram.of(-values), True) == method(Histogram.of(values), True)


@methods
@pytest.mark.parametrize("value", [5.0, -0.3, 1e-20, 3e30])
@grids
def test_a_constant_is_told_exactly(method, value, symmetric, levels):
    values = np.full(1000, value, np.float32)
    low, high = method(Histogram.of(values), symmetric, levels)
    assert low <= 0 <= high
    np.testing.assert_allclose(quantize(values, low, high, symmetric, levels), values, rtol=1e-6)


@methods
def test_only_zeros_get_a_range_whose_scale_is_not_zero(method):
    histogram = Histogram.of(np.zeros(100, np.float32))
    assert method(histogram, symmetric=True) == (-1, 1)
    assert method(histogram) == (0, 1)


@methods
def test_a_single_value_is_enough(method):
    low, high = method(Histogram.of(np.float32([-3.0])))
    assert (low, high) == pytest.approx((-3, 0))


@methods
def test_what_is_not_finite_has_no_range(method):
    values = NORMAL[:100].copy()
    values[[1, 2]] = np.nan, np.inf
    with pytest.raises(ValueError, match="2 values are infinite or not a number"):
        method(Histogram.of(values))
    with pytest.raises(ValueError, match="no values were seen"):
        method(Histogram())
