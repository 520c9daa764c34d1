"""`python deploy/explain.py`: runtimes that show their inside, files of one's own, the table."""

import json

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from deploy.layers.profile import kept
from tests.conftest import assert_refused

MODEL = "SqueezeNet1_1"


@pytest.fixture(scope="module")
def explained(session_command, built, weights, photos):
    """Explain SqueezeNet1_1 in fp32: `explained("--target", "onnx", "--json")`."""
    chosen = photos(4)

    def run(*words: object):
        return session_command(
            *("deploy/explain.py", "--model", MODEL, "--weights", weights, "--data", chosen),
            *("--precision", "fp32", "--photos", 2, *words),
            BUILD_DIR=built,
        )

    return run


@pytest.fixture(scope="module")
def profiles(explained) -> dict[str, dict]:
    targets = ("onnx", "openvino", "mnn", "ncnn", "opencv")
    done = explained(*(word for one in targets for word in ("--target", one)), "--json")
    assert done.returncode == 0, done.stderr
    found = {one["target"]: one for one in map(json.loads, done.stdout.splitlines())}
    assert found.keys() == set(targets)
    return found


def test_sound_files_are_looked_into_as_a_whole(profiles):
    for target, profile in profiles.items():
        assert "first" not in profile, target
        assert profile["unmapped"] == [], target
        count = 38 if target == "ncnn" else 39  # it makes logits of the last pooling's result
        assert len(profile["layers"]) == count, target
        assert max(one["error"] for one in profile["layers"]) < 1e-4, target
        own = [one["own"] for one in profile["layers"] if "own" in one]
        assert len(own) == (0 if target == "opencv" else count), target
        assert max(own, default=0) < 1e-5, target
        assert profile["logits"]["flips"] == 0
        assert profile["logits"]["deployed"] < 1e-5
    ways = {name: {one["by"] for one in profiles[name]["layers"]} for name in profiles}
    assert ways["onnx"] == {"name"}
    assert "values" in ways["ncnn"]  # which has names of its own
    [first, *_] = profiles["onnx"]["layers"]
    assert (first["layer"], first["operator"], first["fused"]) == ("Conv.0", "Conv", ["Relu.0"])
    assert first["input"][0] < 0 < first["input"][1]
    assert first["weights"][0] < 0 < first["weights"][1]


def test_what_is_lowered_in_a_file_is_shown_as_what_it_stands_for(
    session_command, built, weights, photos
):
    about = ("--model", MODEL, "--weights", weights, "--data", photos(6), "--precision", "int8")
    cheap = ("--method", "minmax", "--photos", 2, "--json")
    targets = ("--target", "onnx", "--target", "trt-t4", "--target", "lite-arm")
    done = session_command("deploy/explain.py", *about, *targets, *cheap, BUILD_DIR=built)
    assert done.returncode == 0, done.stderr
    found = {one["target"]: one for one in map(json.loads, done.stdout.splitlines())}
    errors = {
        target: {one["layer"]: one["error"] for one in profile["layers"]}
        for target, profile in found.items()
    }
    lowered = (built / MODEL / "trt-t4" / "int8" / "model.onnx").read_bytes()
    assert lowered.count(b"/lowered_by_") > 20
    for target in ("trt-t4", "lite-arm"):
        assert errors[target].keys() == errors["onnx"].keys()
        assert max(errors[target].values()) < 2 * max(errors["onnx"].values())


def test_profiles_are_kept_beside_the_results(profiles, built, monkeypatch):
    monkeypatch.setenv("BUILD_DIR", str(built))
    there = {one.target: one for one in kept(MODEL) if one.precision == "fp32"}
    assert there.keys() >= profiles.keys()
    assert there["ncnn"].layers[0].own == profiles["ncnn"]["layers"][0]["own"]
    path = built / MODEL / "explain" / "broken.json"
    path.write_text('{"schema": 1}')
    assert {one.target for one in kept(MODEL)} >= profiles.keys()
    path.unlink()


def test_a_fault_in_a_file_of_ones_own(explained, profiles, built, tmp_path):
    model = onnx.load(built / MODEL / "onnx" / "fp32" / "model.onnx")
    [conv] = [one for one in model.graph.node if one.name == "Conv.10"]
    [tensor] = [one for one in model.graph.initializer if one.name == conv.input[1]]
    values = numpy_helper.to_array(tensor).copy()
    values[3, 1] += 20 * np.abs(values).max()
    tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    onnx.save(model, tmp_path / "mine.onnx")
    done = explained("--target", "onnx", "--file", tmp_path / "mine.onnx")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert max(map(len, lines[: lines.index(next(one for one in lines if "found:" in one))])) <= 120
    [marked] = [line for line in lines if "<-" in line]
    assert marked.split()[0] == "Conv.10"
    [found] = [line for line in lines if line.startswith("found:")]
    assert "drift begins at Conv.10 (Conv)" in found
    assert "channel 3 of" in found
    assert str(tmp_path / "mine.onnx") in lines[-1]
    assert (built / MODEL / "explain" / "onnx-fp32-file.json").exists()


def test_a_file_that_is_none(explained, tmp_path):
    (tmp_path / "mine.onnx").write_bytes(b"\x08\x08 no graph")
    done = explained("--target", "onnx", "--file", tmp_path / "mine.onnx")
    assert_refused(done, "no ONNX file")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--target", "onnx", "--file", "absent.onnx"], ["there is no file", "absent.onnx"]),
        (["--target", "onnx", "--target", "ncnn", "--file", "/etc/hostname"], ["one target's"]),
        (["--target", "onnx", "--file", "/etc/hostname"], ["/etc/hostname", ".onnx"]),
        (["--target", "onxx"], ["'onxx'", "did you mean"]),
    ],
)
def test_mistakes_are_one_line(explained, words, said):
    assert_refused(explained(*words), *said)
