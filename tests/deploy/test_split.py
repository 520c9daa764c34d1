"""Which photos trained a checkpoint, from `make adapt` to the commands that judge it."""

import json
import re
import shutil
from pathlib import Path

import pytest

from data.images import ImageSet
from models.split import read_split, split_path
from tests.colours import write_photos
from tests.conftest import assert_refused
from tests.splits import write_split

MODEL = "SqueezeNet1_1"
BUILD = f"{MODEL}-colours"


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    """Where the photos, the checkpoint and its build lie for all tests here."""
    return tmp_path_factory.mktemp("split")


@pytest.fixture(scope="module")
def photos(home) -> Path:
    return write_photos(home / "colours", per_class=20)


@pytest.fixture
def run(command, home):
    def run(script: str, *arguments: object):
        folders = {"BUILD_DIR": home / "build", "WEIGHTS_DIR": home / "weights"}
        return command(script, *arguments, **folders)

    return run


@pytest.fixture
def checkpoint(run, home, photos) -> Path:
    """What `make adapt` makes of sixty photos, six of which it holds out."""
    path = home / "weights" / f"{MODEL}_colours.pdparams"
    if not path.exists():
        done = run(
            *("training/adapt.py", "--model", MODEL, "--data", photos, "--init", "random"),
        )
        assert done.returncode == 0, done.stderr
        assert "6 of 6 photos); which photos: " in done.stdout
    return path


@pytest.fixture
def moved(home, photos, checkpoint, tmp_path) -> Path:
    """The photos that trained, under other names elsewhere."""
    trained = read_split(split_path(checkpoint)).training.known
    images = ImageSet.open(photos, 3)
    for number, (path, digest) in enumerate(zip(images.paths, images.hashes, strict=True)):
        if trained.has([digest])[0]:
            (tmp_path / "moved" / path.parent.name).mkdir(parents=True, exist_ok=True)
            shutil.copy(path, tmp_path / "moved" / path.parent.name / f"new{number}.png")
    return tmp_path / "moved"


def test_the_same_folder_is_judged_by_what_was_held_out(run, photos, checkpoint):
    done = run("deploy/evaluate.py", "--model", BUILD, "--data", photos, "--json")
    assert "54 of 60 photos trained this checkpoint and are left out; 6 can judge" in done.stderr
    found = json.loads(done.stdout)
    assert found["data"]["images"] == 6
    assert found["data"]["seen"] == 0
    kept = read_split(split_path(checkpoint)).result
    assert found["top1"] == {"share": kept.top1, "ci95": list(kept.ci95)}


def test_photos_that_all_trained_are_refused_wherever_they_lie(run, checkpoint, moved):
    done = run("deploy/evaluate.py", "--model", BUILD, "--data", moved)
    assert_refused(
        done, "all 54 photos trained", "make adapt held out", "of 6 photos", "ALLOW_SEEN"
    )
    words = ("--target", "onnx", "--precision", "fp32", "--data", moved)
    packaged = run("deploy/package.py", "--model", BUILD, *words)
    assert_refused(packaged, "all 54 photos trained", "of 6 photos", "DATA=folder")
    assert "ALLOW_SEEN" not in packaged.stderr  # packages are made of unseen photos alone


def test_what_was_seen_is_shown_where_asked_for_and_marked(run, checkpoint, moved):
    done = run("deploy/evaluate.py", "--model", BUILD, "--data", moved, "--allow-seen")
    assert "seen in training: 54 of them" in done.stdout
    judged = run(
        *("deploy/validate.py", "--model", BUILD, "--target", "onnx", "--precision", "fp32"),
        *("--data", moved, "--allow-seen"),
    )
    assert judged.returncode == 0, judged.stderr
    assert "100.0 seen" in judged.stdout
    assert "54 of the 54 photos were seen in training" in judged.stdout
    [kept] = (Path(checkpoint).parents[1] / "build" / BUILD / "results").glob("onnx-fp32*.json")
    assert json.loads(kept.read_text())["data"]["seen"] == 54
    note = "54 of the 54 photos were seen in training: this is no accuracy on new photos"
    every = run(
        *("deploy/matrix.py", "--model", BUILD, "--target", "onnx", "--precision", "fp32"),
        *("--data", moved, "--allow-seen"),
    )
    assert re.search(rf"{BUILD} +pass seen", every.stdout)
    assert f"{BUILD} onnx fp32: {note}" in every.stdout
    words = ("--target", "onnx", "--precision", "fp32")
    assert run("deploy/package.py", "--model", BUILD, *words).returncode == 0
    [card] = kept.parents[1].glob("package/onnx-fp32/*/MODEL_CARD.md")
    assert note in card.read_text()


def test_what_trained_calibrates_and_the_card_has_the_figure_held_out(run, photos, checkpoint):
    done = run(
        *("deploy/package.py", "--model", BUILD, "--target", "onnx", "--precision", "int8"),
        *("--data", photos),
    )
    assert done.returncode == 0, done.stderr
    assert "54 photos to train on calibrate INT8, 6 judge" in done.stderr
    [card] = (Path(checkpoint).parents[1] / "build").glob("*/package/onnx-int8/*/MODEL_CARD.md")
    text = " ".join(card.read_text().split())
    assert "On the photos that make adapt held out ('colours')" in text
    assert "top-1 100.0% (95 % interval 61.0% to 100.0%, 6 of 6 photos)" in text


class TestSplitFile:
    """One that is damaged, or another checkpoint's, is refused before any work."""

    @pytest.fixture
    def copy(self, checkpoint, tmp_path) -> Path:
        for path in (checkpoint, split_path(checkpoint)):
            shutil.copy(path, tmp_path)
        return tmp_path / checkpoint.name

    def evaluate(self, run, photos, copy):
        return run(
            *("deploy/evaluate.py", "--model", MODEL, "--name", "copied"),
            *("--weights", copy, "--data", photos),
        )

    def test_damaged(self, run, photos, copy):
        split_path(copy).write_text(split_path(copy).read_text().replace("held_out", "heldout"))
        done = self.evaluate(run, photos, copy)
        assert_refused(done, "split.json is damaged (held_out is missing)", "remove it")

    def test_of_another_checkpoint(self, run, photos, copy):
        write_split(copy, [], checkpoint="a" * 64)
        done = self.evaluate(run, photos, copy)
        assert_refused(done, "split.json is of another checkpoint", "train anew", "remove it")
