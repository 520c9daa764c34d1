"""What OpenCV runs: the ONNX file itself, once it has been seen to."""

import numpy as np
import pytest

from common.errors import StepError
from convert import step_check
from convert.to_onnx import FILE as ONNX_FILE
from convert.to_opencv import FILE, to_opencv
from tests.convert.toy import CONV, FULLY_CONNECTED, SHAPE, make


@pytest.fixture
def toy(tmp_path, build_folder):
    return lambda nodes, **options: make(tmp_path / "toy", nodes, **options)


def left(build_folder) -> list[str]:
    return [path.name for path in build_folder.rglob("*") if not path.name.endswith(".lock")]


def test_the_file_is_the_onnx_file(toy):
    source = toy(FULLY_CONNECTED)
    made = to_opencv(source)
    assert set(made.manifest["files"]) == {FILE, step_check.FILE}
    assert made.file(FILE).read_bytes() == source.file(ONNX_FILE).read_bytes()
    assert made.manifest["tools"] == {"opencv-python-headless": "4.12.0.88"}
    assert 0 < made.facts["probe_difference"] < 1e-5
    assert made.facts["input_shape"] == SHAPE
    assert to_opencv(source).manifest["made"] == made.manifest["made"]


def test_an_operator_that_opencv_lacks_is_named(toy, build_folder):
    source = toy((CONV, ("GlobalLpPool", ["a"], ["b"]), ("Flatten", ["b"], ["logits"])))
    with pytest.raises(StepError) as caught:
        to_opencv(source)
    name = "onnx_node!GlobalLpPool.1"
    assert str(caught.value).endswith(
        f"model.onnx: GlobalLpPool node '{name}': Unspecified error: "
        f'Can\'t create layer "{name}" of type "GlobalLpPool"'
    )
    assert left(build_folder) == ["Toy", "opencv"]


def test_logits_of_another_network_stop_the_chain(toy, build_folder):
    source = toy(FULLY_CONNECTED)
    probe = np.load(source.file(step_check.FILE))
    probe[3, 0] += np.abs(probe[3]).max()
    np.save(source.file(step_check.FILE), probe)
    with pytest.raises(StepError, match=r"to_opencv of Toy: differs from the step before"):
        to_opencv(source)
    assert left(build_folder) == ["Toy", "opencv"]
