"""A checkpoint of others with a config beside it, from the weights to the package."""

import json
import shutil

import pytest

from convert import builds
from tests.conftest import assert_refused

MODEL = "SqueezeNet1_1"
CONFIG = """
PreProcess:
  transform_ops:
  - ResizeImage: {resize_short: 160, interpolation: bicubic, backend: pil}
  - CropImage: {size: 128}
  - NormalizeImage: {scale: 1.0, mean: [127.5, 127.5, 127.5], std: [127.5, 127.5, 127.5]}
"""
THEIRS = {
    **{"resize_short": 160, "crop": 128, "interpolation": "bicubic", "library": "pillow"},
    **{"mean": [0.5] * 3, "std": [0.5] * 3},
}


@pytest.fixture
def theirs(weights, tmp_path):
    """A folder with a checkpoint of 1000 classes, a config and a list of labels."""
    folder = tmp_path / "theirs"
    folder.mkdir()
    shutil.copy(weights / f"{MODEL}_pretrained.pdparams", folder / "mine.pdparams")
    (folder / "inference.yml").write_text(CONFIG)
    lines = (f"{number} class {number}\n" for number in reversed(range(1000)))
    (folder / "label_list.txt").write_text("".join(lines))
    return folder


def test_what_lies_beside_the_weights_goes_with_every_file(
    command, theirs, photos, tmp_path, monkeypatch
):
    data, named = photos(6), ("--model", MODEL, "--weights", theirs / "mine.pdparams")
    done = command("deploy/package.py", *named, "--target", "onnx", "--data", data, "--photos", 4)
    assert done.returncode == 0, done.stderr
    assert "warning: " in done.stderr
    assert "crop 128 (published: 224)" in done.stderr
    monkeypatch.setenv("BUILD_DIR", str(tmp_path / "build"))
    home = tmp_path / "build" / f"{MODEL}-mine"
    package = home / "package" / "onnx-fp32" / f"{MODEL}-mine-onnx-fp32"
    assert json.loads((package / "preprocess.json").read_text()) == THEIRS
    assert (package / "labels.txt").read_text().splitlines()[:2] == ["class 0", "class 1"]
    assert json.loads((package / "manifest.json").read_text())["input_shape"] == [3, 128, 128]
    assert json.loads((package / "golden" / "golden.json").read_text())["shape"][1] == 128
    assert "160 pixels (bicubic, as Pillow rounds)" in (package / "MODEL_CARD.md").read_text()

    # The build keeps it, without the folder that it came from.
    shutil.rmtree(theirs)
    options = ("--target", "onnx", "--precision", "fp32", "--data", data, "--json")
    done = command("deploy/validate.py", "--model", f"{MODEL}-mine", *options)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["verdict"] == "pass"
    assert "photos are prepared with" in done.stderr
    assert builds.exported(f"{MODEL}-mine").preprocess.to_json() == THEIRS


def test_a_config_that_does_not_fit_is_a_sentence(command, theirs):
    named = ("--model", MODEL, "--weights", theirs / "mine.pdparams")
    config = theirs / "inference.yml"
    config.write_text(CONFIG + "PostProcess: {Topk: {label_list: [a, b, c]}}\n")
    assert_refused(
        command("convert/export.py", *named), "inference.yml is of 3 classes", "CONFIG=none"
    )
    config.write_text("a: !!python/object/apply:os.system [ls]\n")
    assert_refused(command("deploy/evaluate.py", *named), "inference.yml: line 1: ", "CONFIG=none")
    assert not (theirs.parent / "build" / f"{MODEL}-mine").exists()


def test_a_size_that_a_network_cannot_take(command, tmp_path):
    (tmp_path / "model.yml").write_text(CONFIG)
    done = command(
        *("convert/export.py", "--model", "AlexNet", "--weights", "random"),
        *("--config", tmp_path / "model.yml"),
    )
    assert_refused(done, "AlexNet cannot take photos of 128 x 128 pixels", "224")
