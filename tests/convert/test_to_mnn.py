"""ONNX to MNN: what is made, and what becomes of a converter that fails in its own ways."""

import math
import os
import signal

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import numpy_helper

from common.errors import StepError
from convert import step_check, to_mnn
from convert.to_onnx import FILE as ONNX_FILE
from tests.convert.toy import CONV, FAMILIES, FULLY_CONNECTED, SHAPE, WEIGHTS, make


@pytest.fixture
def toy(tmp_path, build_folder):
    return lambda nodes, **options: make(tmp_path / "toy", nodes, **options)


def left(build_folder) -> list[str]:
    return [path.name for path in build_folder.rglob("*") if not path.name.endswith(".lock")]


def test_the_file_computes_what_the_onnx_file_computes(toy):
    source = toy(FULLY_CONNECTED)
    made = to_mnn.to_mnn(source)
    assert set(made.manifest["files"]) == {"model.mnn", step_check.FILE}
    assert made.manifest["tools"] == {"MNN": "3.6.1"}
    assert 0 < made.facts["probe_difference"] < 1e-5
    before, after = (np.load(one.file(step_check.FILE)) for one in (source, made))
    np.testing.assert_allclose(after, before, atol=1e-5 * np.abs(before).max())
    assert made.facts["input_shape"] == SHAPE


@pytest.mark.parametrize("nodes", FAMILIES)
def test_a_network_of_each_kind_computes_the_same_in_mnn(toy, nodes):
    assert to_mnn.to_mnn(toy(nodes)).facts["probe_difference"] < 1e-5


def test_what_is_up_to_date_is_not_made_again(toy):
    source = toy(FULLY_CONNECTED)
    first, again = (to_mnn.to_mnn(source).manifest["made"] for _ in range(2))
    assert first == again


def test_a_truncated_onnx_file(toy, build_folder):
    source = toy(FULLY_CONNECTED)
    file = source.file(ONNX_FILE)
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(StepError) as caught:
        to_mnn.to_mnn(source)
    assert str(caught.value).startswith(
        "to_mnn fp32 of Toy: MNN's converter wrote no file: Check failed: success ==> read onnx"
    )
    assert left(build_folder) == ["Toy", "mnn"]


def test_an_operator_that_mnn_lacks_is_named(toy, build_folder):
    source = toy((CONV, ("NotThere", ["a"], ["logits"])), valid=False)
    with pytest.raises(StepError, match=r"wrote no file: These Op Not Support: ONNX::NotThere$"):
        to_mnn.to_mnn(source)
    assert left(build_folder) == ["Toy", "mnn"]


def test_a_file_that_computes_something_else_stops_the_chain(toy, build_folder):
    source = toy(FULLY_CONNECTED)
    probe = np.load(source.file(step_check.FILE))
    probe[3, 0] += np.abs(probe[3]).max()
    np.save(source.file(step_check.FILE), probe)
    with pytest.raises(StepError, match=r"to_mnn fp32 of Toy: differs from the step before"):
        to_mnn.to_mnn(source)
    assert left(build_folder) == ["Toy", "mnn"]


def die(**_: object) -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def test_a_converter_that_dies(toy, build_folder, monkeypatch):
    monkeypatch.setattr(to_mnn, "write_mnn", die)
    with pytest.raises(StepError, match=r"to_mnn fp32 of Toy: the tool was ended by SIGSEGV"):
        to_mnn.to_mnn(toy(FULLY_CONNECTED))
    assert left(build_folder) == ["Toy", "mnn"]


def test_fp16_files_store_weights_in_two_bytes(toy):
    source = toy(FULLY_CONNECTED)
    sizes = [
        to_mnn.to_mnn(source, precision).file(to_mnn.FILE).stat().st_size
        for precision in ("fp32", "fp16")
    ]
    weights = math.prod(WEIGHTS["kernel"]) + math.prod(WEIGHTS["w"])
    assert weights < sizes[0] - sizes[1] <= 2 * weights  # the rest says so in the file


def test_fp16_weights_are_the_nearest(toy, tmp_path):
    source = toy(FULLY_CONNECTED)
    logits = np.load(to_mnn.to_mnn(source, "fp16").file(step_check.FILE))
    nearest = onnx.load(source.file(ONNX_FILE))
    for tensor in nearest.graph.initializer:
        narrow = numpy_helper.to_array(tensor).astype(np.float16).astype(np.float32)
        tensor.CopyFrom(numpy_helper.from_array(narrow, tensor.name))
    session = onnxruntime.InferenceSession(nearest.SerializeToString())
    expected = session.run(["logits"], {"x": step_check.images(SHAPE)})[0]
    # Cut off, as by MNN, they are a hundred times further off.
    np.testing.assert_allclose(logits, expected, atol=1e-5 * np.abs(expected).max())
