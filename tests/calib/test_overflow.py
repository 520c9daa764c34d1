"""Values beyond float16's range are found before any FP16 file is made, and named."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from calib.overflow import beyond_fp16, find
from models.state import read_state, write_state
from tests.deploy.test_validate import results


def network(path, factor: float) -> str:
    """x times a weight, then a Relu and an average: the product is 1000 times the factor."""
    weight = np.full((2, 3, 1, 1), factor, np.float32)
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"], "layer"),
        helper.make_node("Sigmoid", ["c"], ["s"], "gate"),
        helper.make_node("GlobalAveragePool", ["s"], ["logits"], "pool"),
    ]
    graph = helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, 4, 4])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", 2, 1, 1])],
        [numpy_helper.from_array(weight, "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, path)
    return str(path)


PHOTOS = np.full((2, 3, 4, 4), 1000 / 3, np.float32)


@pytest.mark.parametrize(
    ("factor", "expected"),
    [(60, []), (70, ["layer (Conv)"]), (70000, ["the weights 'w'", "layer (Conv)"])],
)
def test_what_leaves_the_range_is_named(tmp_path, factor, expected):
    found = find(network(tmp_path / "model.onnx", factor), PHOTOS, {})
    assert [what for what, _ in found] == expected
    assert all(size > 65504 for _, size in found)


def test_a_real_model_stays_within_it(measured):
    assert beyond_fp16(measured.onnx) == []


@pytest.fixture
def loud(weights, tmp_path):
    """A folder with weights whose activations, but for the last, are a thousand times as large."""
    state = read_state(weights / "SqueezeNet1_1_pretrained.pdparams")
    layers = [name for name, value in state.items() if value.ndim == 4]
    first, last = layers[0], next(name for name in layers if len(state[name]) == 1000)
    state[first] *= 1000
    state[last] /= 1000
    write_state(tmp_path / "SqueezeNet1_1_pretrained.pdparams", state)
    return tmp_path


def test_files_that_overflow_are_warned_of_before_they_are_made(command, loud):
    done = command(
        *("deploy/build.py", "--model", "SqueezeNet1_1", "--weights", loud),
        *("--target", "openvino", "--precision", "fp16"),
    )
    lines = done.stderr.splitlines()
    warned = next(row for row, line in enumerate(lines) if "warning" in line)
    assert "SqueezeNet1_1: Relu.0 (Relu) reaches" in lines[warned]
    assert "more than FP16's 65504" in lines[warned]
    assert not any(line.strip().startswith("to_openvino") for line in lines[:warned])


def test_ranges_are_fitted_for_onnx_and_tensorrt(command, loud, photos):
    done = command(
        *("deploy/validate.py", "--model", "SqueezeNet1_1", "--weights", loud, "--json"),
        *("--target", "onnx", "--target", "trt-t4", "--precision", "fp16", "--data", photos(3)),
    )
    found = results(done)
    for target in ("onnx", "trt-t4"):
        one = found[target, "fp16"]
        assert one["drift"]["non_finite"] == 0
        assert 1e-5 < one["drift"]["max_rel"] < 2e-2  # rounded, and not infinite
    assert "values stored in FP16 may reach" in done.stderr
    assert "tensors are divided by 2^" in done.stderr
    assert "warning" not in done.stderr
