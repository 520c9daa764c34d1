"""The search for a budget: its order, when it stops, and how a killed one goes on."""

import dataclasses
from types import SimpleNamespace

import pytest

from calib.quant_config import LOGITS, NNCF, QuantConfig, worth_trying
from calib.sensitivity import Effect
from common import files
from common.errors import StepError
from deploy.int8 import search
from deploy.int8.search import Search
from deploy.verdict.drift import Comparison
from deploy.verdict.gates import statistical_verdict
from deploy.verdict.result import Accuracy, Calibration, Data, Reference, Size, Speed
from tests.deploy.verdict.results import a_drift, a_result

LAYERS = ["one", "two", "three", "four"]
GRAPH = SimpleNamespace(key="graph", name="Toy", model="Toy")


@dataclasses.dataclass(frozen=True)
class Choices:
    quant: QuantConfig | None = None
    kept: dict = dataclasses.field(default_factory=dict)
    remade: dict = dataclasses.field(default_factory=dict)

    def measured(self, graph):
        ranges, crops = SimpleNamespace(key="ranges"), SimpleNamespace(sha256="calibrating")
        return None, ranges, crops, self.quant or QuantConfig()


class Judge:
    """Says what was lost by a recipe: 9 photos of 10 are right in float; remembers what it saw."""

    crops = SimpleNamespace(sha256="judging")

    def __init__(self, lost, images=100, gained=0):
        self.lost, self.images, self.gained, self.seen = lost, images, gained, []

    def judge(self, target, precision, built, budget_pp, options):
        quant = options.quant
        self.seen.append((quant.method, len(quant.keep_float)))
        lost = self.lost(quant)
        compared = Comparison(
            images=self.images,
            reference=Reference(runtime="paddle", top1=0.9, top5=0.9),
            measured=Accuracy(top1=0.9 + (self.gained - lost) / self.images, top5=0.9),
            drift=a_drift(self.gained, lost, self.images),
        )
        return a_result(
            precision="int8",
            verdict=statistical_verdict(compared, budget_pp).verdict,
            files=target.digests(built),
            data=Data(name="photos", images=self.images, sha256="a" * 64),
            calibration=Calibration(**dataclasses.asdict(quant), weight_bits=8),
            reference=compared.reference,
            measured=compared.measured,
            drift=compared.drift,
        )


class Toy(SimpleNamespace):
    """A target, whose class is among the code that a search depends on."""


@pytest.fixture
def begin(build_folder, monkeypatch):
    """A search by a judge: `begin(judge)`. Layers rank in the order of LAYERS."""
    effects = [Effect(name, "Conv", 0.1, 0.1, 0.0) for name in LAYERS]
    monkeypatch.setattr(search, "rank", lambda *_: effects)

    def make(judge, budget_pp=None, build=lambda *_: None):
        target = Toy(
            name="toy",
            tools=(),
            methods=("minmax", "mse"),
            session_spec=lambda precision: SimpleNamespace(execution="native"),
            problem=lambda: None,
            build=build,
            grid=lambda: None,
            digests=lambda built: built.files if built else {},
        )
        return Search(GRAPH, target, judge, Choices(), budget_pp)

    return make


def test_the_first_method_within_the_budget_is_enough(begin):
    judge = Judge(lambda quant: 0)
    assert len(list(begin(judge).within_budget(60))) == 1
    assert judge.seen == [("minmax", 0)]


def test_methods_come_first_and_then_one_and_two_layers(begin):
    judge = Judge(lambda quant: {0: 9, 1: 5, 2: 0}[len(quant.keep_float)])
    found = list(begin(judge).within_budget(60))
    assert judge.seen == [("minmax", 0), ("mse", 0), ("minmax", 1), ("minmax", 2)]
    assert found[-1].calibration.keep_float == ("one", "two")


def test_at_most_half_of_the_layers_stay_in_float(begin):
    judge = Judge(lambda quant: 9)
    list(begin(judge).within_budget(60))
    assert max(kept for _, kept in judge.seen) == 2


def test_from_two_layers_on_there_are_about_two_thirds_more_each_time(begin, monkeypatch):
    effects = [Effect(f"layer {row}", "Conv", 0.1, 0.1, 0.0) for row in range(26)]
    monkeypatch.setattr(search, "rank", lambda *_: effects)
    judge = Judge(lambda quant: 9)
    list(begin(judge).within_budget(60))
    assert [kept for _, kept in judge.seen] == [0, 0, 1, 2, 3, 5, 8, 13]


