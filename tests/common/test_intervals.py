"""The interval of a share, and that of a median."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.intervals import (
    exact_high,
    exact_interval,
    median_interval,
    median_ranks,
    wilson_interval,
)


@pytest.mark.parametrize(
    ("right", "total", "low", "high"),
    [
        # Newcombe, "Two-sided confidence intervals for the single proportion", Statistics in
        # Medicine 17 (1998), table I: the score method without continuity correction.
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0000, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_published_intervals(right, total, low, high):
    assert [round(bound, 4) for bound in wilson_interval(right, total)] == [low, high]


def test_the_bounds_are_where_the_test_turns_significant():
    for bound in wilson_interval(37, 120):
        z = (37 / 120 - bound) / math.sqrt(bound * (1 - bound) / 120)
        assert abs(z) == pytest.approx(1.959964, abs=1e-5)


def test_the_ends_of_the_scale_are_exact():
    assert wilson_interval(0, 20)[0] == 0.0
    assert wilson_interval(20, 20)[1] == 1.0


@pytest.mark.parametrize(
    ("count", "total", "low", "high"),
    [
        # Newcombe 1998, table I: the exact method.
        (81, 263, 0.2527, 0.3676),
        (15, 148, 0.0578, 0.1617),
        (0, 20, 0.0000, 0.1684),
        (1, 29, 0.0009, 0.1776),
    ],
)
def test_published_exact_intervals(count, total, low, high):
    assert [round(bound, 4) for bound in exact_interval(count, total)] == [low, high]


def test_the_exact_bound_is_where_so_few_are_just_as_rare_as_the_risk():
    bound = exact_high(3, 20, 0.01)
    tail = sum(math.comb(20, k) * bound**k * (1 - bound) ** (20 - k) for k in range(4))
    assert tail == pytest.approx(0.01)
    assert exact_interval(20, 20)[1] == 1


@pytest.mark.parametrize(("right", "total"), [(0, 0), (-1, 5), (6, 5)])
def test_what_is_no_share_is_refused(right, total):
    with pytest.raises(ValueError, match="not a proportion"):
        exact_interval(right, total)
    with pytest.raises(ValueError, match="not a proportion"):
        wilson_interval(right, total)


@pytest.mark.parametrize(
    ("count", "ranks"),  # counted from 1, as tables of these intervals do
    [(6, (1, 6)), (9, (2, 8)), (10, (2, 9)), (20, (6, 15)), (50, (18, 33)), (70, (27, 44))],
)
def test_the_medians_ranks(count, ranks):
    low, high = median_ranks(count)
    assert (low + 1, high + 1) == ranks


def test_five_values_have_no_interval_of_the_median():
    assert median_ranks(5) is None
    assert median_interval([3.0, 1.0, 2.0]) == (1.0, 3.0)


@given(st.integers(6, 300), st.sampled_from([0.5, 0.9, 0.95, 0.99]))
def test_the_medians_interval_covers_and_is_no_wider_than_it_must(count, confidence):
    ranks = median_ranks(count, confidence)
    if ranks is None:
        assert 2 * 0.5**count > 1 - confidence
        return
    low, high = ranks
    assert low + high == count - 1

    def missed(rank):  # both tails, when the interval begins with this rank
        return 2 * sum(math.comb(count, below) for below in range(rank + 1)) / 2**count

    assert missed(low) <= 1 - confidence + 1e-12
    assert missed(low + 1) > 1 - confidence - 1e-12
