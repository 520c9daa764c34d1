"""The interval for the drift (gained − lost)/n: published examples, properties, coverage."""

import math
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.intervals import exact_high
from deploy.verdict import paired
from deploy.verdict.paired import EXACT, EXACT_UP_TO, TANGO, more_photos_to_exclude, paired_interval


@st.composite
def outcomes(draw, most_photos=2000, most_discordant=120):
    n = draw(st.integers(1, most_photos))
    discordant = draw(st.integers(0, min(n, most_discordant)))
    gained = draw(st.integers(0, discordant))
    return gained, discordant - gained, n


# --- Tango's score interval ---


@pytest.mark.parametrize(
    ("gained", "lost", "n", "confidence", "low", "high", "digits"),
    [
        # Tango 1998 (4, 9, 3, 16), as asserted by R's ratesci (tests/testthat/test3.R).
        (9, 3, 32, 0.95, -0.027, 0.390, 3),
        # Tango 1998, contact lenses (43, 0, 1, 0), 90 %, same place.
        (0, 1, 44, 0.90, -0.096, 0.037, 3),
        # Agresti & Min 2005 (53, 16, 8, 9), same place.
        (16, 8, 86, 0.95, -0.020, 0.207, 3),
        # Fagerland, Lydersen & Laake 2014, airways of Bentur et al. (1, 1, 7, 12), same place.
        (1, 7, 21, 0.95, -0.517, -0.026, 3),
        # Fagerland et al. 2017, Cavo et al. (59, 6, 16, 80), as asserted by the tests of R's
        # contingencytables (chapter 8).
        (6, 16, 161, 0.95, -0.1240, -0.0054, 4),
    ],
)
def test_tango_reproduces_published_intervals(gained, lost, n, confidence, low, high, digits):
    assert round(paired._tango_low(gained, lost, n, confidence), digits) == low
    assert round(-paired._tango_low(lost, gained, n, confidence), digits) == high


def brute_force_score(gained, lost, n, theta):
    """Tango's statistic with its nuisance rate found by maximising the likelihood on a grid."""
    rates = np.linspace(max(0, -theta), (1 - theta) / 2, 200_001)[1:-1]
    log_likelihood = (
        gained * np.log(rates + theta)
        + lost * np.log(rates)
        + (n - gained - lost) * np.log(1 - 2 * rates - theta)
    )
    likeliest = rates[log_likelihood.argmax()]
    return (gained - lost - n * theta) / math.sqrt(n * (2 * likeliest + theta - theta**2))


@pytest.mark.parametrize(("gained", "lost", "n"), [(60, 41, 500), (9, 70, 5000), (30, 30, 100)])
def test_tango_limits_are_where_the_score_statistic_reaches_the_normal_quantile(gained, lost, n):
    interval = paired_interval(gained, lost, n)
    assert interval.method == TANGO
    low, high = (brute_force_score(gained, lost, n, t) for t in (interval.low, interval.high))
    assert low == pytest.approx(1.959964, abs=1e-3)
    assert high == pytest.approx(-1.959964, abs=1e-3)


# --- the exact interval ---


def test_without_losses_or_gains_the_limit_is_close_to_the_rule_of_three():
    """(1 − p)ⁿ, the chance of no loss, falls to 2.5 % less the nuisance rate's 0.1 % there."""
    interval = paired_interval(0, 0, 400)
    rule = 1 - 0.024 ** (1 / 400)
    assert interval.method == EXACT
    assert rule <= interval.high <= 1.004 * rule


def cells(n):
    return [(x, y) for x in range(n + 1) for y in range(n + 1 - x)]


def trinomial(n, gain_rate, loss_rate):
    """Probabilities of all cells, straight from the definition."""
    return np.array(
        [
            math.factorial(n)
            // (math.factorial(x) * math.factorial(y) * math.factorial(n - x - y))
            * gain_rate**x
            * loss_rate**y
            * max(0, 1 - gain_rate - loss_rate) ** (n - x - y)
            for x, y in cells(n)
        ]
    )


