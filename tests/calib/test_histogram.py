"""The histogram: what it remembers does not depend on the order in which values came."""

import itertools
import math

import hypothesis.extra.numpy as arrays
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from calib.histogram import BINS, HALF, Histogram

RANDOM = np.random.default_rng(5)
FINITE = st.floats(width=32, allow_nan=False, allow_infinity=False)
MANY = RANDOM.standard_normal(100_000).astype(np.float32)

batches = st.lists(
    arrays.arrays(np.float32, st.integers(0, 30), elements=FINITE), min_size=1, max_size=5
)


def assert_same(one: Histogram, other: Histogram) -> None:
    np.testing.assert_array_equal(one.counts, other.counts)
    for fact in ("radius", "minimum", "maximum", "count", "zeros", "non_finite"):
        assert getattr(one, fact) == getattr(other, fact)
    np.testing.assert_allclose(one.second_moment, other.second_moment, rtol=1e-9, atol=1e-30)
    # Where large values cancel, what is left of the sum depends on their order.
    rounding = max(1e-12 * one.magnitude, 1e-30)
    np.testing.assert_allclose(one.mean, other.mean, rtol=1e-9, atol=rounding)


def slow_counts(values: np.ndarray, radius: float) -> np.ndarray:
    """The counts by the definition, in exact arithmetic on Python's own numbers."""
    counts = np.zeros(BINS, np.int64)
    for value in values.reshape(-1).tolist():
        place = int(abs(value) / (radius / HALF))
        counts[HALF - 1 - place if value < 0 else HALF + place] += 1
    return counts


@pytest.mark.parametrize(
    "values",
    [
        MANY[:3000],
        MANY[:17000] * 1e-20,
        np.maximum(MANY[:20001], 0),
        np.float32([0.0, -0.0, 1.0, -1.0, 2.0, -2.0]),
        np.float32([1e-45, -1e-45, 3.4e38, -3.4e38]),
        np.full((3, 4, 5), -7.25, np.float32),
    ],
    ids=["normal", "tiny", "relu", "powers of two", "the ends of float32", "constant"],
)
def test_counts_and_facts_are_those_of_the_definition(values):
    histogram = Histogram.of(values)
    magnitude = float(np.abs(values).max())
    np.testing.assert_array_equal(histogram.counts, slow_counts(values, histogram.radius))
    assert histogram.counts.sum() == histogram.count == values.size
    assert (histogram.minimum, histogram.maximum) == (values.min(), values.max())
    assert histogram.zeros == (values == 0).sum()
    exact = values.astype(np.float64)
    assert histogram.mean == pytest.approx(exact.mean(), rel=1e-9, abs=1e-12 * magnitude)
    assert histogram.second_moment == pytest.approx((exact**2).mean(), rel=1e-9)
    assert histogram.std == pytest.approx(exact.std(), rel=1e-6, abs=1e-9 * magnitude)
    assert math.log2(histogram.radius).is_integer()
    assert histogram.radius / 2 <= max(magnitude, 2.0**-101) < histogram.radius


@settings(deadline=None, max_examples=50)
@given(batches)
@example([np.float32([0, 3.4e38]), np.float32([1, -3.4e38, 0])])
def test_order_does_not_matter(parts):
    whole = Histogram.of(*parts)
    assert_same(whole, Histogram.of(*parts[::-1]))
    assert_same(whole, Histogram.of(np.concatenate(parts)))


@settings(deadline=None, max_examples=50)
@given(batches)
def test_merging_is_taking_in_the_values(parts):
    whole = Histogram.of(*parts)
    histograms = [Histogram.of(part) for part in parts]
    assert_same(whole, Histogram.merged(histograms))
    assert_same(whole, Histogram.merged(histograms[::-1]))


@settings(deadline=None, max_examples=50)
@given(batches, st.integers(-20, 20))
def test_a_power_of_two_changes_the_radius_only(parts, exponent):
    parts = [np.clip(part, -(2.0**40), 2.0**40) for part in parts]
    parts = [np.where(np.abs(part) < 2.0**-40, 0, part).astype(np.float32) for part in parts]
    before = Histogram.of(*parts)
    after = Histogram.of(*(part * np.float32(2.0**exponent) for part in parts))
    np.testing.assert_array_equal(before.counts, after.counts)
    if before.magnitude:
        assert after.radius == before.radius * 2.0**exponent


def test_the_range_grows_in_the_middle_of_a_large_array():
    values = MANY.copy()
    values[50_000], values[70_001] = 1e5, -3e7
    histogram = Histogram.of(values)
    np.testing.assert_array_equal(histogram.counts, slow_counts(values, 2.0**25))
    assert histogram.radius == 2.0**25


@pytest.mark.parametrize("size", [7, 50_000], ids=["few", "many"])
def test_what_is_not_finite_is_counted_apart(size):
    values = MANY[:size].copy()
    values[[0, 3, 6]] = np.nan, np.inf, -np.inf
    histogram = Histogram.of(values)
    assert histogram.non_finite == 3
    finite = Histogram.of(values[np.isfinite(values)])
    np.testing.assert_array_equal(histogram.counts, finite.counts)
    assert (histogram.minimum, histogram.maximum) == (finite.minimum, finite.maximum)
    assert histogram.mean == pytest.approx(finite.mean)
    only = Histogram.of(np.full(5000, np.nan, np.float32))
    assert (only.non_finite, only.count, only.magnitude) == (5000, 0, 0)


def test_nothing_seen():
    histogram = Histogram.of(np.empty((0, 3), np.float32))
    assert (histogram.count, histogram.magnitude) == (0, 0)
    assert (histogram.minimum, histogram.maximum) == (math.inf, -math.inf)
    assert math.isnan(histogram.mean)
    assert math.isnan(histogram.std)


def test_views_are_read_as_they_look():
    square = MANY[:10_000].reshape(100, 100)
    for view in (square.T, square[::-1, ::3], square[:, :1]):
        np.testing.assert_array_equal(
            Histogram.of(view).counts, Histogram.of(view.copy(order="C")).counts
        )


def test_its_two_arrays_are_all_of_it():
    histogram = Histogram.of(MANY)
    copy = Histogram(histogram.counts.copy(), histogram.state.copy())
    assert_same(copy, histogram)
    for one in (copy, histogram):
        one.update(np.float32([99.0]))
    assert_same(copy, histogram)


def test_the_used_half_has_at_least_2048_bins():
    for exponent, factor in itertools.product((-90, -1, 0, 30), (1.0, 1.5, 1.999)):
        value = np.float32(factor * 2.0**exponent)
        assert np.flatnonzero(Histogram.of(value[None]).counts)[0] - HALF >= 2048
