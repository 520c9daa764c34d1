"""The correction of biases, and the ranking of layers, on graphs small enough to work out."""

import math
from dataclasses import asdict

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from calib.bias_correction import Correction
from calib.fake_quant import Grid
from calib.sensitivity import Switches, together

GRID = Grid(symmetric=True, weight_limit=127)
SHAPE = (3, 8, 8)


def write_network(path, *, first=1.0, second=1.0) -> str:
    """Two convolutions and a fully connected layer.

    The factors scale a convolution's weights for its first input channel, which is always 0 in
    the second (its bias sees to that), and in the first where the photos have it so.
    """
    random = np.random.default_rng(5)

    def weight(*shape, outlier=1.0):
        values = random.standard_normal(shape).astype(np.float32)
        values[:, 0] *= outlier
        return values

    weights = {
        "w1": weight(4, 3, 3, 3, outlier=first),
        "w2": weight(5, 4, 3, 3, outlier=second),
        "w3": weight(5, 6),
    } | {name: np.zeros(size, np.float32) for name, size in (("b1", 4), ("b2", 5), ("b3", 6))}
    weights["b1"][0] = -60
    nodes = [
        helper.make_node("Conv", ["x", "w1", "b1"], ["c1"], "one"),
        helper.make_node("Relu", ["c1"], ["r1"], "relu"),
        helper.make_node("Conv", ["r1", "w2", "b2"], ["c2"], "two"),
        helper.make_node("GlobalAveragePool", ["c2"], ["p"], "pool"),
        helper.make_node("Flatten", ["p"], ["f"], "flat"),
        helper.make_node("MatMul", ["f", "w3"], ["m"], "three"),
        helper.make_node("Add", ["m", "b3"], ["logits"], "add"),
    ]
    graph = helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", *SHAPE])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", 6])],
        [numpy_helper.from_array(values, name) for name, values in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return str(path)


@pytest.fixture
def batch():
    return np.random.default_rng(6).standard_normal((8, *SHAPE), np.float32)


RANGES = {"x": (-2.0, 2.0), "r1": (0.0, 9.0), "f": (-8.0, 8.0)}  # tight: clipping shifts means


def test_biases_take_up_the_mean_error(tmp_path, batch):
    model = write_network(tmp_path / "model.onnx")
    correction = Correction(model, RANGES, asdict(GRID), skip=[])
    for part in (batch[:5], batch[5:]):  # the last batch may be smaller
        correction.add(part)
    assert correction.write(str(tmp_path / "corrected.onnx")) == 3
    before, after = (onnx.load(tmp_path / name) for name in ("model.onnx", "corrected.onnx"))
    shifts = {
        new.name: numpy_helper.to_array(new) - numpy_helper.to_array(old)
        for old, new in zip(before.graph.initializer, after.graph.initializer, strict=True)
    }
    assert all(not shifts[name].any() for name in ("w1", "w2", "w3"))
    expected = first_layer_error(before, batch)
    assert np.allclose(shifts["b1"], expected, atol=1e-5)
    assert np.abs(expected).max() > 1e-3


def first_layer_error(model, batch) -> np.ndarray:
    """Mean over photos and positions of the float output less the quantized one, by hand."""
    weight = next(numpy_helper.to_array(one) for one in model.graph.initializer if one.name == "w1")
    step = 2.0 / 127
    rounded = (np.clip(np.rint(batch / step), -128, 127) * step).astype(np.float32)
    scale = np.abs(weight).max((1, 2, 3), keepdims=True) / 127
    coarse = np.rint(weight / scale) * scale
    windows = np.lib.stride_tricks.sliding_window_view
    exact = np.einsum("nchwij,ocij->nohw", windows(batch, (3, 3), (2, 3)), weight)
    quantized = np.einsum("nchwij,ocij->nohw", windows(rounded, (3, 3), (2, 3)), coarse)
    return (exact - quantized).mean((0, 2, 3))


def test_a_skipped_layer_keeps_its_bias(tmp_path, batch):
    model = write_network(tmp_path / "model.onnx")
    correction = Correction(model, RANGES, asdict(GRID), skip=["one"])
    correction.add(batch)
    assert correction.write(str(tmp_path / "corrected.onnx")) == 2


@pytest.mark.parametrize(("worst", "factors"), [("one", {"first": 300}), ("two", {"second": 300})])
def test_the_layer_with_the_outlying_weight_is_the_most_sensitive(tmp_path, batch, worst, factors):
    # Weights that matter share their scale with some 300 times as large, which see only zeros.
    model = write_network(tmp_path / "model.onnx", **factors)
    wide = {"x": (-5.0, 5.0), "r1": (0.0, 30.0), "f": (-30.0, 30.0)}
    batch[:, 0] = 0
    switches = Switches(model, wide, asdict(GRID), {}, batch)
    noise = {layer: value for layer, _, value in switches.noise()}
    effects = {layer: switches.effect(layer) for layer in noise}
    assert list(noise) == ["one", "two", "three"]
    assert all(0 <= flips <= 1 and logits >= 0 for logits, flips, _ in effects.values())
    assert effects[worst][2] == switches.turned([worst])
    assert max(effects, key=lambda layer: effects[layer][0]) == worst
    assert switches.turned(["one", "two", "three"]) < 1e-6 < switches.turned([worst])
    assert switches.turned([worst]) < switches.turned([])
    others = {"one", "two"} - {worst}
    assert noise[worst] > max(noise[name] for name in others)


def test_a_product_of_activations_is_ranked_like_a_layer(tmp_path, batch):
    nodes = [
        helper.make_node("Sigmoid", ["x"], ["s"], "gate"),
        helper.make_node("MatMul", ["x", "s"], ["p"], "product"),
        helper.make_node("GlobalAveragePool", ["p"], ["a"], "pool"),
        helper.make_node("Flatten", ["a"], ["f"], "flat"),
        helper.make_node("Gemm", ["f", "w", "b"], ["logits"], "last"),
    ]
    weights = {"w": np.eye(3, dtype=np.float32), "b": np.zeros(3, np.float32)}
    graph = helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", *SHAPE])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", 3])],
        [numpy_helper.from_array(values, name) for name, values in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, tmp_path / "model.onnx")
    ranges = {"x": (-4.0, 4.0), "s": (0.0, 4.0), "f": (-30.0, 30.0)}
    switches = Switches(str(tmp_path / "model.onnx"), ranges, asdict(GRID), {}, batch)
    (_, _, noise), _ = switches.noise()
    assert [layer for layer, _, _ in switches.noise()] == ["product", "last"]
    gate = 1 / (1 + np.exp(-batch))
    rounded = [np.rint(np.clip(one, -4, 4) * 127 / 4) * 4 / 127 for one in (batch, gate)]
    exact, coarse = batch @ gate, rounded[0] @ rounded[1]
    error = sum(((a - b) ** 2).sum() for a, b in zip(exact, coarse, strict=True))
    assert noise == pytest.approx(error / sum((one**2).sum() for one in exact), rel=0.1)
    correction = Correction(str(tmp_path / "model.onnx"), ranges, asdict(GRID), skip=[])
    correction.add(batch)
    assert list(correction.shifts()) == ["logits"]


def test_layers_are_ranked_with_the_biases_that_files_have(tmp_path, batch):
    model = write_network(tmp_path / "model.onnx")
    correction = Correction(model, RANGES, asdict(GRID), skip=[])
    correction.add(batch)
    shifts = correction.by_bias()
    before, after = (Switches(model, RANGES, asdict(GRID), one, batch) for one in ({}, shifts))
    assert after.turned([]) < before.turned([])
    noise = [{layer: value for layer, _, value in one.noise()} for one in (before, after)]
    assert all(noise[1][layer] < noise[0][layer] for layer in ("one", "two", "three"))


def test_layers_in_float_are_chosen_for_what_they_do_together():
    asked = []

    def error(kept: list[str]) -> float:
        asked.append(kept)
        return 9 - 3 * ("twin" in kept) - 2.5 * ("lone" in kept) - 0.1 * len(kept)

    among = ["twin", "other twin", "lone"]
    assert together(error, among, math.inf) == ["twin", "lone", "other twin"]
    assert asked[0] == ["twin"]
    assert ["twin", "lone"] in asked
    assert together(error, among, -math.inf) == []
