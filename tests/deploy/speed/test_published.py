"""The published latencies beside what was measured here."""

import types

import pytest

from common.strict_json import encode
from deploy.speed.published import published_block

T4 = types.SimpleNamespace(published_gpu="T4")
V100 = types.SimpleNamespace(published_gpu="V100")


def test_a_result_is_compared_on_the_published_gpu_only():
    medians = {"1": 1.62756, "2": 9.0}

    def block(gpu, target=T4, model="SqueezeNet1_1", precision="fp16"):
        return encode(published_block(model, target, precision, gpu, medians))

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
