"""Faults that are planted into files of a small network: the layer with the fault is first, the
others are not blamed for it, and what is said of it names the cause."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

from benchmarks.parts import run_baseline
from convert.artifact import Artifact
from convert.simulate import write_rounded
from convert.to_onnx import DEFAULT_OPSET, FILE, to_onnx
from data.crops import Crops, load_crops
from data.images import ImageSet
from deploy.layers.explaining import Explainer
from deploy.layers.profile import Profile
from deploy.layers.subject import Subject
from deploy.targets import TARGETS
from deploy.targets.base import Options
from tests.deploy.layers.small import PREPROCESS, export_small

OPTIONS = Options(DEFAULT_OPSET)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Iterator[Path]:
    with pytest.MonkeyPatch.context() as patch:
        place = tmp_path_factory.mktemp("small")
        patch.setenv("BUILD_DIR", str(place))
        yield place


@pytest.fixture(scope="module")
def graph(folder) -> Artifact:
    return export_small()


@pytest.fixture(scope="module")
def crops(photos) -> Crops:
    return load_crops(ImageSet.open(photos(4)), PREPROCESS)


@pytest.fixture(scope="module")
def explainer(graph, crops) -> Iterator[Explainer]:
    with Explainer(graph, crops, [0, 1]) as opened:
        yield opened


@pytest.fixture(scope="module")
def sound(graph) -> onnx.ModelProto:
    return onnx.load(to_onnx(graph).file(FILE))


@pytest.fixture
def look(explainer, tmp_path) -> Callable[..., Profile]:
    """The profile of a model in the place of the target's file."""

    def run(model: onnx.ModelProto, precision: str = "fp32") -> Profile:
        onnx.save(model, tmp_path / FILE)
        session_spec = TARGETS["onnx"].session_spec(precision)
        # Not fitted to FP16, whatever its activations.
        target = TARGETS["openvino" if precision == "fp16" else "onnx"]
        one = Subject(target, precision, session_spec, tmp_path, {}, None, "my.onnx")
        return explainer.explain(one, OPTIONS)

    return run


def copy(model: onnx.ModelProto) -> onnx.ModelProto:
    twin = onnx.ModelProto()
    twin.CopyFrom(model)
    return twin


def nodes(model: onnx.ModelProto, operator: str) -> list[onnx.NodeProto]:
    return [one for one in model.graph.node if one.op_type == operator]


def constant(model: onnx.ModelProto, name: str) -> onnx.TensorProto:
    return next(one for one in model.graph.initializer if one.name == name)


def change(model: onnx.ModelProto, name: str, function) -> None:
    tensor = constant(model, name)
    values = function(numpy_helper.to_array(tensor).copy())
    tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float32), name))


def set_attribute(node: onnx.NodeProto, name: str, value) -> None:
    kept = [one for one in node.attribute if one.name != name]
    del node.attribute[:]
    node.attribute.extend([*kept, helper.make_attribute(name, value)])


def wrong_weight(model: onnx.ModelProto) -> str:
    conv = nodes(model, "Conv")[1]

    def spoil(values: np.ndarray) -> np.ndarray:
        values[3, 1, 0, 0] += 2.0
        return values

    change(model, conv.input[1], spoil)
    return conv.name


def swapped_colours(model: onnx.ModelProto) -> str:
    conv = nodes(model, "Conv")[0]
    order = numpy_helper.from_array(np.array([2, 1, 0]), "order")
    model.graph.initializer.append(order)
    model.graph.node.insert(
        0, helper.make_node("Gather", [conv.input[0], "order"], ["bgr"], "swap", axis=1)
    )
    conv.input[0] = "bgr"
    return conv.name


def wrong_epsilon(model: onnx.ModelProto) -> str:
    [norm] = nodes(model, "LayerNormalization")
    set_attribute(norm, "epsilon", 1e-1)
    return norm.name


def unscaled_dropout(model: onnx.ModelProto) -> str:
    halves = {
        one.name
        for one in model.graph.initializer
        if np.array_equal(numpy_helper.to_array(one).ravel(), [0.5])
    }
    dropout = next(
        one
        for one in nodes(model, "Mul")
        if halves.intersection(one.input) and "dropout" in one.output[0]
    )
    [half] = halves.intersection(dropout.input)
    whole = numpy_helper.from_array(np.ones((), np.float32), "one")
    model.graph.initializer.append(whole)
    dropout.input[:] = ["one" if name == half else name for name in dropout.input]
    return dropout.name


def padding_off_by_one(model: onnx.ModelProto) -> str:
    conv = nodes(model, "Conv")[1]
    set_attribute(conv, "pads", [0, 0, 2, 2])
    return conv.name


