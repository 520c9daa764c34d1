"""Comparing logits, and the two gates."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from common import mapped
from deploy.verdict import drift
from deploy.verdict.drift import Comparison, measure_drift
from deploy.verdict.gates import numeric_verdict, statistical_verdict
from deploy.verdict.paired import paired_interval
from deploy.verdict.result import Accuracy, Budget, Reference
from tests.deploy.verdict.results import a_drift


def logits(*rows):
    return np.array(rows, dtype=np.float32)


def compared(
    gained=0, lost=0, images=400, top1=0.6, reference_non_finite=0, **changes
) -> Comparison:
    """What `measure_drift` would return for these counts."""
    right = round(top1 * images)
    return Comparison(
        images=images,
        reference=Reference(runtime="paddle", top1=right / images, top5=0.8),
        measured=Accuracy(top1=min(1, (right + gained - lost) / images), top5=0.8),
        drift=a_drift(gained, lost, images, **changes),
        reference_non_finite=reference_non_finite,
    )


# --- measure_drift ---


def naive(reference, measured, labels):
    """The same figures, photo by photo and in plain Python."""
    found = dict.fromkeys(
        ("r1", "r5", "m1", "m5", "gained", "lost", "flips", "beyond", "bad", "bad photos"), 0
    ) | {"abs": 0.0, "rel": 0.0}
    for a, b, label in zip(reference.tolist(), measured.tolist(), labels.tolist(), strict=True):
        sound = bool(np.isfinite(b).all())
        found["bad"] += sum(not np.isfinite(value) for value in b)
        found["bad photos"] += not sound
        best_a = sorted(range(len(a)), key=lambda i, a=a: (-a[i], i))
        best_b = sorted(range(len(b)), key=lambda i, b=b: (-b[i], i)) if sound else []
        right_a, right_b = best_a[:1] == [label], best_b[:1] == [label]
        found["r1"] += right_a
        found["m1"] += right_b
        found["r5"] += label in best_a[:5]
        found["m5"] += label in best_b[:5]
        found["gained"] += right_b and not right_a
        found["lost"] += right_a and not right_b
        moved = max((abs(p - q) for p, q in zip(a, b, strict=True) if np.isfinite(q)), default=0.0)
        lead = a[best_a[0]] - a[best_a[1]]
        if best_a[:1] != best_b[:1]:
            found["flips"] += 1
            found["beyond"] += not (sound and lead < moved)
        found["abs"] = max(found["abs"], moved)
        comparable = [abs(p) for p, q in zip(a, b, strict=True) if np.isfinite(q)]
        scale = max(comparable, default=0.0)
        found["rel"] = max(found["rel"], moved / (scale or moved or 1))
    return found


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_compare_agrees_with_plain_loops(data):
    shape = data.draw(st.tuples(st.integers(1, 12), st.integers(2, 9)))
    # Few distinct values, so that ties are common.
    value = st.integers(-3, 3).map(float)
    reference = data.draw(arrays.arrays(np.float32, shape, elements=value))
    odd = st.sampled_from([np.nan, np.inf, -np.inf])
    measured = data.draw(arrays.arrays(np.float32, shape, elements=value | value | value | odd))
    labels = data.draw(arrays.arrays(np.int64, shape[:1], elements=st.integers(0, shape[1] - 1)))
    found, wanted = measure_drift(reference, measured, labels), naive(reference, measured, labels)
    n = len(labels)
    assert (found.images, found.flips) == (n, wanted["flips"])
    assert found.reference == Reference(
        runtime="paddle", top1=wanted["r1"] / n, top5=wanted["r5"] / n
    )
    assert found.measured == Accuracy(top1=wanted["m1"] / n, top5=wanted["m5"] / n)
    moved = found.drift
    assert (moved.gained, moved.lost) == (wanted["gained"], wanted["lost"])
    assert moved.flips_beyond_tie == wanted["beyond"]
    assert moved.agreement == pytest.approx(1 - wanted["flips"] / n)
    assert (moved.non_finite, moved.non_finite_photos) == (wanted["bad"], wanted["bad photos"])
    assert moved.max_abs == pytest.approx(wanted["abs"])
    assert moved.max_rel == pytest.approx(wanted["rel"])
    assert moved.top1_pp == pytest.approx(100 * (found.measured.top1 - found.reference.top1))
    interval = paired_interval(moved.gained, moved.lost, n)
    assert moved.ci95_pp == (100 * interval.low, 100 * interval.high)
    assert moved.ci_method == interval.method


def test_identical_logits_do_not_drift():
    same = np.random.default_rng(0).normal(size=(30, 10)).astype(np.float32)
    found = measure_drift(same, same.copy(), np.zeros(30, dtype=np.int64))
    moved = found.drift
    assert (found.flips, moved.gained, moved.lost, moved.max_abs, moved.max_rel) == (0, 0, 0, 0, 0)
    assert moved.agreement == 1


def test_chunks_do_not_change_the_figures(monkeypatch):
    random = np.random.default_rng(3)
    a = random.normal(size=(50, 20)).astype(np.float32)
    b = a + random.normal(size=a.shape).astype(np.float32)
    labels = random.integers(0, 20, 50)
    whole = measure_drift(a, b, labels)
    monkeypatch.setattr(mapped, "_CHUNK", 60)
    assert measure_drift(a, b, labels) == whole


def test_of_equal_logits_the_lower_class_wins():
    flat = np.zeros((7, 7), dtype=np.float32)
    found = measure_drift(flat, flat, np.arange(7))
    assert (found.reference.top1, found.reference.top5) == (1 / 7, 5 / 7)


def test_a_flip_is_a_tie_only_if_the_lead_is_smaller_than_the_difference():
    leads = logits([1.0, 0.5], [1.0, 0.5])
    moved = logits([1.0, 1.25], [0.75, 1.0])  # by 0.75 and by exactly the lead
    found = measure_drift(leads, moved, np.array([0, 0]))
    assert (found.flips, found.drift.flips_beyond_tie) == (2, 1)


def test_the_relative_difference_is_each_photos_own():
    found = measure_drift(
        logits([100.0, 0.0], [1.0, 0.0]), logits([101.0, 0.0], [1.0, 0.1]), [0, 0]
    )
    assert found.drift.max_abs == 1
    assert found.drift.max_rel == pytest.approx(0.1)


@pytest.mark.parametrize(("moved", "relative"), [(0.0, 0.0), (2.0, 1.0)])
def test_against_a_reference_of_zeros_any_difference_is_total(moved, relative):
    found = measure_drift(logits([0.0, 0.0]), logits([moved, 0.0]), [0])
    assert found.drift.max_rel == relative


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_photo_with_a_non_finite_logit_is_wrong_and_agrees_with_nothing(bad):
    reference = logits([3.0, 1.0, 0.0], [3.0, 1.0, 0.0])
    measured = logits([3.0, 1.0, bad], [3.0, 1.0, 0.0])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = measure_drift(reference, measured, [0, 0])
    moved = found.drift
    assert (moved.non_finite, moved.non_finite_photos) == (1, 1)
    assert (moved.lost, found.flips, moved.flips_beyond_tie) == (1, 1, 1)
    assert found.measured.top5 == 0.5
    assert (moved.max_abs, moved.max_rel) == (0, 0)
    assert drift.decisions(measured).tolist() == [-1, 0]


def test_all_logits_non_finite():
    broken = np.full((4, 3), np.nan, dtype=np.float32)
    found = measure_drift(broken, broken, [0, 1, 2, 0])
    assert (found.drift.non_finite, found.reference_non_finite) == (12, 12)
    assert (found.drift.agreement, found.drift.non_finite_photos) == (0, 4)
    assert numeric_verdict(found).verdict == "fail"


def test_one_class_is_always_right():
    found = measure_drift(logits([1.0]), logits([2.0]), [0])
    assert (found.reference.top1, found.flips) == (1, 0)


@pytest.mark.parametrize(
    ("reference", "measured", "labels", "words"),
    [
        (np.zeros((0, 5)), np.zeros((0, 5)), np.zeros(0, int), "nothing to compare"),
        (np.zeros((2, 5)), np.zeros((2, 6)), np.zeros(2, int), "one shape"),
        (np.zeros(5), np.zeros(5), np.zeros(5, int), "photos, classes"),
        (np.zeros((2, 5)), np.zeros((2, 5)), np.zeros(3, int), "2 whole-number labels"),
        (np.zeros((2, 5)), np.zeros((2, 5)), np.zeros(2), "whole-number labels"),
        (np.zeros((2, 5)), np.zeros((2, 5)), np.array([0, 5]), "do not fit 5 classes"),
        (np.zeros((2, 5)), np.zeros((2, 5)), np.array([-1, 0]), "do not fit 5 classes"),
    ],
)
def test_unusable_input_is_a_sentence(reference, measured, labels, words):
    with pytest.raises(ValueError, match=words):
        measure_drift(reference, measured, labels)


# --- the numeric gate ---


def test_numeric_passes_up_to_its_limit():
    verdict = numeric_verdict(compared(max_rel=1e-3, agreement=0.99))
    assert verdict.verdict == "pass"
    assert verdict.reason == (
        "over 400 photos the largest relative logit difference is 1.0e-03 "
        "and no top-1 class changed except on ties"
    )
    assert verdict.budget == Budget(
        kind="numeric",
        limit="relative logit difference <= 1e-03, no top-1 change except on ties",
    )


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"max_rel": 1.0001e-3}, "difference 0.0010001 exceeds 1e-03"),
        ({"flips_beyond_tie": 1}, "1 of 400 photos changed the top-1 class"),
        ({"max_rel": 0.5, "flips_beyond_tie": 20}, "0.5 exceeds 1e-03; 20 of 400 photos"),
        ({"non_finite": 1}, "the target computed 1 non-finite logit"),
        ({"reference_non_finite": 2000}, "the reference computed 2,000 non-finite logits"),
    ],
)
def test_numeric_fails_and_says_why(changes, words):
    verdict = numeric_verdict(compared(**changes))
    assert verdict.verdict == "fail"
    assert words in verdict.reason


# --- the statistical gate ---


def test_statistical_pass():
    verdict = statistical_verdict(
        compared(gained=9, lost=8, agreement=1 - 20 / 50_000, images=50_000)
    )
    assert verdict.verdict == "pass"
    assert verdict.reason == (
        "the top-1 drift +0.00 pp (95 % interval -0.02 to +0.02, 50,000 photos) "
        "stays within a loss of 0.60 pp; 20 decisions changed"
    )
    assert verdict.budget == Budget(
        kind="statistical", limit="top-1 loss <= 0.60 pp (1% of the reference top-1)"
    )


def test_statistical_fail():
    verdict = statistical_verdict(compared(gained=5, lost=60))
    assert verdict.verdict == "fail"
    assert "is beyond a loss of 0.60 pp" in verdict.reason


def test_statistical_undecided_says_how_many_photos_would_do():
    verdict = statistical_verdict(compared(gained=9, lost=8))
    assert verdict.verdict == "undecided"
    assert verdict.reason == (
        "the top-1 drift +0.25 pp (95 % interval -1.96 to +2.49, 400 photos) may or may not stay "
        "within a loss of 0.60 pp; about 1,900 more photos would decide it if these rates hold"
    )


@pytest.mark.parametrize(("gained", "lost", "budget_pp"), [(0, 0, None), (9, 8, None), (1, 5, 0.5)])
def test_that_many_more_photos_at_these_rates_decide(gained, lost, budget_pp):
    undecided = statistical_verdict(compared(gained, lost), budget_pp)
    assert undecided.verdict == "undecided"
    more = int(undecided.reason.split("about ")[1].split(" more")[0].replace(",", ""))

    def verdict(images):
        return statistical_verdict(
            compared(round(gained * images / 400), round(lost * images / 400), images), budget_pp
        ).verdict

    assert verdict(400 + more) != "undecided"
    assert verdict(400 + int(0.85 * more)) == "undecided"


def test_a_drift_of_exactly_the_budget_is_never_decided():
    verdict = statistical_verdict(compared(gained=0, lost=3, images=500, top1=0.6))
    assert verdict.verdict == "undecided"
    assert "no number of photos" in verdict.reason


def test_the_budget_can_be_given_in_percentage_points():
    found = compared(gained=9, lost=8)
    assert statistical_verdict(found, budget_pp=5).verdict == "pass"
    assert statistical_verdict(found, budget_pp=5).budget.limit == "top-1 loss <= 5.00 pp"
    assert statistical_verdict(found, budget_pp=0).verdict == "undecided"
    assert statistical_verdict(compared(gained=30), budget_pp=0).verdict == "pass"
    for nonsense in (-1, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="a budget is a loss"):
            statistical_verdict(found, budget_pp=nonsense)


def test_the_whole_interval_decides_up_to_its_ends():
    found = compared(gained=9, lost=8)
    low, _ = found.drift.ci95_pp
    assert statistical_verdict(found, budget_pp=-low * (1 + 1e-12)).verdict == "pass"
    assert statistical_verdict(found, budget_pp=-low * (1 - 1e-6)).verdict == "undecided"
    worse = compared(gained=0, lost=40)
    _, high = worse.drift.ci95_pp
    assert statistical_verdict(worse, budget_pp=-high * (1 - 1e-6)).verdict == "fail"
    assert statistical_verdict(worse, budget_pp=-high * (1 + 1e-6)).verdict == "undecided"


def test_a_reference_that_knows_nothing_cannot_lose():
    verdict = statistical_verdict(compared(gained=2, top1=0), budget_pp=5)
    assert verdict.verdict == "undecided"
    assert verdict.reason == (
        "the reference gets none of 400 photos right, so a loss cannot be seen"
    )


@pytest.mark.parametrize("field", ["non_finite", "reference_non_finite"])
def test_non_finite_logits_always_fail(field):
    found = compared(gained=30, **{field: 7})
    for verdict in (
        statistical_verdict(found, budget_pp=50),
        statistical_verdict(compared(gained=30, top1=0, **{field: 7})),
        numeric_verdict(found),
    ):
        assert verdict.verdict == "fail"
        assert "7 non-finite logits" in verdict.reason
