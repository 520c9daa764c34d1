"""Lowered tensors: which they are, and that the file does what unsigned integers would."""

import dataclasses

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from calib.chosen_ranges import chosen_ranges
from calib.lowering import BEHIND, Lowerable, lower, lowerable, of
from calib.placement import LAYER_INPUTS, LOWERED, place_pairs
from calib.qdq import write_qdq
from calib.quant_config import LOGITS
from calib.quantize_lite import GRID as LITE
from calib.ranges import Ranges
from runtimes.inside.base import Tensor, as_in_float, lowered_name

SHAPE = (3, 8, 8)


def network(
    second: dict | None = None, more: tuple = (), bias: bool = True, wide: int = 0
) -> onnx.ModelProto:
    """A convolution with ReLU and pooling, two with one result, and two fully connected layers.

    `second` are attributes of one that reads the first's result, `more` nodes beside; without
    `bias` it has none. `wide`, it has so many channels, and windows of 3 x 3 in the place of one.
    """
    random = np.random.default_rng(3)
    shapes = {"w1": (4, 3, 3, 3), "w2": (5, 4, 1, 1), "w3": (6, 4, 1, 1), "w4": (4, 11, 2, 2)}
    shapes |= {"w5": (16, 7), "w6": (7, 6), "b5": (7,), "b6": (6,)}
    if wide:
        shapes |= {"w2": (wide, 4, 3, 3), "w4": (4, wide + 6, 2, 2)}
    shapes |= {f"b{row}": shapes[f"w{row}"][:1] for row in range(1, 5)}
    weights = {name: random.standard_normal(shape) for name, shape in shapes.items()}
    if wide:  # values of the same size come of it
        weights |= {"w2": weights["w2"] / 3, "w4": weights["w4"] / 2}
    nodes = [
        helper.make_node("Conv", ["x", "w1", "b1"], ["c1"], "one"),
        helper.make_node("Relu", ["c1"], ["r1"], "relu1"),
        helper.make_node("MaxPool", ["r1"], ["p1"], "pool1", kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node(
            "Conv", ["p1", "w2", *(["b2"] if bias else [])], ["c2"], "two", **(second or {})
        ),
        helper.make_node("Conv", ["p1", "w3", "b3"], ["c3"], "three"),
        helper.make_node("Relu", ["c2"], ["r2"], "relu2"),
        helper.make_node("Relu", ["c3"], ["r3"], "relu3"),
        helper.make_node("Concat", ["r2", "r3"], ["j"], "join", axis=1),
        helper.make_node("Conv", ["j", "w4", "b4"], ["c4"], "four"),
        helper.make_node("Flatten", ["c4"], ["f"], "flat"),
        helper.make_node("MatMul", ["f", "w5"], ["m5"], "five"),
        helper.make_node("Add", ["m5", "b5"], ["c5"], "add5"),
        helper.make_node("Relu", ["c5"], ["r5"], "relu5"),
        helper.make_node("MatMul", ["r5", "w6"], ["m6"], "six"),
        helper.make_node("Add", ["m6", "b6"], ["logits"], "add6"),
        *more,
    ]
    graph = helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", *SHAPE])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", 6])],
        [
            numpy_helper.from_array(values.astype(np.float32), name)
            for name, values in weights.items()
        ],
    )
    opset = helper.make_opsetid("", 17)
    return onnx.shape_inference.infer_shapes(
        helper.make_model(graph, opset_imports=[opset], ir_version=8)
    )


FIRST = Lowerable(("r1",), ("r1", "p1"), ("p1",), ("two", "three"))
JOINED = Lowerable(("r2", "r3"), ("r2", "j", "r3"), ("j",), ("four",))
LAST = Lowerable(("r5",), ("r5",), ("r5",), ("six",))


PADS = {"pads": [2, 1, 0, 1]}
PADDED = {"second": PADS, "wide": 16}  # four times the channels of what it reads


@pytest.mark.parametrize("changes", [{}, PADDED])
def test_what_only_layers_read_is_lowered_together(changes):
    assert lowerable(network(**changes)) == [FIRST, JOINED, LAST]


