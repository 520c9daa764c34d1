"""Latencies: what is timed, when it ends, and when a figure is called noisy."""

import json
import os
import types

import numpy as np
import pytest

from common import machine
from common.errors import StepError
from deploy.speed import latency
from runtimes.environments import LITE
from runtimes.session_pool import NATIVE, SessionSpec

CORE = [min(os.sched_getaffinity(0))]


@pytest.fixture
def artifact(tmp_path):
    return types.SimpleNamespace(folder=tmp_path, facts={"input_shape": [3, 32, 32]})


def sleeper(environment="main", **options) -> SessionSpec:
    return SessionSpec(NATIVE, "tests.deploy.sleeper:Session", environment, options=options)


@pytest.mark.parametrize(
    "environment",
    [
        "main",
        pytest.param(
            "lite",
            marks=pytest.mark.skipif(
                LITE.problem() is not None, reason=f".venv-lite: {LITE.problem()}"
            ),
        ),
    ],
)
def test_a_figure_is_of_the_runs_alone_on_the_cores_asked_for(artifact, environment):
    figure = latency.measure(sleeper(environment), artifact, "fp32", 4, CORE, limit=0.6)
    # A sleep is never shorter than asked for; sending the batch would show as far more.
    assert 2 <= figure["least_ms"] <= figure["median_ms"] <= figure["p90_ms"]
    low, high = figure["ci95_ms"]
    assert low <= figure["median_ms"] <= high
    assert figure["runs"] >= 3
    assert figure["warmup_runs"] >= 6
    assert figure["environment"] == {"cores": CORE, "threads": 1}
    assert json.loads(json.dumps(figure)) == figure


def test_a_restless_runtime_is_noisy(artifact):
    session_spec = sleeper(milliseconds=[1, 4])
    figure = latency.measure(session_spec, artifact, "fp32", 1, CORE, limit=0.5)
    assert any(reason.startswith("spread ") for reason in figure["noisy"])


def test_logits_that_are_not_finite_are_not_timed(artifact):
    session_spec = sleeper(logit=float("nan"))
    with pytest.raises(StepError, match="logits of a batch of 2 are not all there"):
        latency.measure(session_spec, artifact, "fp32", 2, CORE)


def test_a_runtime_that_dies_is_a_sentence(artifact):
    session_spec = SessionSpec(NATIVE, "tests.deploy.dying:Session")
    with pytest.raises(StepError, match=r"timing .*ended by SIGSEGV"):
        latency.measure(session_spec, artifact, "fp32", 1, CORE)


def test_percentiles_are_values_that_were_measured():
    figure = latency.summary(np.arange(1.0, 201.0))
    assert (figure["median_ms"], figure["p90_ms"], figure["p99_ms"]) == (100, 180, 198)
    assert figure["spread"] == pytest.approx((180 - 20) / 100)
    assert figure["ci95_ms"] == [86, 115]  # n / 2 -+ 0.98 sqrt(n)
    assert (figure["least_ms"], figure["runs"]) == (1, 200)


def test_a_percentile_needs_enough_runs():
    few = latency.summary(np.arange(1.0, 10.0))
    assert (few["p90_ms"], few["p99_ms"]) == (None, None)
    assert latency.summary(np.arange(99.0) + 1)["p99_ms"] is None


class Scripted:
    """Stands for a worker whose blocks take as long as it is told, in ms."""

    def __init__(self, *medians):
        self._medians = list(medians)

    def use(self, method, **_):
        return np.full(5, 1e6 * self._medians.pop(0))


def test_warm_up_goes_on_until_the_speed_stays():
    timer = latency.Timer(Scripted(9.0, 5.0, 3.0, 2.95, 77.0))
    timer.warm_up()
    assert timer.settled
    assert timer.runs == 4 * 5
    assert timer.median() == 77.0


