"""`python deploy/explain.py`: the layer with a fault is first, and not one that suffers from it."""

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from tests.conftest import assert_refused

MODEL = "SqueezeNet1_1"


@pytest.fixture(scope="module")
def explained(session_command, built, weights, photos):
    """Explain SqueezeNet1_1 on a target: `explained("onnx", "fp32", "--file", path)`."""

    def run(target: str, precision: str, *words: object):
        return session_command(
            *("deploy/explain.py", "--model", MODEL, "--weights", weights, "--data", photos(20)),
            *("--target", target, "--precision", precision, "--photos", 2, *words),
            BUILD_DIR=built,
        )

    return run


@pytest.fixture(scope="module")
def sound(explained, built) -> onnx.ModelProto:
    """The ONNX file of a build, which was looked into and has nothing wrong."""
    done = explained("onnx", "fp32", "--json")
    assert done.returncode == 0, done.stderr
    profile = json.loads(done.stdout)
    assert "first" not in profile
    assert profile["unmapped"] == []
    assert max(one["own"] for one in profile["layers"]) < 1e-5
    assert json.loads((built / MODEL / "explain" / "onnx-fp32.json").read_text()) == profile
    return onnx.load(built / MODEL / "onnx" / "fp32" / "model.onnx")


def copy(model: onnx.ModelProto) -> onnx.ModelProto:
    twin = onnx.ModelProto()
    twin.CopyFrom(model)
    return twin


def node(model: onnx.ModelProto, name: str) -> onnx.NodeProto:
    return next(one for one in model.graph.node if one.name == name)


def set_weights(model: onnx.ModelProto, layer: str, change) -> None:
    name = node(model, layer).input[1]
    tensor = next(one for one in model.graph.initializer if one.name == name)
    values = numpy_helper.to_array(tensor).copy()
    tensor.CopyFrom(numpy_helper.from_array(change(values), name))


def wrong_weight(values: np.ndarray) -> np.ndarray:
    values[3, 1] += 20 * np.abs(values).max()
    return values


def test_a_wrong_weight_is_found(explained, sound, tmp_path: Path):
    faulty = copy(sound)
    set_weights(faulty, "Conv.10", wrong_weight)
    onnx.save(faulty, tmp_path / "mine.onnx")
    done = explained("onnx", "fp32", "--file", tmp_path / "mine.onnx", "--json")
    assert done.returncode == 0, done.stderr
    profile = json.loads(done.stdout)
    assert profile["first"] == "Conv.10"
    own = {one["layer"]: one["own"] for one in profile["layers"]}
    assert max(own, key=lambda name: own[name]) == "Conv.10"
    assert max(share for name, share in own.items() if name != "Conv.10") < 1e-5


def test_a_file_that_is_not_there_is_refused(explained, tmp_path):
    done = explained("onnx", "fp32", "--file", tmp_path / "absent.onnx")
    assert_refused(done, "absent.onnx")