@pytest.mark.parametrize(
    ("plant", "said"),
    [
        (wrong_weight, "of the difference is in channel 3 of 16"),
        (swapped_colours, "red and blue are swapped"),
        (wrong_epsilon, "LayerNormalization"),
        (unscaled_dropout, "the right result times 2"),
        (padding_off_by_one, "see the layer's padding"),
    ],
)
def test_of_float_files(look, sound, plant, said):
    model = copy(sound)
    layer = plant(model)
    profile = look(model)
    assert profile.first == layer
    assert said in profile.found
    own = {one.layer: one.own for one in profile.layers}
    assert max(own, key=lambda name: own[name]) == layer
    assert max(share for name, share in own.items() if name != layer) < 1e-5
    last = profile.layers[-1]
    assert last.error > 1e-3 > last.own  # it suffers, and is not blamed
    assert profile.unmapped == ()


def test_a_sound_file_has_none(look, sound):
    profile = look(sound)
    assert profile.first is None
    assert profile.signs == ()
    assert profile.logits.deployed < 1e-5
    assert "no layer stands out" in profile.found


def rename(model: onnx.ModelProto) -> None:
    """Give every tensor and node a name that tells nothing."""
    names: dict[str, str] = {}
    for number, node in enumerate(model.graph.node):
        node.name = f"node{number}"
        for sides in (node.input, node.output):
            sides[:] = [name and names.setdefault(name, f"t{len(names)}") for name in sides]
    for value in (*model.graph.input, *model.graph.output, *model.graph.initializer):
        value.name = names[value.name]
    del model.graph.value_info[:]


def test_a_file_with_names_of_its_own(look, sound):
    model = copy(sound)
    layer = wrong_weight(model)
    rename(model)
    profile = look(model)
    assert profile.first == layer
    assert profile.unmapped == ()
    assert {one.by for one in profile.layers} == {"values", "place", "name"}


class Reader(CalibrationDataReader):
    """Photos for ONNX Runtime's own calibration."""

    def __init__(self, crops: Crops):
        self._batches = crops.batches(1, PREPROCESS)

    def get_next(self):
        batch = next(self._batches, None)
        return None if batch is None else {"x": batch}


@pytest.fixture
def quantized(sound, crops, tmp_path) -> onnx.ModelProto:
    """The INT8 file of another toolkit."""
    onnx.save(sound, tmp_path / "float.onnx")
    quantize_static(
        *(tmp_path / "float.onnx", tmp_path / "int8.onnx", Reader(crops)),
        quant_format=QuantFormat.QDQ,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        per_channel=True,
    )
    return onnx.load(tmp_path / "int8.onnx")


def test_errors_are_those_of_another_tool(look, quantized, sound, crops, tmp_path):
    profile = look(quantized, "int8")
    onnx.save(sound, tmp_path / "float.onnx")
    np.save(tmp_path / "crops.npy", crops.array[[0, 1]])
    files = (tmp_path / "float.onnx", tmp_path / "int8.onnx", tmp_path / "crops.npy")
    _, printed = run_baseline("explain.py", *files)
    ours = {one.tensor: one.sqnr_db for one in profile.layers}
    shared = ours.keys() & printed["sqnr_db"].keys()
    assert len(shared) >= 8
    for name in shared:
        assert ours[name] == pytest.approx(printed["sqnr_db"][name], abs=0.05), name


def test_a_clipped_range(look, quantized, sound):
    faulty = copy(quantized)
    conv, after = nodes(sound, "Conv")[1], None
    for node in nodes(faulty, "QuantizeLinear"):
        if node.input[0] in (nodes(sound, "Relu")[1].output[0], conv.output[0]):
            after = node
    change(faulty, after.input[1], lambda scale: scale / 6)
    sane, profile = look(quantized, "int8"), look(faulty, "int8")
    assert sane.first is None
    assert profile.first == conv.name
    assert "outside of the file's range" in profile.found
    [layer] = [one for one in profile.layers if one.layer == conv.name]
    assert layer.clipped > 0.05
    assert layer.saturated > 0.05


def test_an_overflow_of_fp16(look, sound, tmp_path):
    loud = copy(sound)
    conv, after = nodes(loud, "Conv")[:2]
    change(loud, conv.input[1], lambda values: values * 1e6)
    change(loud, conv.input[2], lambda values: values * 1e6)
    change(loud, after.input[1], lambda values: values / 1e6)
    onnx.save(loud, tmp_path / "loud.onnx")
    write_rounded(str(tmp_path / "loud.onnx"), str(tmp_path / "rounded.onnx"), "fp16")
    profile = look(onnx.load(tmp_path / "rounded.onnx"), "fp16")
    assert profile.first == conv.name
    assert "are not finite" in profile.found
    [layer] = [one for one in profile.layers if one.layer == conv.name]
    assert layer.overflow > 0.05
