"""The published latencies beside what was measured here."""

import types
from pathlib import Path

import pytest

from common.strict_json import encode
from convert.artifact import Artifact
from deploy.speed.published import published_block

T4 = types.SimpleNamespace(published_gpu="T4")
GRAPH = {"class_num": 1000, "weights": "official", "weights_path": None}
V100 = types.SimpleNamespace(published_gpu="V100")


def a_graph(model="SqueezeNet1_1", **facts) -> Artifact:
    return Artifact(Path("inference/fp32"), {"model": model, "facts": GRAPH | facts})


@pytest.mark.parametrize(
    ("facts", "is_shown"),
    [
        ({}, True),
        ({"weights": "demo"}, True),
        ({"weights": "a" * 64, "weights_path": "/w/SqueezeNet1_1_pretrained.pdparams"}, True),
        ({"weights": "a" * 64, "weights_path": "/w/SqueezeNet1_1_mine.pdparams"}, False),
        ({"weights": "random"}, False),
        ({"class_num": 6}, False),
    ],
)
def test_figures_are_shown_for_published_weights_only(facts, is_shown):
    assert (published_block(a_graph(**facts), T4, "fp32", None) is not None) == is_shown


def test_a_result_is_compared_on_the_published_gpu_only():
    medians = {"1": 1.62756, "2": 9.0}

    def block(gpu, target=T4, model="SqueezeNet1_1", precision="fp16"):
        return encode(published_block(a_graph(model), target, precision, gpu, medians))

    here = block("Tesla T4")
    assert here["comparable"]
    assert "why" not in here
    assert here["batch"]["1"]["ratio"] == pytest.approx(2.0)
    assert here["batch"]["1"]["place"] == "PaddleClas model page, Other models, line 59"
    assert "slower than FP32" in here["batch"]["1"]["contested"][0]
    assert here["batch"]["4"] == {
        "ms": 1.62919,
        "place": "PaddleClas model page, Other models, line 59",
    }

    for gpu, why in (
        (None, "no GPU here"),
        ("NVIDIA H100", "NVIDIA H100, is not a T4"),
        ("NVIDIA T400", "is not a T4"),
    ):
        elsewhere = block(gpu)
        assert not elsewhere["comparable"]
        assert why in elsewhere["why"]
        assert elsewhere["batch"]["1"]["ms"] == 0.81378
        assert "ratio" not in elsewhere["batch"]["1"]

    assert block("Tesla V100-SXM2-16GB", V100, precision="fp32")["comparable"]
    twins = block("Tesla T4", model="pcpvt_small")
    assert (twins["batch"], twins["comparable"]) == ({}, False)
    assert twins["why"].startswith("no reference: no T4 latency")
    assert block("Tesla T4", types.SimpleNamespace(published_gpu=None)) is None
