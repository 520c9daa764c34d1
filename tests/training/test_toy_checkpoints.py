"""Classifiers on random backbones for every model: made once, listed, and never by chance."""

import json
import sys

import pytest

from common import files
from common.errors import StepError, UserError
from models.registry import MODELS, find_model
from models.state import read_state
from tests.colours import COLOURS, write_photos
from tests.conftest import assert_refused
from training import toy_checkpoints

SPEC = find_model("SqueezeNet1_1")


@pytest.fixture
def run(tmp_path_factory, tmp_path, monkeypatch):
    """Run the command on photos of three colours, in the place of CIFAR-10."""
    photos = write_photos(tmp_path_factory.mktemp("photos") / "colours", per_class=20)
    monkeypatch.setattr(toy_checkpoints, "DATA", str(photos))
    monkeypatch.setenv("WEIGHTS_DIR", str(tmp_path))

    def main(*models: str) -> int:
        flags = [word for name in models for word in ("--model", name)]
        monkeypatch.setattr(sys, "argv", ["fixtures.py", *flags, "--photos", "30"])
        return toy_checkpoints.main()

    return main


@pytest.fixture
def child_that(tmp_path, monkeypatch):
    """Let another program stand in for `make adapt`."""

    def write(program: str) -> None:
        (tmp_path / "training").mkdir()
        (tmp_path / "training" / "adapt.py").write_text(program)
        monkeypatch.setattr(toy_checkpoints, "ROOT", tmp_path)

    return write


def test_every_model_has_its_turn_the_slow_last():
    slow = toy_checkpoints.ORDER[-len(toy_checkpoints.SLOW) :]
    assert sorted(toy_checkpoints.ORDER) == sorted(MODELS)
    assert sorted(slow) == sorted(toy_checkpoints.SLOW)


def test_a_fixture_is_made_once_and_listed(run, tmp_path, capsys, monkeypatch):
    assert run(SPEC.name) == 0
    folder = tmp_path / "fixtures"
    path = folder / f"{SPEC.name}_pretrained.pdparams"
    assert read_state(path)["_conv9.bias"].shape == (len(COLOURS),)
    said = capsys.readouterr().out
    assert files.sha256(path) in said
    listed = json.loads((folder / "fixtures.json").read_text())["models"]
    assert listed.keys() == {SPEC.name}
    assert listed[SPEC.name]["sha256"] == files.sha256(path)
    assert listed[SPEC.name]["photos"] == 30

    monkeypatch.setattr(toy_checkpoints, "_adapt", None)  # not even begun
    assert run(SPEC.name) == 0
    assert capsys.readouterr().out == said

    path.write_bytes(b"something else")
    with pytest.raises(UserError, match="is there already, and not from this command"):
        run(SPEC.name)


def test_what_the_child_says_of_its_failure_is_the_error(run, child_that):
    child_that("import sys; sys.exit('error: the disk is full')")
    with pytest.raises(
        StepError, match=r"1 of 1 fixtures fell short: SqueezeNet1_1: .*: the disk is"
    ):
        run(SPEC.name)


def test_a_child_that_dies_costs_its_own_fixture_only(run, child_that, tmp_path, capsys):
    child_that("import os; os.kill(os.getpid(), 9)")
    with pytest.raises(
        StepError, match=r"2 of 2 fixtures fell short: SqueezeNet1_0: .* by SIGKILL"
    ):
        run("SqueezeNet1_1", "SqueezeNet1_0")
    assert "SqueezeNet1_1: it was ended by SIGKILL" in capsys.readouterr().err
    assert json.loads((tmp_path / "fixtures/fixtures.json").read_text())["models"] == {}


def test_what_is_no_better_than_chance_is_said(run, monkeypatch):
    facts = {
        "sha256": "0" * 64,
        "data": {"photos": 30},
        "held_out": {"photos": 3, "top1": 1 / 3, "ci95": (0.06, 0.79)},
        "seconds": 1,
    }
    monkeypatch.setattr(toy_checkpoints, "make", lambda *_: facts)
    with pytest.raises(StepError, match="SqueezeNet1_1 is no better than chance"):
        run(SPEC.name)


@pytest.mark.parametrize(
    ("arguments", "word"), [(["--model", "VGG12"], "VGG1"), (["--photos", "0"], "at least 1")]
)
def test_bad_input_is_one_line(command, arguments, word):
    assert_refused(command("training/toy_checkpoints.py", *arguments), word)
