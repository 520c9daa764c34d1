"""What each layer costs in a target's arithmetic, on a graph small enough to work out."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import numpy_helper

from calib.arithmetic import Floats, Integers
from calib.fake_quant import Grid
from calib.one_by_one import OneByOne, errors
from calib.placement import LAYER_INPUTS, LOWERED, Placement
from calib.qdq import write_qdq
from convert.simulate import write_rounded
from tests.calib.test_bias_correction import SHAPE, write_network
from tests.calib.test_logit_search import extremes

UNSIGNED = Placement(
    ("Conv", "Relu", "MatMul"), Grid(symmetric=False, weight_limit=127), ("MatMul",), optimize=True
)
LAYERS = ["one", "two", "three"]


@pytest.fixture
def batch():
    return np.random.default_rng(6).standard_normal((12, *SHAPE), np.float32)


@pytest.fixture
def model(tmp_path):
    return write_network(tmp_path / "model.onnx")


def run(path, batch) -> np.ndarray:
    """Logits of a file, node by node as it is written, one photo each."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(path, options)
    return np.concatenate([session.run(None, {"x": photo[None]})[0] for photo in batch])


def blamed(model, arithmetic, batch, in_float=()):
    """The names of the units, and an opened network with all photos."""
    opened = OneByOne(model, arithmetic, batch, in_float, threads=2)
    units, rows = opened.begin(seconds=60.0, at_most=len(batch))
    assert rows == list(range(len(batch)))
    return [name for name, _ in units], opened


@pytest.mark.parametrize(
    "placement", [LAYER_INPUTS, LOWERED, UNSIGNED], ids=["int8", "lowered", "uint8"]
)
def test_a_layer_by_itself_and_all_but_it_are_what_files_made_so_give(
    tmp_path, model, batch, placement
):
    ranges = extremes(model, batch)
    names, opened = blamed(model, Integers(placement, ranges, {}), batch)
    assert names == LAYERS
    wanted = run(model, batch)

    def file_with(keep_float):
        path = str(tmp_path / "int8.onnx")
        write_qdq(model, path, ranges, placement, keep_float)
        return errors(wanted, run(path, batch))

    def assert_same(found, expected):
        assert found["error"] == pytest.approx(expected["error"], rel=0.05)
        assert abs(found["flips"] - expected["flips"]) <= 1

    assert_same(opened.everything(), file_with([]))
    for number, layer in enumerate(LAYERS):
        alone, without = opened.blame(number)
        assert_same(without, file_with([layer]))
        if placement is not UNSIGNED:  # where nothing is rounded but what layers read
            assert_same(alone, file_with([one for one in LAYERS if one != layer]))
        found, photos = opened.keeping([layer])
        assert found == pytest.approx(without)
        assert photos == len(batch)
    assert opened.keeping(LAYERS)[0]["flips"] == 0


def test_the_layer_with_an_absurd_range_is_the_dearest(model, batch):
    ranges = extremes(model, batch)
    low, high = ranges["r1"]
    ranges["r1"] = (400 * low, 400 * high)  # what the second layer reads
    names, opened = blamed(model, Integers(LAYER_INPUTS, ranges, {}), batch)
    alone, without = zip(*(opened.blame(number) for number in range(3)), strict=True)
    assert max(range(3), key=lambda row: alone[row]["error"]) == names.index("two")
    assert min(range(3), key=lambda row: without[row]["error"]) == names.index("two")


def test_where_time_is_short_those_that_err_most_by_themselves_are_blamed(model, batch):
    ranges = extremes(model, batch)
    low, high = ranges["r1"]
    ranges["r1"] = (400 * low, 400 * high)
    arithmetic = Integers(LAYER_INPUTS, ranges, {})
    opened = OneByOne(model, arithmetic, batch, (), threads=2)
    units, rows = opened.begin(seconds=1e-9, at_most=len(batch))
    assert (units, opened.count()) == ([("two", "Conv")], 3)
    assert len(rows) == 8
    everything = opened.everything()
    _, whole = blamed(model, arithmetic, batch[rows])
    assert everything == pytest.approx(whole.everything())
    assert opened.blame(0) == whole.blame(1)


def test_layers_that_a_target_has_in_float_cost_nothing_and_stay_there(model, batch):
    ranges = extremes(model, batch)
    names, opened = blamed(model, Integers(LAYER_INPUTS, ranges, {}), batch, in_float=["three"])
    assert names == ["one", "two"]
    _, everything = blamed(model, Integers(LAYER_INPUTS, ranges, {}), batch)
    assert opened.everything() == pytest.approx(everything.keeping(["three"])[0])


def test_fp16_is_rounded_node_by_node_and_its_overflow_has_a_place(tmp_path, model, batch):
    write_rounded(model, str(tmp_path / "fp16.onnx"), "fp16")
    names, opened = blamed(model, Floats("fp16"), batch)
    assert names == ["one", "two", "pool", "three", "add"]  # a Relu computes nothing new
    expected = errors(run(model, batch), run(str(tmp_path / "fp16.onnx"), batch))
    assert opened.everything() == pytest.approx(expected, rel=1e-2)

    loud = onnx.load(model)
    for tensor in loud.graph.initializer:
        factor = {"w2": 2.0**16, "w3": 2.0**-16}.get(tensor.name, 1.0)
        values = (numpy_helper.to_array(tensor) * factor).astype(np.float32)
        tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    onnx.save(loud, model)
    names, opened = blamed(model, Floats("fp16"), batch)
    assert opened.everything()["broken"] == len(batch)
    costs = dict(zip(names, (opened.blame(row) for row in range(len(names))), strict=True))
    # The second gives what overflows, and the next two read it.
    broken = [name for name, (alone, _) in costs.items() if alone["broken"]]
    assert broken == ["two", "pool", "three"]


def test_errors_count_photos_that_have_no_decision():
    reference = np.array([[1.0, 3.0], [2.0, 0.0], [0.0, 4.0]])
    found = errors(reference, np.array([[1.0, 3.0], [0.0, 2.0], [np.inf, 0.0]]))
    assert (found["flips"], found["broken"]) == (2, 1)
    assert found["error"] == pytest.approx(np.sqrt(8 / 4))
    assert found["kl"] > 0
    assert errors(reference, reference) == {
        **{"flips": 0, "broken": 0, "error": 0.0, "sqnr_db": None, "kl": 0.0},
    }
