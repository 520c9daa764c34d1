"""Float16 on a CPU without it: what overflows there overflows here, and is named."""

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from common.errors import StepError
from convert import step_check
from convert.fp16_graph import write_fp16
from convert.simulate import explain_overflow, simulate
from tests.convert import toy


@pytest.fixture
def large(tmp_path, build_folder):
    """A network whose weights fit into float16, but not what they compute."""
    return toy.make(tmp_path / "onnx", toy.FULLY_CONNECTED, scale=12000.0)


def test_an_overflow_names_the_layer_its_weights_and_its_size(large, build_folder):
    with pytest.raises(StepError, match="non-finite logits") as caught:
        simulate(large, "fp16")
    assert "; the first to overflow is Conv 'Conv.0' with the weights 'kernel'" in str(caught.value)
    assert str(caught.value).endswith("is more than 65504")
    assert not list(build_folder.rglob("model.onnx"))


def test_bfloat16_has_room_for_it(large):
    assert simulate(large, "bf16").facts["probe_difference"] < 0.1


def test_weights_that_do_not_fit_are_named(tmp_path, build_folder):
    with pytest.raises(StepError, match="the first to overflow is the weights 'kernel'"):
        simulate(toy.make(tmp_path / "onnx", toy.CONVOLUTIONAL, scale=1e6), "fp16")


def test_images_that_do_not_overflow_are_not_blamed(tmp_path, build_folder):
    folder = simulate(toy.make(tmp_path / "onnx", toy.CONVOLUTIONAL, scale=500.0), "fp16").folder
    images = step_check.images(toy.SHAPE)[:1]
    assert explain_overflow(folder, images) == ""
    assert "Conv 'Conv.0' with the weights 'kernel'" in explain_overflow(folder, 1000 * images)
    assert "the input 'x'" in explain_overflow(folder, 1e6 * images)


def test_a_float16_file_is_rounded_as_ieee_says(tmp_path):
    source = toy.make(tmp_path / "onnx", toy.CONVOLUTIONAL, scale=1e6).file("model.onnx")
    write_fp16(str(source), str(tmp_path / "half.onnx"))
    graph = onnx.load(tmp_path / "half.onnx").graph
    weights = numpy_helper.to_array(graph.initializer[0])
    assert weights.dtype == np.float16
    assert np.isinf(weights).any()  # and not clamped
    ends = {value.type.tensor_type.elem_type for value in (*graph.input, *graph.output)}
    assert ends == {onnx.TensorProto.FLOAT}
