"""What photos without labels say: by hand, and by simulation where the truth is known."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deploy.verdict import unlabelled
from deploy.verdict.probabilities import fit_temperature
from deploy.verdict.unlabelled import (
    bound,
    estimate,
    expected_losses,
    largest_loss,
    more_photos_to_bound,
    powered_interval,
)
from tests.deploy.verdict.worlds import Photos, World

# --- the bound ---


def test_without_a_change_the_bound_is_the_rule_of_three():
    """(1 − p)ⁿ, the chance that none of n decisions changes, falls to 2.5 %."""
    assert bound(0, 500) == pytest.approx(1 - 0.025 ** (1 / 500))
    assert bound(500, 500) == 1


@pytest.mark.parametrize("rate", [0.0005, 0.003, 0.02, 0.2])
def test_the_bound_errs_in_at_most_two_and_a_half_of_a_hundred_samples(rate):
    n = 1000
    chance = [math.comb(n, k) * rate**k * (1 - rate) ** (n - k) for k in range(400)]
    missed = sum(p for k, p in enumerate(chance) if bound(k, n) < rate)
    assert missed <= 0.025
    assert sum(chance) == pytest.approx(1)


def test_top1_never_falls_by_more_than_the_changed_decisions():
    photos = World(1, 1.0).draw(2000, np.random.default_rng(4))
    fallen = (photos.old == photos.labels).mean() - (photos.new == photos.labels).mean()
    assert 0 < fallen <= (photos.old != photos.new).mean()


@pytest.mark.parametrize(
    ("loss", "changed", "photos"), [(0.006, 0, 100), (0.006, 1, 500), (0.0018, 30, 20_000)]
)
def test_so_many_more_photos_bring_the_bound_down_and_a_tenth_less_do_not(loss, changed, photos):
    enough = photos + more_photos_to_bound(loss, changed, photos)
    assert bound(changed * enough // photos, enough) <= loss
    fewer = int(0.9 * enough)
    assert bound(changed * fewer // photos, fewer) > loss


def test_no_number_of_photos_brings_it_below_the_rate_itself():
    assert more_photos_to_bound(0.006, 6, 1000) is None


# --- the estimate ---


def test_a_changed_decision_costs_the_difference_of_two_probabilities():
    logits = np.log([[0.5, 0.3, 0.2], [0.1, 0.7, 0.2], [0.4, 0.2, 0.4]])
    losses = expected_losses(logits, np.array([0, 1, 0]), np.array([1, 1, 2]), 1.0)
    assert losses == pytest.approx([0.2, 0.0, 0.0])


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32), st.floats(0.2, 5), st.floats(0.001, 3))
def test_no_change_costs_more_than_the_farthest_logit_allows(seed, temperature, noise):
    photos = World(1, noise).draw(50, np.random.default_rng(seed))
    moved = float(np.abs(photos.reference - photos.target).max())
    losses = expected_losses(photos.reference, photos.old, photos.new, temperature)
    assert losses.min() >= 0
    assert losses.max() <= largest_loss(moved / unlabelled.FURTHER, temperature)


def test_where_every_loss_is_the_largest_the_limits_are_clopper_and_pearsons():
    losses = np.array([1.0] * 3 + [0.0] * 97)
    found = estimate(losses, 1.0)
    assert -found.low == pytest.approx(bound(3, 100))
    assert -found.high == pytest.approx(1 - bound(97, 100))
    assert found.drift == -0.03


def test_no_change_leaves_what_an_unseen_one_may_cost():
    found = estimate(np.zeros(500), 0.06)
    assert (found.drift, found.high) == (0, 0)
    assert -found.low == pytest.approx(0.06 * bound(0, 500))


def missed(world: World, count: int, samples: int, labelled: int = 0) -> tuple[float, float]:
    """The shares of samples in which the true loss is larger, and smaller, than the interval of
    the estimate says; with labelled photos the temperature is fitted, else 1."""
    random, truth = np.random.default_rng(7), world.drift()
    larger = smaller = 0
    for _ in range(samples):
        temperature = 1.0
        if labelled:
            known = world.draw(labelled, random)
            temperature = fit_temperature(known.reference, known.labels).value
        photos = world.draw(count, random)
        found = estimate(*estimated(photos, temperature))
        larger += truth < found.low
        smaller += truth > found.high
    return larger / samples, smaller / samples


def estimated(photos: Photos, temperature: float) -> tuple[np.ndarray, float]:
    moved = float(np.abs(photos.reference - photos.target).max())
    losses = expected_losses(photos.reference, photos.old, photos.new, temperature)
    return losses, largest_loss(moved, temperature)


@pytest.mark.parametrize("noise", [0.02, 0.1, 1.0])  # 0.8, 4 and 35 % of decisions change
def test_the_interval_holds_where_the_reference_is_calibrated(noise):
    """At most 2.5 % on each side, and three standard errors of 300 samples more."""
    for share in missed(World(1, noise), 200, 300):
        assert share <= 0.025 + 3 * math.sqrt(0.025 * 0.975 / 300)


def test_a_reference_that_is_too_sure_of_itself_makes_the_estimate_too_dark():
    larger, smaller = missed(World(2, 0.3), 500, 100)
    assert larger == 0  # the loss is never larger than it says
    assert smaller > 0.9


def test_a_reference_that_doubts_itself_hides_losses_and_that_is_where_it_breaks():
    larger, _ = missed(World(0.5, 0.3), 1000, 100)
    assert larger > 0.9


@pytest.mark.parametrize("temperature", [0.5, 2])
def test_labelled_photos_mend_both(temperature):
    for share in missed(World(temperature, 0.3), 500, 100, labelled=300):
        assert share <= 0.025 + 3 * math.sqrt(0.025 * 0.975 / 100)


# --- with labelled photos beside ---


def powered(world: World, labelled: int, others: int, random: np.random.Generator):
    known, more = world.draw(labelled, random), world.draw(others, random)
    gains = (known.new == known.labels).astype(int) - (known.old == known.labels)
    return powered_interval(gains, estimated(known, 1.0)[0], estimated(more, 1.0)[0]), gains


@pytest.mark.parametrize("temperature", [0.5, 1, 2])
def test_the_powered_interval_holds_however_wrong_the_reference_is(temperature):
    """At most 5 %, and three standard errors of 200 samples more: labels put right what the
    estimate gets wrong."""
    world, random = World(temperature, 0.3), np.random.default_rng(8)
    truth, samples = world.drift(), 200
    found = [powered(world, 500, 4000, random)[0] for _ in range(samples)]
    outside = sum(not one.low <= truth <= one.high for one in found)
    assert outside / samples <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / samples)


def test_the_powered_interval_is_narrower_than_that_of_the_labels_alone():
    found, gains = powered(World(1, 0.3), 500, 20_000, np.random.default_rng(9))
    alone = 2 * 1.959964 * gains.std(ddof=1) / math.sqrt(len(gains))
    assert 0.85 * alone < found.high - found.low < alone


def test_too_few_changed_decisions_have_no_powered_interval():
    losses = np.array([0.1] * 29 + [0.0] * 471)
    assert powered_interval(np.zeros(500), losses, np.tile(losses, 10)) is None
    losses[:30] = 0.1
    assert powered_interval(np.zeros(500), losses, np.tile(losses, 10)) is not None
