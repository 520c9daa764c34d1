"""The interval of a share."""

import math

import pytest

from common.statistics import wilson_interval


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


@pytest.mark.parametrize(("right", "total"), [(0, 0), (-1, 5), (6, 5)])
def test_what_is_no_share_is_refused(right, total):
    with pytest.raises(ValueError, match="not a proportion"):
        wilson_interval(right, total)