@pytest.mark.parametrize(("gained", "lost"), [(0, 0), (2, 0), (1, 3), (4, 2), (0, 8), (8, 0)])
def test_exact_limit_equals_a_direct_search(gained, lost):
    """The outcomes with Tango's limit no lower must have probability 2.4 % at the limit found.

    2.5 %, less 0.1 % for the nuisance rate's bound and 0.002 % for the grid it is searched on.
    """
    n = 8
    limits = np.array([paired._tango_low(x, y, n, 0.95) for x, y in cells(n)])
    strong = limits >= limits[cells(n).index((gained, lost))] - 1e-9
    bound = exact_high(lost, n, 0.001)

    def worst(theta):
        rates = np.linspace(max(0, -theta), min(bound, (1 - theta) / 2), 800)
        return max(trinomial(n, r + theta, r)[strong].sum() for r in rates)

    low = paired_interval(gained, lost, n).low
    if low == -1:
        assert strong.all()
    elif low > -bound + 1e-6:
        assert worst(low) == pytest.approx(0.02398, abs=1e-5)


@pytest.mark.parametrize("n", [5, 10])
def test_fewer_losses_or_more_gains_never_rank_lower(n):
    """What makes the search by halving, and the exact guarantee, valid (Kabaila's order)."""
    limits = {cell: paired._tango_low(*cell, n, 0.95) for cell in cells(n)}
    for (x, y), limit in limits.items():
        for better in ((x + 1, y), (x, y - 1), (x + 1, y - 1)):
            assert limits.get(better, 1) >= limit - 1e-9


@pytest.mark.parametrize(("n", "steps"), [(6, 31), (20, 31)])
def test_exact_coverage_by_enumeration(n, steps):
    """Each limit is wrong in at most 2.5 % of samples, at every pair of rates on a grid."""
    low = np.array([paired._low(x, y, n, 0.95) for x, y in cells(n)])
    high = -low[[cells(n).index((y, x)) for x, y in cells(n)]]
    x, y = np.array(cells(n)).T
    ways = trinomial(n, 1 / 3, 1 / 3) * 3**n
    worst = 0
    for gain_rate in np.linspace(0, 1, steps):
        for loss_rate in np.linspace(0, 1 - gain_rate, steps):
            rest = max(0, 1 - gain_rate - loss_rate)
            probability = ways * gain_rate**x * loss_rate**y * rest ** (n - x - y)
            theta = gain_rate - loss_rate
            above, below = probability[low > theta + 1e-9], probability[high < theta - 1e-9]
            worst = max(worst, above.sum(), below.sum())
    assert 0.015 < worst <= 0.025  # and not needlessly wide


def test_large_counts_are_covered_nearly_as_often_as_promised():
    """At 200 lost and 150 gained photos of 10,000 on average Tango's interval holds 95 %."""
    n, theta = 10_000, -0.005
    sample = np.random.default_rng(1).multinomial(n, [0.015, 0.02, 0.965], size=100_000)
    gained, lost = sample[:, 0], sample[:, 1]
    missed_high = (paired._excess(gained, lost, n, theta, 1.959964) > 0).mean()
    missed_low = (paired._excess(lost, gained, n, -theta, 1.959964) > 0).mean()
    assert missed_high == pytest.approx(0.025, abs=0.002)
    assert missed_low == pytest.approx(0.025, abs=0.002)


@pytest.mark.parametrize(
    ("gained", "lost", "n"),
    [(0, 0, 400), (22, 10, 400), (22, 8, 60), (12, 7, 20), (27, 11, 50_000)],
)
def test_the_worst_nuisance_rate_is_found(gained, lost, n):
    bound = exact_high(lost, n, 0.001)
    weaker = paired._WeakerOutcomes(gained, lost, n, 0.95, bound)
    low = paired_interval(gained, lost, n).low
    rates = np.linspace(max(0, -low), min(bound, (1 - low) / 2), 2000)
    assert weaker.least_probability(low) <= weaker._probability(low, rates).min()


def test_no_count_beyond_the_table_belongs_in_it():
    for gained, lost, n in [(0, 0, 400), (50, 0, 50_000), (0, 50, 50_000), (25, 25, 1000)]:
        bound = exact_high(lost, n, 0.001)
        counts = paired._WeakerOutcomes(gained, lost, n, 0.95, bound).counts
        assert counts[:, 0].max() < gained + 2 * counts[:, 1].max()