def test_the_layers_of_the_better_method_stay_in_float(begin):
    judge = Judge(lambda quant: 9 if quant.method == "minmax" else 5)
    list(begin(judge).within_budget(60))
    assert judge.seen[2:] == [("mse", 1), ("mse", 2)]


def test_nothing_new_is_begun_when_time_is_up(begin):
    judge = Judge(lambda quant: 9)
    assert len(list(begin(judge).within_budget(0))) == 1


def test_where_the_photos_are_enough_the_verdict_must_pass(begin):
    # A loss of 0.8 points is within 0.9; its interval, of half a point either way, is not.
    judge = Judge(lambda quant: 400 - 60 * len(quant.keep_float), 20_000, gained=240)
    found = list(begin(judge).within_budget(60))
    assert [one.verdict for one in found] == ["undecided", "undecided", "pass"]


def test_a_ranking_that_fails_leaves_the_methods_results(begin, monkeypatch, capsys):
    def fail(*_):
        raise StepError("sensitivity of Toy: it broke")

    monkeypatch.setattr(search, "rank", fail)
    assert len(list(begin(Judge(lambda quant: 9)).within_budget(60))) == 2
    assert "it broke" in capsys.readouterr().err


def test_a_killed_search_goes_on_where_it_was(begin):
    killed = Judge(lambda quant: 9)
    for _ in zip(range(3), begin(killed).within_budget(60), strict=False):
        pass
    judge = Judge(lambda quant: 9)
    found = list(begin(judge).within_budget(60))
    assert len(found) == 4
    assert judge.seen == [("minmax", 2)]


def test_other_photos_or_another_budget_start_anew(begin):
    list(begin(Judge(lambda quant: 9)).within_budget(60))
    judge = Judge(lambda quant: 9)
    list(begin(judge, 0.5).within_budget(60))
    assert len(judge.seen) == 4
    other = Judge(lambda quant: 9)
    other.crops = SimpleNamespace(sha256="others")
    list(begin(other).within_budget(60))
    assert len(other.seen) == 4


def test_what_layers_in_float_cost_is_reported(begin, monkeypatch):
    def build(graph, precision, options):
        size = 10 if precision == "fp32" else 2 + len(options.quant.keep_float)
        digest = files.sha256_of(dataclasses.asdict(options.quant))
        stored = {"files": {"model.onnx": {"bytes": 1e6 * size}}}
        return SimpleNamespace(manifest=stored, files={"model.onnx": digest})

    kept, written = [], []
    monkeypatch.setattr(search, "keep", lambda *facts: kept.append(facts))
    monkeypatch.setattr(search.result, "write", written.append)

    def speed(_, quant):
        ratio = 3.0 - len(quant.keep_float)
        return Speed(int8_ms=1.0, fp32_ms=ratio, ratio=ratio, ci95=(ratio, ratio), advice="x")

    monkeypatch.setattr(Search, "_speed", speed)
    one = begin(Judge(lambda quant: {0: 9, 1: 5, 2: 0}[len(quant.keep_float)]), build=build)
    attempts = list(one.within_budget(60))
    chosen = one.finish()
    assert (chosen.all_int8.size, chosen.all_int8.speed.ratio) == (Size(int8=2, fp32=10), 3)
    assert (chosen.size, chosen.speed.ratio) == (Size(int8=4, fp32=10), 1)
    assert [one.layer for one in chosen.sensitivity] == LAYERS
    # The layers' profile goes with the file that is kept, and with no other.
    (_, _, built, _), *others = kept
    assert (chosen.files, written, others) == (built.files, [chosen], [])
    assert not any(attempt.sensitivity for attempt in attempts)

    none = begin(Judge(lambda quant: 0), build=build)
    list(none.within_budget(60))
    assert none.finish().all_int8 is None


def test_methods_that_the_default_chooses_among_are_not_tried_again():
    assert worth_trying((LOGITS, "mse", "minmax", NNCF)) == (LOGITS, NNCF)
    assert worth_trying(("mse", "minmax")) == ("mse", "minmax")
