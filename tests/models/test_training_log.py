"""A training's course is found by its checkpoint, and read from what the training wrote."""

import time
from pathlib import Path

import pytest

from common import files
from common.errors import UserError
from data.contents import Contents
from models.split import HeldOutResult, Photos, Split, split_path, write_split
from models.training_log import CHARTS, LOG, course_of
from models.weights import Weights
from training.curves import Curves

STEPS = 4  # an epoch
TOP1 = (0.5, 0.9, 0.7)


def a_checkpoint(path: Path, content: str) -> Weights:
    """A file that stands for weights, with its split beside it."""
    path.write_text(content)
    sha256 = files.sha256(path)
    none = Photos.of(Contents.parse(""))
    result = HeldOutResult.of(5, 10)
    split = Split(
        checkpoint=sha256,
        made_by="train",
        data="x",
        source="x",
        result=result,
        training=none,
        held_out=none,
    )
    write_split(split_path(path), split)
    return Weights("SqueezeNet1_1", "file", path, sha256)


def a_training(folder: Path, steps: int = STEPS) -> tuple[Weights, Weights]:
    """A folder as a training leaves it, killed in its fourth epoch; the best and last weights."""
    folder.mkdir()
    rows = [f"{at},{1 / at},{top1},0.{at},9,0" for at, top1 in enumerate(TOP1, 1)]
    (folder / LOG).write_text("\n".join(["epoch,loss,top1,lr,images_per_second,waited", *rows]))
    with Curves(folder / CHARTS) as curves:
        for epoch in range(4):
            for step in range(steps if epoch < 3 else 1):
                curves.mark("step", epoch * steps + step + 1, {"loss": 1 / (epoch + 1), "lr": 0.1})
            if epoch < 3:
                curves.mark("epoch", epoch + 1, {"loss": 1 / (epoch + 1)})
                time.sleep(0.01)  # no training's next step follows within the same millisecond
        curves.size()
    best = a_checkpoint(folder / "best.pdparams", "best")
    return best, a_checkpoint(folder / "last.pdparams", "last")


def test_a_checkpoint_has_its_epochs_and_steps(tmp_path):
    best, last = a_training(tmp_path / "run")
    course = course_of(best)
    assert course
    assert [one.top1 for one in course.epochs] == list(TOP1)
    assert [one.lr for one in course.epochs] == [0.1, 0.2, 0.3]
    assert (course.kept, course_of(last).kept) == (2, 3)  # type: ignore[union-attr] # it is there
    assert [at for at, _ in course.steps] == [step / STEPS for step in range(1, 3 * STEPS + 2)]
    assert [loss for _, loss in course.steps][:5] == pytest.approx([1, 1, 1, 1, 1 / 2])


def test_many_steps_are_averaged(tmp_path):
    best, _ = a_training(tmp_path / "run", steps=500)
    course = course_of(best)
    assert course
    assert 300 <= len(course.steps) <= 400
    assert course.steps[-1][0] == pytest.approx(3, abs=0.01)


def test_without_the_training_there_is_none(tmp_path):
    best, _ = a_training(tmp_path / "run")
    (tmp_path / "run" / CHARTS / "vdlrecords.training.log").unlink()
    assert course_of(best).steps == ()  # type: ignore[union-attr] # it is there
    (tmp_path / "run" / LOG).unlink()
    assert course_of(best) is None
    assert course_of(Weights("SqueezeNet1_1", "file", best.path, "0" * 64)) is None
    alone = tmp_path / "alone.pdparams"
    alone.write_text("alone")
    assert course_of(Weights("SqueezeNet1_1", "file", alone, files.sha256(alone))) is None


def test_a_damaged_log_is_said(tmp_path):
    best, _ = a_training(tmp_path / "run")
    (tmp_path / "run" / LOG).write_text("epoch,loss\nx,y\n")
    with pytest.raises(UserError, match="is no log of a training"):
        course_of(best)
