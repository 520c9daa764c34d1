"""Range fitting: smaller activations, and the same logits to the last bit."""

import numpy as np
import onnxruntime
import pytest

from common import files
from convert import step_check
from convert.range_fitting import EXPONENTS, FP32_SUMS, fit_ranges
from convert.simulate_arm_fp16 import Session
from convert.to_onnx import to_onnx

# As if photos had shown activations this large: every homogeneous stretch then needs an exponent.
LARGE = {f"p2o.pd_op.relu.{place}.0": 3e5 for place in range(100)}


def run(onnx, images: np.ndarray) -> np.ndarray:
    return onnxruntime.InferenceSession(onnx.file("model.onnx")).run(None, {"x": images})[0]


# What is scaled depends on the layers, and not on the pixels: few of these, where a network takes
# any number.
SIDE = 64


@pytest.mark.parametrize(
    ("model", "side"),
    [
        ("SqueezeNet1_0", SIDE),
        ("AlexNet", None),
        ("VGG11", None),
        ("DarkNet53", SIDE),
        ("ResNeSt50", SIDE),
        ("RegNetX_4GF", SIDE),
    ],
)
def test_every_homogeneous_family_keeps_its_logits_to_the_last_bit(graph, model, side):
    inference = graph(model, side=side)
    fitted = fit_ranges(inference, LARGE)
    assert fitted.facts["probe_difference"] == 0.0
    before, after = (np.load(one.file(step_check.FILE)) for one in (inference, fitted))
    np.testing.assert_array_equal(before, after)
    exponents = files.read_json(fitted.file(EXPONENTS))
    assert [stretch["exponent"] for stretch in exponents.values()] == [
        int(np.ceil(np.log2(stretch["without"] / (65504 / 4)))) for stretch in exponents.values()
    ]
    content = [one.file("inference.pdiparams").read_bytes() for one in (inference, fitted)]
    assert content[0] != content[1]


def test_small_activations_leave_the_graph_as_it_is(graph):
    inference = graph("SqueezeNet1_0", side=SIDE)
    assert fit_ranges(inference) is inference


def test_where_sums_are_float32_only_what_is_stored_counts(graph, weights):
    inference = graph("SqueezeNet1_1", str(weights))
    assert fit_ranges(inference, kernels=FP32_SUMS) is inference  # not so for ARM, see below
    fitted = fit_ranges(inference, LARGE, FP32_SUMS)
    assert fitted.manifest["kind"] != fit_ranges(inference, LARGE).manifest["kind"]
    before, after = (np.load(one.file(step_check.FILE)) for one in (inference, fitted))
    np.testing.assert_array_equal(before, after)
    (stretch,) = fitted.facts["exponents"].values()
    assert stretch == {"exponent": 5, "without": pytest.approx(3e5), "tensors": 87}


def test_what_cannot_be_scaled_in_a_transformer_is_warned_of(graph, capsys):
    inference = graph("alt_gvt_small")
    assert fit_ranges(inference, {"p2o.pd_op.softmax.0.0": 3e5}) is inference
    said = capsys.readouterr().err
    assert "warning: alt_gvt_small: FP16 kernels on ARM may reach 300000 where nothing" in said


def test_real_weights_need_it_and_the_onnx_file_gives_the_same_bits(graph, weights, capsys):
    inference = graph("SqueezeNet1_1", str(weights))
    fitted = fit_ranges(inference)
    said = capsys.readouterr().err
    assert "SqueezeNet1_1: at relu_" in said
    assert "more than 65504: 87 tensors are divided by 2^" in said
    (stretch,) = fitted.facts["exponents"].values()
    assert stretch["exponent"] > 0
    assert stretch["without"] > 65504
    plain, small = to_onnx(inference), to_onnx(fitted)
    assert small.folder != plain.folder
    images = step_check.images((3, 224, 224))
    np.testing.assert_array_equal(run(plain, images), run(small, images))
    # Nine times the contrast overflows in the kernels of the plain file only.
    loud = 9 * images[:1]
    assert not np.isfinite(Session(str(plain.folder), "fp16", 1).run(loud)).all()
    assert np.isfinite(Session(str(small.folder), "fp16", 1).run(loud)).all()
