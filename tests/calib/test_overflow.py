"""Values beyond float16's range are found before any FP16 file is made, and named."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from calib.overflow import beyond_half, find


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
    found = find(network(tmp_path / "model.onnx", factor), PHOTOS, None)
    assert [what for what, _ in found] == expected
    assert all(size > 65504 for _, size in found)


def test_a_real_model_stays_within_it(measured):
    assert beyond_half(measured.onnx) == []
