"""The small file with an INT8 file's ranges: it says what the INT8 file has, and what was seen."""

import json

import onnx
import pytest

from calib.quant_config import LOGITS, QuantConfig
from calib.quantize_lite import quantize_lite
from calib.quantize_mnn import quantize_mnn
from calib.quantize_ncnn import quantize_ncnn
from calib.quantize_onnx import quantize_onnx
from calib.quantize_trt import quantize_trt
from calib.ranges import Ranges
from calib.tensor_ranges import FILE, read_tensor_ranges
from common.strict_json import FormError

MSE = QuantConfig("mse")


def of(artifact):
    return read_tensor_ranges(artifact.file(FILE))


def parts(measured):
    return measured.onnx, measured.ranges, measured.crops


def test_they_are_those_of_the_pairs_in_the_file(measured):
    made = quantize_onnx(*parts(measured), QuantConfig("mse", ("Conv.5", "Conv.25")))
    graph = onnx.load(made.file("model.onnx")).graph
    constants = {one.name: onnx.numpy_helper.to_array(one) for one in graph.initializer}
    pairs = [node for node in graph.node if node.op_type == "QuantizeLinear"]
    found = of(made)
    assert list(found.tensors) == [node.input[0] for node in pairs]
    for node, one in zip(pairs, found.tensors.values(), strict=True):
        scale, zero = constants[node.input[1]], constants[node.input[2]]
        assert (one.high - one.low) / 255 == pytest.approx(scale, rel=1e-4)
        assert -one.low / scale == pytest.approx(zero, abs=0.51)
        assert "mse" in one.given_by
    assert (found.layers, found.in_float) == (26, ("Conv.5", "Conv.25"))


def test_each_has_its_tensors_values_in_few_bins(measured):
    ranges = Ranges.load(measured.ranges)
    for name, one in of(quantize_trt(*parts(measured), MSE)).tensors.items():
        whole = ranges.histogram(name)
        assert 1 <= len(one.counts) <= 64
        assert sum(one.counts) == whole.count - whole.zeros
        assert one.zeros == pytest.approx(whole.zeros / whole.count)
        end = one.start + one.width * len(one.counts)
        assert one.start <= max(whole.minimum, 0) + 1e-6
        assert end >= whole.maximum
        low, high = one.methods["minmax"]
        lowest = 0 if name in ranges.lowered(()) else -whole.magnitude
        assert (low, high) == pytest.approx((lowest, whole.magnitude), rel=1e-5)
        assert all(abs(end) <= high for bounds in one.methods.values() for end in bounds)


def test_each_kind_of_file_names_what_it_rounds_and_leaves_in_float(measured):
    graph = onnx.load(measured.onnx.file("model.onnx")).graph
    layers = [node for node in graph.node if node.op_type == "Conv"]
    inputs = list(dict.fromkeys(node.input[0] for node in layers))
    rounded = {
        "trt": of(quantize_trt(*parts(measured), MSE)),
        "ncnn": of(quantize_ncnn(*parts(measured), MSE)),
        "lite": of(quantize_lite(measured.inference, *parts(measured), MSE)),
    }
    for found in rounded.values():
        assert set(found.tensors) == set(inputs)
        assert (found.layers, found.in_float) == (26, ())
    assert rounded["trt"].tensors == rounded["lite"].tensors
    centred = rounded["ncnn"].tensors
    lowered = [name for name, one in rounded["trt"].tensors.items() if one != centred[name]]
    assert lowered == Ranges.load(measured.ranges).lowered(())
    mnn = of(quantize_mnn(*parts(measured), MSE))
    results = {node.output[0] for node in layers[:-1]}
    assert set(mnn.tensors) == results | {node.input[0] for node in layers[:-1]}
    assert mnn.in_float == ("Conv.25",)


def test_what_was_chosen_by_the_logits_is_some_methods(measured):
    found = of(quantize_onnx(*parts(measured), QuantConfig(LOGITS)))
    assert all(one.given_by for one in found.tensors.values())


def test_what_is_no_such_file_is_said(tmp_path):
    path = tmp_path / FILE
    assert read_tensor_ranges(path) is None
    path.write_text(json.dumps({"schema": 1, "tensors": {}, "layers": -1, "in_float": []}))
    with pytest.raises(FormError, match="layers"):
        read_tensor_ranges(path)
