"""Which gate decides, and what it says, of photos with labels, without, and of both together."""

import numpy as np
import pytest

from deploy.verdict.drift import measure_drift
from deploy.verdict.gates import judge, loss_allowed, unlabelled_verdict
from deploy.verdict.unlabelled import Decisions, weigh
from tests.deploy.verdict.results import a_result
from tests.deploy.verdict.worlds import World


def judged(world: World, labelled: int, others: int, budget_pp=None, precision="int8"):
    """What the gates say of photos of which the first have labels."""
    photos = world.draw(labelled + others, np.random.default_rng(3))
    labels = photos.labels[:labelled] if labelled else None
    known = slice(labelled or None)
    found = measure_drift(photos.reference[known], photos.target[known], labels)
    decisions = weigh(photos.reference, photos.target, labels) if others else None
    return judge(found, precision, budget_pp, decisions)


STILL, SLIGHT, ROUGH = World(1, 1e-7), World(1, 0.003), World(1, 0.3)


def test_without_labels_few_changes_among_many_photos_pass():
    found = judged(STILL, 0, 1000)
    assert (found.verdict, found.budget.kind) == ("pass", "unlabelled")
    assert "0 of 1,000 photos changed their decision" in found.reason
    assert found.unlabelled.bound_pp == pytest.approx(100 * (1 - 0.025 ** (1 / 1000)))
    assert found.unlabelled.agreement_ci95[1] == 1
    expected = 100 * found.unlabelled.expected_top1
    assert f"1% of the {expected:.1f} % that the reference expects of itself" in found.budget.limit


def test_without_labels_an_estimate_alone_is_no_pass():
    found = judged(SLIGHT, 0, 300)
    assert (found.verdict, found.unlabelled.estimate.verdict) == ("undecided", "pass")
    assert "temperature 1.00, not fitted" in found.reason
    assert "would pass (ACCEPT_ESTIMATED=1 makes it count)" in found.reason
    assert "more photos would show it to be within a loss" in found.reason


def test_an_estimated_loss_beyond_the_budget_is_no_fail_either():
    found = judged(World(1, 2.0), 0, 500)
    assert (found.verdict, found.unlabelled.estimate.verdict) == ("undecided", "fail")
    assert "beyond a loss of" in found.reason


def test_a_budget_of_ones_own_takes_the_references_word_out():
    assert judged(SLIGHT, 0, 300, budget_pp=2.5).verdict == "pass"
    assert judged(SLIGHT, 0, 300, budget_pp=2.5).budget.limit == "top-1 loss <= 2.50 pp"


def test_a_logit_that_is_not_finite_fails_without_labels_too():
    logits = World(1, 0).draw(50, np.random.default_rng(1)).reference
    broken = logits.copy()
    broken[3, 4] = np.inf
    found = judge(measure_drift(logits, broken, None), "int8", None, weigh(logits, broken, None))
    assert found.verdict == "fail"
    assert found.reason == "the target computed 1 non-finite logit"


def test_fp32_needs_no_labels():
    assert judged(STILL, 0, 20, precision="fp32").budget.kind == "numeric"
    assert judged(STILL, 0, 20, precision="fp32").verdict == "pass"
    assert judged(ROUGH, 0, 20, precision="fp32").verdict == "fail"
    assert "over 20 photos" in judged(STILL, 20, 40, precision="fp32").reason


def test_photos_without_labels_decide_what_labelled_ones_do_not():
    assert judged(STILL, 100, 0).verdict == "undecided"
    both = judged(STILL, 100, 900)
    assert (both.verdict, both.budget.kind) == ("pass", "statistical")
    assert "fell by at most 0.37 pp whatever the labels are" in both.reason
    assert both.unlabelled.images == 1000


def test_the_temperature_is_fitted_on_the_labelled_ones_and_said():
    found = judged(World(2, 0.1), 300, 300)
    temperature = found.unlabelled.estimate.temperature
    assert temperature.photos == 300
    assert temperature.value == pytest.approx(2, rel=0.15)
    assert temperature.error < temperature.error_at_one
    assert f"(temperature {temperature.value:.2f}, fitted on 300 photos" in found.reason


def test_the_narrower_interval_decides_and_both_are_shown():
    found = judged(ROUGH, 1000, 20_000, budget_pp=10)
    powered = found.unlabelled.powered
    assert powered.used
    assert found.verdict == "pass"
    low, high = powered.ci95_pp
    assert f"(95 % interval {low:+.2f} to {high:+.2f}, prediction-powered by 1,000" in found.reason
    assert "with labels alone" in found.reason


def test_without_the_references_probabilities_the_bound_is_left_and_a_budget_must_be_named():
    """As of a phone, which sends decisions only."""
    logits = np.eye(16, dtype=np.float32)
    found = Decisions(measure_drift(logits, logits, None))
    assert unlabelled_verdict(found).verdict == "undecided"
    assert "the reference's top-1 is not known" in unlabelled_verdict(found).budget.limit
    assert unlabelled_verdict(found, 25).verdict == "pass"


def test_the_loss_that_a_result_allows():
    assert loss_allowed(a_result(), None) == pytest.approx(0.6)
    assert loss_allowed(a_result(), 2.0) == 2
    photos = STILL.draw(50, np.random.default_rng(2))
    decisions = weigh(photos.reference, photos.target, None)
    unlabelled = unlabelled_verdict(decisions).unlabelled
    moved = decisions.compared.drift
    one = a_result(reference=None, measured=None, drift=moved, unlabelled=unlabelled)
    assert loss_allowed(one, None) == pytest.approx(decisions.expected_top1)