@pytest.mark.parametrize(
    ("changes", "left"),
    [
        ({"second": PADS, "wide": 15}, [JOINED, LAST]),
        ({"second": {"pads": [0, 0, 0, 0], "auto_pad": "SAME_UPPER"}}, [JOINED, LAST]),
        ({"bias": False}, [LAST]),
        ({"more": (helper.make_node("Sigmoid", ["r1"], ["s"], "other"),)}, [JOINED, LAST]),
        ({"more": (helper.make_node("Sigmoid", ["c3"], ["s"], "other"),)}, [FIRST, LAST]),
        ({"more": (helper.make_node("Add", ["r5", "r5"], ["s"], "sum"),)}, [FIRST, JOINED]),
        ({"more": (helper.make_node("Conv", ["x", "w1", "b1"], ["s"], "twin"),)}, [JOINED, LAST]),
    ],
)
def test_what_would_not_be_exact_is_not_lowered(changes, left):
    assert lowerable(network(**changes)) == left


def run(model: onnx.ModelProto, batch: np.ndarray) -> np.ndarray:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(model.SerializeToString(), options).run(None, {"x": batch})[
        0
    ]


@pytest.fixture
def batch():
    return np.random.default_rng(4).standard_normal((40, *SHAPE), np.float32)


# A little is cut off above, too.
RANGES = {"x": (-4.2, 4.2), "p1": (0.0, 23.0), "j": (0.0, 80.0), "f": (-260.0, 260.0)} | {
    "r5": (0.0, 780.0)
}


@pytest.mark.parametrize("changes", [{}, PADDED])
def test_the_file_has_no_zero_points_and_computes_what_they_would(tmp_path, batch, changes):
    path = str(tmp_path / "model.onnx")
    onnx.save(network(**changes), path)
    facts = write_qdq(path, str(tmp_path / "int8.onnx"), RANGES, LOWERED, [])
    assert facts["rounded"]["rounded"] == ["x", "p1", "j", "f", "r5"]
    assert set(facts["rounded"]["in_int8"]) == {"one", "two", "three", "four", "five", "six"}
    made = onnx.load(tmp_path / "int8.onnx")
    assert "Relu" not in [node.op_type for node in made.graph.node]
    values = {one.name: numpy_helper.to_array(one) for one in made.graph.initializer}
    pairs = [node for node in made.graph.node if node.op_type == "QuantizeLinear"]
    assert not any(values[node.input[2]].any() for node in pairs)

    unsigned = place_pairs(network(**changes), RANGES, LOWERED, shown=False)
    points = {one.name: numpy_helper.to_array(one) for one in unsigned.graph.initializer}
    assert points["p1_zero_point"] == points["j_zero_point"] == points["r5_zero_point"] == -128
    expected, found = run(unsigned, batch), run(made, batch)
    spread = np.linalg.norm(expected - expected.mean(axis=1, keepdims=True))
    assert np.linalg.norm(found - expected) < 2e-3 * spread  # a few values lie between two integers
    centred = {name: (-high, high) for name, (_, high) in RANGES.items()}
    other = run(place_pairs(network(**changes), centred, LAYER_INPUTS, shown=False), batch)
    exact = run(network(**changes), batch)
    assert np.linalg.norm(found - exact) < 0.9 * np.linalg.norm(other - exact)


@pytest.mark.parametrize("changes", [{}, PADDED])
def test_a_layer_in_float_keeps_the_relu_and_the_others_are_lowered(tmp_path, batch, changes):
    path = str(tmp_path / "model.onnx")
    onnx.save(network(**changes), path)
    facts = write_qdq(path, str(tmp_path / "int8.onnx"), RANGES, LOWERED, ["three"])
    assert facts["rounded"]["rounded"] == ["x", "p1", "j", "f", "r5"]
    assert set(facts["rounded"]["in_int8"]) == {"one", "two", "four", "five", "six"}
    made = onnx.load(tmp_path / "int8.onnx")
    kinds = {node.name: node.op_type for node in made.graph.node}
    assert {name for name, kind in kinds.items() if kind == "Relu"} == {"relu1"}
    values = {one.name: numpy_helper.to_array(one) for one in made.graph.initializer}
    pairs = [node for node in made.graph.node if node.op_type == "QuantizeLinear"]
    assert not any(values[node.input[2]].any() for node in pairs)
    unsigned = place_pairs(network(**changes), RANGES, LOWERED, ["three"], shown=False)
    next(node for node in unsigned.graph.node if node.name == "three").input[0] = "p1"
    expected, found = run(unsigned, batch), run(made, batch)
    spread = np.linalg.norm(expected - expected.mean(axis=1, keepdims=True))
    assert np.linalg.norm(found - expected) < 2e-3 * spread


