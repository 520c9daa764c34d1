"""What got worse is told from noise by the intervals."""

import pytest

from deploy.reports.comparison import compare, regressions
from deploy.verdict.result import Budget, Data, Environment, Latency
from tests.deploy.verdict.results import a_drift, a_result


def kinds(before, now) -> list[tuple[str, str]]:
    return [(one.kind, one.what) for one in compare([before], [now])]


def drifted(gained: int, lost: int, images: int = 4000, **changes):
    changes.setdefault("verdict", "undecided")
    changes["data"] = Data(name="demo", images=images, sha256="a" * 64)
    changes["budget"] = Budget(kind="statistical", limit="top-1 loss <= 0.60 pp")
    return a_result(precision="int8", drift=a_drift(gained, lost, images), **changes)


def test_a_loss_beyond_noise_is_worse_and_the_reverse_better():
    before, now = drifted(5, 10), drifted(5, 200)
    assert kinds(before, now) == [
        ("worse", "drift -0.12 to -4.88 points"),
        ("worse", "decisions agreed 99.6 % to 94.9 %"),
    ]
    assert [kind for kind, _ in kinds(now, before)] == ["better", "better"]
    assert len(regressions(compare([before], [now]))) == 2


def test_the_same_loss_on_few_photos_is_noise():
    few = drifted(1, 2, 80), drifted(1, 5, 80)
    assert kinds(*few) == [("same", "undecided, within noise")]


def test_other_photos_are_said():
    other = Data(name="mine", images=4000, sha256="b" * 64)
    now = drifted(5, 200)
    assert "on other photos" in kinds(drifted(5, 10), a_result(**vars(now) | {"data": other}))[0][1]


def test_a_verdict_that_fails_now_is_worse_whatever_the_figures():
    assert ("worse", "pass to fail") in kinds(a_result(), a_result(verdict="fail"))
    assert ("better", "fail to pass") in kinds(a_result(verdict="fail"), a_result())


def test_a_verdict_that_more_photos_decided_is_no_news():
    assert kinds(drifted(5, 10), drifted(5, 10, verdict="pass")) == [
        ("same", "undecided to pass; no figure moved beyond noise")
    ]


def test_photos_without_a_decision_are_worse():
    now = a_result(drift=a_drift(non_finite=9, non_finite_photos=1))
    assert kinds(a_result(), now) == [
        ("worse", "photos with logits that are not finite: 0 to 1"),
    ]


def test_what_appears_and_goes():
    before, now = a_result(target="onnx"), a_result(target="mnn")
    assert [(one.kind, one.name) for one in compare([before], [now])] == [
        ("appeared", "SqueezeNet1_1 mnn fp32"),
        ("went", "SqueezeNet1_1 onnx fp32"),
    ]


def timed(median: float, half: float = 0.1, **changes):
    noisy = changes.pop("noisy", ())
    figure = Latency(
        median_ms=median, ci95_ms=(median - half, median + half), runs=100, noisy=noisy
    )
    return a_result(latency={"1": figure}, **changes)


@pytest.mark.parametrize(
    ("now", "kind"),
    [
        (timed(12.0), "worse"),
        (timed(8.0), "better"),
        (timed(10.5), "same"),  # apart, but by less than runs of one file differ
        (timed(12.0, half=3.0), "same"),
        (timed(12.0, noisy=("spread",)), "same"),
        (timed(12.0, environment=Environment(cpu="another", threads=2)), "same"),
    ],
)
def test_latency_counts_on_one_machine_and_beyond_noise(now, kind):
    assert [found for found, _ in kinds(timed(10.0), now)] == [kind]
