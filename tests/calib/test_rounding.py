"""Weights that are rounded together, on layers of every kind."""

from dataclasses import asdict

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from calib.fake_quant import Grid
from calib.rounding import Rounding, put_rounded, read_rounded

GRID = Grid(symmetric=True, weight_limit=127)
CONVOLUTIONS = {  # shape of the weights, and the layer's attributes
    "plain": ((6, 8, 3, 3), {"pads": [1, 1, 1, 1]}),
    "pointwise": ((6, 8, 1, 1), {}),
    "strided": ((6, 8, 5, 3), {"strides": [2, 3], "pads": [2, 0, 1, 1]}),
    "dilated": ((6, 8, 3, 3), {"dilations": [2, 2], "pads": [2, 2, 2, 2]}),
    "grouped": ((6, 4, 3, 3), {"group": 2}),
    "depthwise": ((8, 1, 3, 3), {"group": 8}),
}


@pytest.fixture
def photos():
    """float32 [6, 8, 12, 12], smooth as photos are, so that neighbours are alike."""
    noise = np.random.default_rng(1).standard_normal((6, 8, 12, 12)).cumsum(2).cumsum(3)
    noise += 2 * noise[:, :1]  # and channels
    return (noise / noise.std()).astype(np.float32)


def write_layer(path, nodes, shapes) -> str:
    """A graph from `x` to `y`, with random weights of these shapes."""
    random = np.random.default_rng(2)
    weights = [
        numpy_helper.from_array(random.standard_normal(shape).astype(np.float32), name)
        for name, shape in shapes.items()
    ]
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", *[None] * rank])
        for name, rank in (("x", 3), ("y", 3 if nodes[-1].op_type == "Conv" else 1))
    ]
    graph = helper.make_graph(nodes, "layer", ends[:1], ends[1:], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, path)
    return str(path)


def convolution(path, kind: str) -> str:
    shape, attributes = CONVOLUTIONS[kind]
    node = helper.make_node("Conv", ["x", "w"], ["y"], "layer", **attributes)
    node.attribute.append(helper.make_attribute("kernel_shape", shape[2:]))
    return write_layer(path, [node], {"w": shape})


def product(path, kind: str) -> str:
    flat = helper.make_node("Flatten", ["x"], ["f"], "flat")
    node = {
        "Gemm": helper.make_node("Gemm", ["f", "w"], ["y"], "layer"),
        "Gemm, transposed": helper.make_node("Gemm", ["f", "w"], ["y"], "layer", transB=1),
        "MatMul": helper.make_node("MatMul", ["f", "w"], ["y"], "layer"),
    }[kind]
    return write_layer(path, [flat, node], {"w": (5, 1152) if "transposed" in kind else (1152, 5)})


def rounded(model: str, batch: np.ndarray, tmp_path, grid: Grid = GRID) -> dict:
    rounding = Rounding(model, asdict(grid), batch)
    for part in rounding.parts():
        rounding.round_part(part)
    rounding.write(str(tmp_path / "weights.npz"))
    return read_rounded(str(tmp_path / "weights.npz"))


def off(model: str, weight: np.ndarray, batch: np.ndarray) -> float:
    """The power of the error in a layer's outputs that a weight in place of its own makes."""
    changed = onnx.load(model)
    exact = run(changed, batch)
    put_rounded(changed, {"w": weight})
    return float(((run(changed, batch) - exact) ** 2).sum())


def run(model, batch: np.ndarray) -> np.ndarray:
    return onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"x": batch})[0]


@pytest.mark.parametrize("kind", [*CONVOLUTIONS, "Gemm", "Gemm, transposed", "MatMul"])
def test_rounded_together_the_outputs_are_nearer_and_the_grid_is_the_same(tmp_path, photos, kind):
    make = convolution if kind in CONVOLUTIONS else product
    model = make(tmp_path / "layer.onnx", kind)
    graph = onnx.load(model).graph
    node, weight = graph.node[-1], numpy_helper.to_array(graph.initializer[0])
    found = rounded(model, photos, tmp_path)["w"]
    nearest = GRID.rounded(weight, node)
    assert found.shape == weight.shape
    assert found.dtype == np.float32
    assert not np.array_equal(found, nearest)
    assert GRID.weight_scales(found, node) == pytest.approx(GRID.weight_scales(weight, node))
    assert GRID.rounded(found, node) == pytest.approx(found, rel=1e-6)  # what any tool makes of it
    assert off(model, found, photos) < 0.8 * off(model, nearest, photos)


def test_a_channel_of_zeros_stays_so_and_fewer_bits_are_kept_to(tmp_path, photos):
    model = convolution(tmp_path / "layer.onnx", "plain")
    graph = onnx.load(model)
    weight = numpy_helper.to_array(graph.graph.initializer[0]).copy()
    weight[3] = 0
    graph.graph.initializer[0].CopyFrom(numpy_helper.from_array(weight, "w"))
    onnx.save(graph, model)
    narrow = Grid(symmetric=False, weight_limit=64)
    found = rounded(model, photos, tmp_path, narrow)["w"]
    assert not found[3].any()
    steps = found / narrow.weight_scales(weight, graph.graph.node[0])
    assert np.abs(steps).max() == pytest.approx(64)


def test_one_scale_for_a_group_keeps_its_largest_weight(tmp_path, photos):
    grid = Grid(symmetric=True, weight_limit=127, per_group=True)
    model = convolution(tmp_path / "layer.onnx", "grouped")
    graph = onnx.load(model).graph
    weight = numpy_helper.to_array(graph.initializer[0])
    found = rounded(model, photos, tmp_path, grid)["w"]
    before, after = (grid.weight_scales(one, graph.node[0]) for one in (weight, found))
    assert after == pytest.approx(before)


def test_black_photos_round_to_the_nearest(tmp_path):
    model = convolution(tmp_path / "layer.onnx", "plain")
    graph = onnx.load(model).graph
    black = np.zeros((1, 8, 12, 12), np.float32)
    nearest = GRID.rounded(numpy_helper.to_array(graph.initializer[0]), graph.node[0])
    assert rounded(model, black, tmp_path)["w"] == pytest.approx(nearest)


def test_layers_to_keep_in_float_keep_their_weights(tmp_path, photos):
    model = onnx.load(convolution(tmp_path / "layer.onnx", "plain"))
    before = numpy_helper.to_array(model.graph.initializer[0])
    put_rounded(model, {"w": np.zeros_like(before)}, ["layer"])
    assert np.array_equal(numpy_helper.to_array(model.graph.initializer[0]), before)


def test_products_of_activations_and_shared_weights_are_left_alone(tmp_path, photos):
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["a"], "one", kernel_shape=[1, 1]),
        helper.make_node("Conv", ["a", "w"], ["b"], "two", kernel_shape=[1, 1]),
        helper.make_node("MatMul", ["a", "b"], ["c"], "product"),
        helper.make_node("Conv", ["c", "v"], ["y"], "three", kernel_shape=[1, 1]),
    ]
    model = write_layer(tmp_path / "net.onnx", nodes, {"w": (8, 8, 1, 1), "v": (3, 8, 1, 1)})
    assert list(rounded(model, photos, tmp_path)) == ["v"]