def test_what_only_layers_in_float_read_is_not_lowered(tmp_path, batch):
    path = str(tmp_path / "model.onnx")
    onnx.save(network(), path)
    facts = write_qdq(path, str(tmp_path / "int8.onnx"), RANGES, LOWERED, ["two", "three"])
    assert facts["rounded"]["rounded"] == ["x", "j", "f", "r5"]
    made = onnx.load(tmp_path / "int8.onnx")
    assert [node.name for node in made.graph.node if node.op_type in ("Relu", "Add")] == [
        *("relu1", "add5", "add6"),
    ]


def test_ranges_around_zero_and_other_grids_change_nothing():
    centred = {name: (-high, high) for name, (_, high) in RANGES.items()}
    for ranges, grid in ((centred, LOWERED.grid), (RANGES, LAYER_INPUTS.grid)):
        model = network()
        assert lower(model, ranges, grid) == ranges
        assert model == network()


def test_lowered_tensors_have_names_that_say_by_how_much():
    model = network()
    ranges = lower(model, RANGES, LITE)
    half = float(np.float32(80 / 254)) * 127
    assert ranges[lowered_name("j", half)] == pytest.approx((-40, 40))  # 254 steps, -127 to 127
    made = {name for node in model.graph.node for name in node.output}
    assert {of(name) for name in made} > {"p1", "j", "r5"}
    assert made.isdisjoint({"c1", "r1", "p1", "r2", "j", "r5"})
    onnx.checker.check_model(model)


def test_what_looks_inside_shows_what_a_lowered_tensor_stands_for():
    low, padded = lowered_name("a", 1.5), lowered_name("a", 1.5) + "/two" + BEHIND
    beside = lowered_name("b", 0.1)
    seen = [
        Tensor("x", "x", "Input", ()),
        Tensor(low, "one", "Conv", ("x",)),
        Tensor(padded, "pad", "Pad", (low,)),
        Tensor("b", "two", "Conv", (padded,)),
        Tensor(beside, "lower", "Add", ("b",)),
        Tensor("c", "three", "Conv", (beside,)),
    ]
    assert as_in_float(seen) == (
        [
            seen[0],
            Tensor("a", "one", "Conv", ("x",)),
            Tensor("b", "two", "Conv", ("a",)),
            Tensor("c", "three", "Conv", ("b",)),
        ],
        {"a": (low, 1.5)},
    )


@pytest.mark.parametrize("method", ["mse", LOGITS])
def test_a_layer_in_float_keeps_its_input_from_being_lowered(measured, method):
    groups = Ranges.load(measured.ranges).lowerable
    assert len(groups) == 17  # the inputs of all SqueezeNet's layers but the first
    first, *others = (group["read"][0] for group in groups)
    made = (measured.onnx, measured.ranges, measured.crops, method, LOWERED)
    every = chosen_ranges(*made)
    assert all(every[name][0] == 0 for name in (first, *others))
    some = chosen_ranges(*made, keep_float=groups[0]["layers"])
    assert some[first][0] == -some[first][1]
    assert {**some, first: every[first]} == every


def test_grids_say_where_a_lowered_range_begins():
    assert [LOWERED.grid.of_range((0.0, 51.0))[row] for row in (0, 1)] == [np.float32(0.2), -128]
    scale, zero = LITE.of_range((0.0, 50.8))
    assert (scale, zero, zero.dtype) == (np.float32(0.2), -127, np.int8)
    assert LOWERED.grid.of_range((-25.4, 25.4))[1] == 0
    assert dataclasses.replace(LITE, lowest=None).of_range((0.0, 25.4))[1] == 0
