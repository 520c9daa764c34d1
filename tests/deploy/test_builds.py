"""A checkpoint of one's own beside the published one of its model, through the commands."""

import json
import re

import pytest

from common import files
from models.state import read_state, write_state
from tests.conftest import assert_refused
from tests.test_make import COMMANDS, MAKEFILE, listed

TO_JUDGE = ("validate", "calibrate", "evaluate", "package", "apk")
MODEL, NAME = "SqueezeNet1_1", "SqueezeNet1_1-six"
CLASSES = ["ape", "bee", "cat", "dog", "elk", "fox"]


@pytest.fixture(scope="module")
def six(weights, tmp_path_factory):
    """The real backbone with the first six of its classes."""
    state = read_state(weights / f"{MODEL}_pretrained.pdparams")
    for name in ("_conv9.weight", "_conv9.bias"):
        state[name] = state[name][: len(CLASSES)]
    path = tmp_path_factory.mktemp("own") / "six.pdparams"
    write_state(path, state)
    return path


@pytest.fixture(scope="module")
def animals(photos, tmp_path_factory):
    """Real photos, two to a class folder."""
    source, folder = photos(12), tmp_path_factory.mktemp("animals")
    lines = (source / "val_list.txt").read_text().splitlines()[:12]
    for number, line in enumerate(lines):
        path = source / line.rsplit(maxsplit=1)[0]
        place = folder / CLASSES[number // 2] / path.name
        place.parent.mkdir(exist_ok=True)
        place.symlink_to(path)
    return folder


def test_checkpoints_live_side_by_side(command, built, weights, six, animals, tmp_path):
    published = ("--model", MODEL, "--weights", weights)
    done = command("convert/export.py", *published, BUILD_DIR=built)
    assert done.returncode == 0, done.stderr
    graph = built / MODEL / "inference" / "fp32" / "inference.pdiparams"
    before = files.sha256(graph)
    results = sorted((built / MODEL / "results").glob("*.json"))

    own = ("--model", MODEL, "--weights", six, "--target", "onnx", "--precision", "fp32")
    done = command("deploy/validate.py", *own, "--data", animals, "--json", BUILD_DIR=built)
    assert done.returncode == 0, done.stderr
    one = json.loads(done.stdout)
    assert (one["model"], one["name"], one["weights"]) == (MODEL, NAME, files.sha256(six))
    assert files.read_json(built / NAME / "results" / "onnx-fp32.json") == one
    assert files.sha256(graph) == before
    assert sorted((built / MODEL / "results").glob("*.json")) == results

    # From now on its name is enough, and nothing that is published is said of it.
    words = ("--target", "onnx", "--data", animals)
    done = command("deploy/package.py", "--name", NAME, *words, BUILD_DIR=built)
    assert done.returncode == 0, done.stderr
    package = built / NAME / "package" / "onnx-fp32" / f"{NAME}-onnx-fp32"
    manifest = json.loads((package / "manifest.json").read_text())
    assert (manifest["model"], manifest["name"], manifest["class_num"]) == (MODEL, NAME, 6)
    card = (package / "MODEL_CARD.md").read_text()
    assert "Nothing is published about these weights." in card
    assert "60.1" not in card

    other = tmp_path / "six.pdparams"
    write_state(other, {name: 2 * value for name, value in read_state(six).items()})
    done = command("convert/export.py", "--model", MODEL, "--weights", other, BUILD_DIR=built)
    assert_refused(done, f"{NAME} holds the files of another checkpoint", f"NAME={NAME}-2")


@pytest.mark.parametrize("target", [*TO_JUDGE, "convert", "benchmark"])
def test_errors_advise_words_that_the_command_has(command, six, target):
    """Without photos of the model's classes, which demo has none of."""
    words = ["--model", MODEL, "--weights", six]
    if target != "evaluate":
        words += ["--target", "onnx", "--precision", "int8"]
    done = command(COMMANDS[target], *words)
    assert_refused(done, "demo has photos of ImageNet's 1000 classes, the model has 6")
    line = re.search(rf"^{target}:.*?## (.*)", MAKEFILE, re.M)[1]
    assert set(re.findall(r"\b([A-Z_]+)=", done.stderr)) <= listed(line)