def test_a_warm_up_that_never_settles_is_remembered(monkeypatch):
    monkeypatch.setattr(latency, "_WARM_UP", 0.0)
    timer = latency.Timer(Scripted(9.0, 5.0))
    timer.warm_up()
    assert not timer.settled


def test_the_share_of_others_is_what_the_cores_did_beside(monkeypatch):
    clock = iter([100.0, 110.0])
    busy = iter([500.0, 519.0])
    ours = iter([40.0, 56.0])
    monkeypatch.setattr(latency.time, "monotonic", lambda: next(clock))
    monkeypatch.setattr(latency.time, "process_time", lambda: 1.0)
    monkeypatch.setattr(machine, "busy_seconds", lambda cores: next(busy))
    timer = types.SimpleNamespace(cpu_seconds=lambda: next(ours))
    others = latency._Others(timer, [0, 1])
    assert others.share() == pytest.approx((19 - 16) / 20)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({}, None),
        ({"spread": 0.11}, "spread 11%, above 10%"),
        ({"others": 0.4}, "others took 40% of the cores, above 5%"),
        ({"settled": False}, "not settled after 3 s of warm-up"),
        ({"known": False}, "time was up at 200 runs, interval -1.0% +2.0%"),
    ],
)
def test_noise_has_a_reason(change, reason):
    facts = {"spread": 0.05, "others": 0.01, "settled": True, "known": True, **change}
    settled, known = facts.pop("settled"), facts.pop("known")
    figure = {"median_ms": 10.0, "ci95_ms": [9.9, 10.2], "runs": 200, **facts}
    assert latency._noise(figure, known, settled) == ([reason] if reason else [])


def scripted_sides(order: list[str], first: list[float], second: list[float]):
    """Two sides whose blocks take these ms, the last for ever; `order` hears whose turn it is."""

    def side(name, values):
        def block():
            order.append(name)
            return values.pop(0) if len(values) > 1 else values[0]

        return block

    return side("A", first), side("B", second)


def test_two_sides_take_turns_and_the_machines_mood_cancels_out():
    order = []
    mood = [1.0, 3.0, 1.5, 0.7, 2.0, 1.1, 0.9, 1.3, 2.5, 1.0]
    sides = scripted_sides(order, [10 * m for m in mood], [13 * m for m in mood])
    found = latency.compare_speed(*sides, limit=60)
    assert "".join(order) == "ABBA" * 5
    assert found["pairs"] == 10
    assert found["ratio"] == pytest.approx(1.3)
    assert found["ci95"] == pytest.approx([1.3, 1.3])
    assert found["verdict"] == "first is faster"
    assert [reason.split(" blocks ")[0] for reason in found["noisy"]] == [
        "spread of the first one's",
        "spread of the second one's",
    ]


def test_a_difference_within_the_noise_is_not_claimed():
    sides = scripted_sides([], [1.0], [1.2, 0.9, 1.3, 0.8, 1.1, 0.9])
    found = latency.compare_speed(*sides, limit=0)
    assert found["pairs"] == 6  # the fewest for an interval, however short the time
    assert found["ci95"] == [0.8, 1.3]
    assert found["verdict"] == "no difference shown"
    assert found["noisy"][1] == "time was up at 6 pairs, interval -20.0% +30.0%"


def test_a_ratio_that_is_known_is_not_noisy():
    found = latency.compare_speed(*scripted_sides([], [1.0], [1.2]), limit=60)
    assert (found["pairs"], found["noisy"]) == (10, [])


def test_the_second_can_be_the_faster_one():
    found = latency.compare_speed(*scripted_sides([], [1.0], [0.5]), limit=0)
    assert (found["first_ms"], found["second_ms"], found["ratio"]) == (1.0, 0.5, 0.5)
    assert found["verdict"] == "second is faster"


def test_the_conditions_name_the_machine():
    found = latency.conditions(CORE)
    assert found["cpu"]
    assert found["cores"] == CORE
    assert len(found["load"]) == 3
    assert all(100 < clock < 10_000 for clock in found["clocks_mhz"])
