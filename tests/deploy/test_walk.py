"""From six class folders to a phone: each command needs no more than the name, and the model that
was judged is the one that arrives."""

import hashlib
import json
import os
import shutil

import pytest

from common import files
from convert.artifact import load
from tests.android_demo import apks
from tests.android_demo.played_phone import FILES, PlayedPhone
from tests.colours import SIX, write_photos

MODEL, NAME = "SqueezeNet1_1", "SqueezeNet1_1-colours"
PACKAGE = f"{NAME}-onnx-int8"

pytestmark = pytest.mark.skipif(
    shutil.which("javac") is None, reason="needs a JDK: javac is not on this machine"
)


@pytest.fixture
def walk(command, tmp_path):
    """Run one of the walk's commands, and expect it to end with one of these statuses."""
    path = f"{tmp_path / 'programs'}:{os.environ['PATH']}"

    def run(script, *words, statuses=(0,)):
        done = command(script, *words, PATH=path)
        assert done.returncode in statuses, done.stderr
        return done

    return run


def test_the_judged_file_is_what_arrives(walk, weights, tmp_path):
    build = tmp_path / "build"
    photos = write_photos(tmp_path / "colours", 8, SIX)
    done = walk("training/adapt.py", "--model", MODEL, "--data", photos, "--init", weights)
    assert f"next: make calibrate MODEL={NAME} TARGET=onnx" in done.stdout
    checkpoint = files.sha256(tmp_path / "weights" / f"{MODEL}_colours.pdparams")

    words = ("--model", NAME, "--target", "onnx", "--within-budget", "--json")
    done = walk("deploy/calibrate.py", *words, statuses=(0, 3))  # so few photos may not decide
    judged = json.loads(done.stdout.splitlines()[-1])
    assert judged["chosen"]
    assert (judged["name"], judged["weights"]) == (NAME, checkpoint)
    sha256 = judged["files"]["model.onnx"]
    assert files.sha256(build / NAME / "onnx" / "int8" / "model.onnx") == sha256

    walk("deploy/apk.py", "--model", NAME)
    inside = apks.entries(build / "apk" / "paddle-portage-demo.apk")
    model = inside[f"assets/packages/{PACKAGE}/model.onnx"].content
    assert hashlib.sha256(model).hexdigest() == sha256
    manifest = json.loads(inside[f"assets/packages/{PACKAGE}/manifest.json"].content)
    assert manifest["weights"] == checkpoint
    card = inside[f"assets/packages/{PACKAGE}/MODEL_CARD.md"].content.decode()
    assert sha256 in card
    assert f"{judged['data']['images']} ({judged['data']['name']})" in card

    # What is packaged by the name alone is the same file, and so is what is pushed to a phone.
    walk("deploy/package.py", "--name", NAME)
    made = load(build / NAME / "package" / "onnx-int8")
    assert made.manifest["files"][f"{PACKAGE}/model.onnx"]["sha256"] == sha256
    phone = PlayedPhone(tmp_path / "phone", tmp_path / "programs")
    phone.answers({"bench": {"bench.csv": "x\r\n"}})
    walk("deploy/phone.py", "--name", NAME, "--only", "bench")
    assert files.sha256(phone.root / FILES / "packages" / PACKAGE / "model.onnx") == sha256