@pytest.mark.parametrize("n", [51, 50_000, 10**9])
@pytest.mark.parametrize("gained", [0, 25, 50])
def test_well_under_a_second(gained, n):
    started = time.process_time()
    assert paired_interval(gained, EXACT_UP_TO - gained, n).method == EXACT
    assert time.process_time() - started < 1  # about 0.1 s


# --- both ---


@settings(max_examples=25, deadline=None)
@given(outcomes(), st.sampled_from([0.8, 0.95, 0.99]))
def test_interval_holds_the_estimate_and_stays_in_range(outcome, confidence):
    gained, lost, n = outcome
    interval = paired_interval(gained, lost, n, confidence)
    assert -1 <= interval.low <= (gained - lost) / n <= interval.high <= 1
    assert interval.low < interval.high


@settings(max_examples=10, deadline=None)
@given(outcomes())
def test_swapping_gained_and_lost_mirrors_the_interval(outcome):
    gained, lost, n = outcome
    there, back = paired_interval(gained, lost, n), paired_interval(lost, gained, n)
    assert (there.low, there.high) == (-back.high, -back.low)


@settings(max_examples=10, deadline=None)
@given(outcomes(most_photos=300, most_discordant=12))
def test_more_photos_at_the_same_rates_narrow_the_interval(outcome):
    """Including where the formula changes: 12 × 6 discordant photos are beyond the exact ones."""
    gained, lost, n = outcome
    widths = [
        i.high - i.low for i in (paired_interval(k * gained, k * lost, k * n) for k in (1, 2, 6))
    ]
    assert widths[0] > widths[1] > widths[2]


@settings(max_examples=10, deadline=None)
@given(outcomes(most_discordant=70))
def test_more_confidence_widens_the_interval(outcome):
    loose, tight = paired_interval(*outcome, 0.8), paired_interval(*outcome, 0.99)
    assert tight.low <= loose.low
    assert tight.high >= loose.high
    assert tight.high - tight.low > loose.high - loose.low


def test_the_formula_changes_above_fifty_discordant_photos():
    assert paired_interval(20, 30, 1000).method == EXACT
    assert paired_interval(20, 31, 1000).method == TANGO


@pytest.mark.parametrize(
    ("gained", "lost", "n", "confidence", "words"),
    [
        (0, 0, 0, 0.95, "at least one photo"),
        (-1, 0, 5, 0.95, "impossible"),
        (3, 3, 5, 0.95, "impossible"),
        (1, 1, 5, 1.0, "confidence"),
    ],
)
def test_impossible_input_is_a_sentence(gained, lost, n, confidence, words):
    with pytest.raises(ValueError, match=words):
        paired_interval(gained, lost, n, confidence)


# --- how many photos would decide ---


def decided(theta, gained, lost, n, scaled):
    interval = paired_interval(round(gained * scaled / n), round(lost * scaled / n), scaled)
    return not interval.low < theta < interval.high


@pytest.mark.parametrize(
    ("gained", "lost", "n", "theta"),
    [
        (0, 0, 100, -0.006),  # nothing lost yet: about 3.7/0.006 in all
        (2, 3, 400, -0.006),
        (4, 20, 400, -0.02),  # on the way to a failure
        (18, 13, 5000, -0.001),
        (40, 60, 5000, -0.006),
        (300, 310, 20_000, -0.002),
    ],
)
def test_so_many_more_photos_decide_and_a_tenth_less_in_all_do_not(gained, lost, n, theta):
    assert not decided(theta, gained, lost, n, n)
    more = more_photos_to_exclude(theta, gained, lost, n)
    assert len(str(more).rstrip("0")) <= 2
    assert decided(theta, gained, lost, n, n + more)
    assert not decided(theta, gained, lost, n, max(n, int(0.9 * (n + more))))


def test_large_counts_need_the_number_that_a_scan_finds():
    gained, lost, n, theta = 400, 500, 10_000, -0.012
    scan = next(m for m in range(n, 10**6, 50) if decided(theta, gained, lost, n, m))
    assert scan > 2 * n
    assert n + more_photos_to_exclude(theta, gained, lost, n) == pytest.approx(scan, rel=0.05)


def test_no_number_of_photos_excludes_the_estimate_itself():
    assert more_photos_to_exclude(-0.01, 2, 6, 400) is None
