"""The choice of ranges by the logits, and the chain of sessions that it tries them on."""

import numpy as np
import onnx
import onnxruntime
import pytest

from calib import tensors
from calib.chain import Chain
from calib.chosen_ranges import chosen_ranges
from calib.fake_quant import Grid
from calib.logit_search import LogitSearch
from calib.methods import METHODS
from calib.placement import LAYER_INPUTS, LOWERED, Placement, place_pairs
from calib.qdq import write_qdq
from calib.quant_config import LOGITS
from calib.ranges import Ranges
from tests.calib.test_bias_correction import SHAPE, write_network

UNSIGNED = Placement(
    ("Conv", "Relu", "MatMul"), Grid(symmetric=False, weight_limit=127), ("MatMul",), optimize=True
)
placements = pytest.mark.parametrize(
    "placement", [LAYER_INPUTS, LOWERED, UNSIGNED], ids=["int8", "lowered", "uint8"]
)


@pytest.fixture
def batch():
    return np.random.default_rng(6).standard_normal((40, *SHAPE), np.float32)


@pytest.fixture
def model(tmp_path):
    return write_network(tmp_path / "model.onnx")


def extremes(model: str, batch: np.ndarray) -> dict:
    """The extremes of every tensor of a network."""
    graph = onnx.load(model)
    names = [name for node in graph.graph.node for name in node.output]
    del graph.graph.output[:]
    graph.graph.output.extend(onnx.helper.make_empty_tensor_value_info(name) for name in names)
    values = onnxruntime.InferenceSession(graph.SerializeToString()).run(None, {"x": batch})
    found = {"x": batch, **dict(zip(names, values, strict=True))}
    return {name: (float(value.min()), float(value.max())) for name, value in found.items()}


def chain_of(model: str, ranges: dict, placement: Placement) -> Chain:
    graph = onnx.load(model)
    floats = [*tensors.observed(graph), *tensors.aliases(graph)]
    placed = place_pairs(graph, ranges, placement, shown=False)
    return Chain(placed, placement.grid, ["b1", "b2", "b3"], floats, threads=2)


@placements
def test_a_chain_gives_what_the_file_gives_in_pieces_too(tmp_path, model, batch, placement):
    ranges, photos = extremes(model, batch), [photo[None] for photo in batch[:4]]
    write_qdq(model, str(tmp_path / "int8.onnx"), ranges, placement, [])
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(tmp_path / "int8.onnx", options)
    expected = np.concatenate([session.run(None, {"x": photo})[0] for photo in photos])

    unlike = {name: (low / 3, high / 3) for name, (low, high) in ranges.items()}
    chain = chain_of(model, unlike, placement)  # the ranges are those that `inputs` has
    inputs = chain.inputs(ranges, {})
    assert np.concatenate(chain.run(photos, inputs)) == pytest.approx(expected, abs=2e-2)
    halfway = chain.tensors["r1"]
    assert halfway > 0
    rest = chain.run(chain.run(photos, inputs, 0, halfway), inputs, halfway)
    assert np.concatenate(rest) == pytest.approx(expected, abs=2e-2)
    shifted = chain.inputs(ranges, {"b3": np.arange(6.0)})
    moved = np.concatenate(chain.run(photos, shifted)) - np.concatenate(chain.run(photos, inputs))
    assert moved == pytest.approx(np.tile(np.arange(6.0), (4, 1)), abs=1e-4)


def run(search: LogitSearch) -> dict:
    groups, _ = search.begin()
    for group in groups:
        search.choose(group)
    return search.finish()


@placements
def test_each_tensor_takes_the_method_that_serves_it(model, batch, placement):
    right = extremes(model, batch)
    wrong = {name: (low / 6, high / 6) for name, (low, high) in right.items()}
    proposals = {"one": {**right, "r1": wrong["r1"]}, "two": {**right, "x": wrong["x"]}}
    found = run(LogitSearch(model, placement, proposals, batch, runs=1000))
    assert found["chosen"]["x"] == "one"
    assert found["chosen"]["r1"] == "two"
    by_one_method, by_tensor = found["check"]
    assert by_tensor < 0.7 * by_one_method


def test_without_runs_to_spend_all_tensors_take_the_best_method(model, batch):
    right = extremes(model, batch)
    wrong = {name: (low / 6, high / 6) for name, (low, high) in right.items()}
    proposals = {"wrong": wrong, "right": right}
    found = run(LogitSearch(model, LAYER_INPUTS, proposals, batch, runs=0))
    assert set(found["chosen"].values()) == {"right"}


def test_two_photos_are_enough_to_go_on(model, batch):
    right = extremes(model, batch)
    proposals = {"one": right, "two": {**right, "x": (-0.1, 0.1)}}
    found = run(LogitSearch(model, LAYER_INPUTS, proposals, batch[:2], runs=1000))
    assert found["chosen"]["x"] == "one"


def test_ranges_are_those_of_the_methods_and_the_same_each_time(
    measured, tmp_path, monkeypatch, capsys
):
    of = Ranges.load(measured.ranges)
    args = (measured.onnx, measured.ranges, measured.crops, LOGITS, LAYER_INPUTS)
    files = []
    for folder in ("first", "first", "second"):
        monkeypatch.setenv("BUILD_DIR", str(tmp_path / folder))
        found = chosen_ranges(*args)
        path = tmp_path / folder / measured.onnx.name / "symmetric-ranges/fp32/ranges.json"
        files.append(path.read_bytes())
    assert files[0] == files[2]
    assert capsys.readouterr().err.count("choose_ranges") == 2  # what is there is taken
    assert found.keys() == set(of.names)
    proposals = [of.all_of(method, symmetric=True) for method in METHODS]
    for name, bounds in found.items():
        assert bounds in [ranges[name] for ranges in proposals]
