"""Training on small generated photos: it learns, stops and goes on, and says what is wrong."""

import csv
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import paddle
import pytest
from paddle import nn
from paddle.utils import unique_name
from PIL import Image

import models.squeezenet
from common import files
from common.errors import StepError, UserError
from common.paths import ROOT
from data.preprocess import Preprocess
from models.registry import MODELS
from models.split import read_split
from models.state import read_state, write_state
from models.weights import Weights
from tests.conftest import assert_refused
from training import batches, team
from training import learner as learning
from training.curves import Curves
from training.plan import Plan, few_steps, open_division
from training.recipes import recipe
from training.run_state import RunState
from training.train import train

SIDE = 64  # pixels: SqueezeNet takes any size, and this one is a twelfth of the work
COLOURS = ("blue", "green", "red")


def write_photos(root: Path, train: int = 12, val: int = 4) -> Path:
    """A folder of three classes that the colour tells apart."""
    random = np.random.default_rng(0)
    for split, count in (("train", train), ("val", val)):
        for channel, name in zip((2, 1, 0), COLOURS, strict=True):
            (root / split / name).mkdir(parents=True)
            for number in range(count):
                photo = random.integers(0, 100, (48, 48, 3)).astype(np.uint8)
                photo[..., channel] += 120
                Image.fromarray(photo).save(root / split / name / f"{number}.png")
    return root


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> Path:
    return write_photos(tmp_path_factory.mktemp("colours"))


def small_plan(photos: Path, epochs: int = 2, lr: float = 0.02, **changes) -> Plan:
    """SqueezeNet's recipe on small crops, in steps of 12 photos."""
    spec = replace(MODELS["SqueezeNet1_1"], preprocess=Preprocess(resize_short=SIDE, crop=SIDE))
    shorter = recipe(spec.name).shortened(epochs).with_lr(lr)
    small = replace(shorter, **{"batch": 12, "crop": SIDE} | changes)
    return Plan(spec, small, open_division(str(photos)))


def read_charts(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """The points of each curve, by its name, as VisualDL reads them."""
    from visualdl import LogReader

    [file] = folder.iterdir()
    reader = LogReader(file_path=str(file))
    return {
        tag: [(point.id, point.value) for point in reader.get_data("scalar", tag)]
        for tag in reader.get_tags()["scalar"]
    }


def read_log(run_state: RunState) -> list[float]:
    """The losses in a training's log."""
    with (run_state.folder / "log.csv").open() as stream:
        return [float(row["loss"]) for row in csv.DictReader(stream)]


# ---- learning ----


def test_the_loss_falls_and_everything_is_kept(photos, tmp_path):
    plan = small_plan(photos, epochs=8, lr=0.01, batch=6)
    run_state = train(plan, tmp_path / "out")
    losses = [row["loss"] for row in run_state.rows]
    assert losses[-1] < 0.6 * losses[0]
    assert run_state.best_row["top1"] > 0.6

    assert read_log(run_state) == losses
    charts = read_charts(run_state.charts)
    for name in ("loss", "top1", "lr", "images_per_second", "waited"):
        expected = [(row["epoch"], pytest.approx(row[name])) for row in run_state.rows]
        assert charts[f"epoch/{name}"] == expected
    assert charts["step/lr"] == [
        (step + 1, pytest.approx(plan.lr(step))) for step in range(8 * plan.steps)
    ]
    first = [loss for step, loss in charts["step/loss"] if step <= plan.steps]
    assert sum(first) / plan.steps == pytest.approx(losses[0], rel=1e-5)
    assert (run_state.folder / "classes.txt").read_text().split() == list(COLOURS)
    fresh = plan.spec.build(class_num=3).state_dict()
    for path in (run_state.best, run_state.last):
        state = read_state(path)
        assert {name: value.shape for name, value in state.items()} == {
            name: tuple(value.shape) for name, value in fresh.items()
        }


def test_photos_and_targets_depend_on_the_seed_the_epoch_and_the_photo_only(photos):
    plan = small_plan(photos, mixup=0.2, label_smoothing=0.1)
    whole = list(batches.training_batches(plan, 0))
    later = list(batches.training_batches(plan, 1))
    assert len(whole) == 2 * plan.steps == 6
    for (images, targets), (again, the_same) in zip(whole[3:], later, strict=True):
        assert images.shape == (12, 3, SIDE, SIDE)
        assert images.dtype == targets.dtype == np.float32
        np.testing.assert_allclose(targets.sum(1), 1, rtol=1e-6)
        np.testing.assert_array_equal(images, again)
        np.testing.assert_array_equal(targets, the_same)
    assert not np.array_equal(whole[0][0], whole[3][0])


def test_devices_share_the_photos_of_a_step(photos):
    one = small_plan(photos)
    two = replace(one, devices=2, recipe=replace(one.recipe, batch=6))
    alone = list(batches._Order(one, 0, 0))
    shared = [list(batches._Order(two, 0, rank)) for rank in (0, 1)]
    assert alone == [first + second for first, second in zip(*shared, strict=True)]


# ---- going on ----

CHILD = """
import sys
from pathlib import Path
from tests.training.test_train import small_plan
from training.train import train
train(small_plan(Path(sys.argv[1]), epochs=4, mixup=0.2), Path(sys.argv[2]))
"""


def require_empty_group(group: int) -> None:
    """All processes of a group are gone, or go within seconds."""
    for _ in range(50):
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return
        time.sleep(0.1)
    os.killpg(group, signal.SIGKILL)
    pytest.fail("the killed training left processes behind")


def test_a_killed_training_goes_on_as_if_it_had_not_been(photos, tmp_path):
    plan = small_plan(photos, epochs=4, mixup=0.2)
    whole = train(plan, tmp_path / "whole")

    out = tmp_path / "killed"
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, photos, out],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    with child.stderr as said:
        for line in said:  # the line of an epoch comes once it is kept
            if line.lstrip().startswith("epoch 2 of 4"):
                break
        child.send_signal(signal.SIGKILL)
        assert child.wait() == -signal.SIGKILL
    require_empty_group(child.pid)

    resumed = train(plan, out, resume=True)
    assert len(resumed.rows) == 4
    # Two runs of the same steps differ by float32's rounding: threads add up in any order.
    for row, expected in zip(resumed.rows, whole.rows, strict=True):
        assert row["loss"] == pytest.approx(expected["loss"], rel=1e-4)
        assert row["top1"] == expected["top1"]
    for name, value in read_state(resumed.last).items():
        np.testing.assert_allclose(value, read_state(whole.last)[name], atol=1e-5)

    # Nor does the chart tell it from one that was not: no step twice, and none missing.
    charts = read_charts(resumed.charts)
    assert charts.keys() == read_charts(whole.charts).keys()
    assert [step for step, _ in charts["step/loss"]] == list(range(1, 4 * plan.steps + 1))
    assert [epoch for epoch, _ in charts["epoch/top1"]] == [1, 2, 3, 4]

    finished = train(plan, out, resume=True)  # nothing is left to do
    assert finished.rows == resumed.rows


def test_steps_after_the_last_checkpoint_leave_no_mark_once_they_are_taken_again(tmp_path):
    with Curves(tmp_path) as curves:
        curves.mark("step", 1, {"loss": 3.0})
        kept = curves.size()
        curves.mark("step", 2, {"loss": 2.0})
    with Curves(tmp_path, kept) as curves:
        curves.mark("step", 2, {"loss": 2.5})
    assert read_charts(tmp_path) == {"step/loss": [(1, 3.0), (2, 2.5)]}


def test_ctrl_c_keeps_what_is_finished_and_says_how_to_go_on(photos, tmp_path):
    arguments = ["--model", "SqueezeNet1_1", "--data", photos, "--out", tmp_path / "out"]
    arguments += ["--epochs", "200", "--batch", "2", "--limit-steps", "1"]
    child = subprocess.Popen(
        [sys.executable, ROOT / "training/train.py", *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    with child.stderr as said:
        for line in said:
            if line.lstrip().startswith("epoch 2 of 200"):
                break
        os.killpg(child.pid, signal.SIGINT)  # as a terminal does: photos' processes get it too
        rest = said.read()
    assert child.wait(60) == 130
    require_empty_group(child.pid)
    assert "Traceback" not in rest
    [complaint] = [line for line in rest.splitlines() if line.startswith("error: ")]
    kept = RunState(tmp_path / "out")
    epochs = len(read_log(kept))
    assert epochs >= 2
    assert f"interrupted; {epochs} of 200 epochs are kept in {kept.folder}" in complaint
    assert complaint.endswith("the same command goes on after them with --resume")
    assert kept.checkpoint.is_file()


def test_a_checkpoint_of_another_training_is_not_gone_on_from(photos, tmp_path):
    train(small_plan(photos, epochs=1), tmp_path)
    with pytest.raises(UserError, match=r"another training: .*epochs 1 not 2.*repeat its settings"):
        train(small_plan(photos, epochs=2), tmp_path, resume=True)
    with pytest.raises(UserError, match="holds a training already; go on with it by --resume"):
        train(small_plan(photos, epochs=1), tmp_path)


@pytest.mark.parametrize("optimizer", ["momentum", "adamw"])
def test_a_restored_learner_takes_the_same_step(photos, optimizer):
    plan = small_plan(photos, optimizer=optimizer, no_decay=("*.bias",))
    first, second, *_ = batches.training_batches(plan, 0)

    def second_step(learner: learning.Learner) -> dict[str, np.ndarray]:
        paddle.seed(1)
        learner.step(*second, lr=1e-3)
        return learner.weights()

    with unique_name.guard():
        learner = learning.Learner(plan, None)
        learner.step(*first, lr=1e-3)
        kept = learner.state()
        expected = second_step(learner)
    with unique_name.guard():
        restored = learning.Learner(replace(plan, seed=1), None)
        restored.restore(kept)
        for name, value in second_step(restored).items():
            np.testing.assert_allclose(value, expected[name], rtol=1e-4, atol=1e-6)


# ---- several devices ----

LAUNCHED = """
import sys
import time
from dataclasses import replace
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from tests.training.test_train import on_one_or_two
on_one_or_two(Path(sys.argv[2]), Path(sys.argv[3]))
"""


def on_one_or_two(photos: Path, out: Path) -> RunState:
    """Steps of 12 photos in all, without dropout, which would differ from device to device."""
    rank, devices = team.join("cpu", 2 if team.rank_and_size()[1] > 1 else 1)
    plan = replace(small_plan(photos, lr=0.01, batch=12 // devices), devices=devices)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(models.squeezenet, "published_dropout", lambda: nn.Dropout(0.0))
        return train(plan, out, rank=rank)


def test_two_devices_learn_as_one_does(photos, tmp_path):
    alone = on_one_or_two(photos, tmp_path / "alone")
    script = tmp_path / "launched.py"
    script.write_text(LAUNCHED)
    launch = [sys.executable, "-m", "paddle.distributed.launch", "--nproc_per_node", "2"]
    together = RunState(tmp_path / "together")
    done = subprocess.run(
        [*launch, "--log_dir", tmp_path / "logs", script, ROOT, photos, together.folder],
        env=os.environ | {"PADDLE_DISTRI_BACKEND": "gloo"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert read_log(together) == pytest.approx(read_log(alone), rel=1e-4)
    for name, value in read_state(together.last).items():
        np.testing.assert_allclose(value, read_state(alone.last)[name], rtol=1e-3, atol=1e-5)


# ---- starting from weights ----


def test_a_classifier_for_other_classes_starts_anew(photos, tmp_path, capsys):
    plan = small_plan(photos)
    theirs = {name: value.numpy() for name, value in plan.spec.build(7).state_dict().items()}
    path = tmp_path / "seven.pdparams"
    write_state(path, theirs)
    network = learning._initial_network(plan, Weights(plan.spec.name, "file", path, ""))
    assert "tells 7 classes apart, these photos 3" in capsys.readouterr().err
    ours = {name: value.numpy() for name, value in network.state_dict().items()}
    assert ours.pop("_conv9.weight").shape[0] == ours.pop("_conv9.bias").shape[0] == 3
    for name, value in ours.items():
        np.testing.assert_array_equal(value, theirs[name])


def test_a_linear_classifier_has_its_classes_in_the_other_axis():
    shapes = {"fc.weight": (512, 3), "fc.bias": (3,), "norm.weight": (512,)}
    assert learning._with_classes(shapes, "fc", 1000) == {
        "fc.weight": (512, 1000),
        "fc.bias": (1000,),
        "norm.weight": (512,),
    }


def test_weight_decay_leaves_norms_biases_and_positional_convolutions_alone():
    twins = recipe("pcpvt_small")
    network = MODELS["pcpvt_small"].build(class_num=2)
    decays = learning._optimizer(twins, network)._apply_decay_param_fun
    for name, value in network.named_parameters():
        spared = len(value.shape) == 1 or name.startswith("pos_block")
        assert decays(value.name) is not spared, name


# ---- what goes wrong ----


def test_a_loss_that_is_not_finite_ends_the_training(photos, tmp_path):
    plan, run_state = small_plan(photos, schedule="step", decay_epochs=(1,)), RunState(tmp_path)
    plan = replace(plan, recipe=replace(plan.recipe, lr=(0.02, 1000.0)))
    with pytest.raises(StepError) as caught:
        train(plan, run_state.folder)
    assert re.search(
        r"the loss is (nan|inf) in step \d of epoch 2; train with a lower --lr than 1000; "
        r"what was kept after epoch 1 is sound",
        str(caught.value),
    )
    assert len(read_log(run_state)) == 1
    assert all(np.isfinite(value).all() for value in read_state(run_state.last).values())
    assert run_state.read(plan)


def test_weights_that_are_not_finite_end_the_training(photos, tmp_path):
    run_state = RunState(tmp_path)
    with pytest.raises(StepError, match=r"weights are infinite after epoch 1; .*lower --lr"):
        train(small_plan(photos, lr=1e30), run_state.folder)
    assert not run_state.checkpoint.exists()


def test_a_network_that_tells_no_photos_apart_ends_the_training(photos, tmp_path):
    """Its last convolution is so far below zero that nothing passes the ReLU after it."""
    plan, run_state = small_plan(photos), RunState(tmp_path / "run")
    weights = learning.Learner(plan, None).weights()
    weights["_conv9.bias"] -= 1e3
    write_state(tmp_path / "dead.pdparams", weights)
    init = Weights(plan.spec.name, "file", tmp_path / "dead.pdparams", "")
    with pytest.raises(StepError) as caught:
        train(plan, run_state.folder, init)
    assert re.search(
        r"all held-out photos have the same logits after epoch 1; .*lower --lr than 0\.02$",
        str(caught.value),
    )
    assert not run_state.checkpoint.exists()


def test_an_unreadable_photo(tmp_path):
    photos = write_photos(tmp_path / "photos", train=4, val=1)
    (photos / "train" / "red" / "0.png").write_bytes(b"not a photo")
    plan = small_plan(photos, epochs=1)
    with pytest.raises(UserError, match=r"red/0.png cannot be read .*--skip-bad"):
        list(batches.training_batches(plan, 0))
    [(images, targets)] = batches.training_batches(replace(plan, skip_bad=True), 0)
    assert len(images) == len(targets) == 11


def test_a_full_disk_costs_the_running_epoch_only(photos, small_disk):
    """The training's folder lies on a file system of its own that has room for one epoch."""
    disk = small_disk.path
    train_there = [sys.executable, ROOT / "training/train.py", "--model", "SqueezeNet1_1", "--data"]
    train_there += [photos, "--epochs", 2, "--batch", 2, "--limit-steps", 1, "--out", disk / "out"]
    line = shlex.join(map(str, train_there))
    done = small_disk.run(
        "13m",
        f"""{line}; echo status $?; find {disk} -type f -printf '%P\n'
        mount -o remount,size=40m {disk}; exec {line} --resume""",
    )
    before, _, after = done.stderr.partition("error: ")
    assert "epoch 1 of 2" in before
    assert "no space left on the disk; free some" in after.splitlines()[0]
    status, files = done.stdout.partition("\n")[::2]
    assert status == "status 2"
    assert set(files.partition("held-out top-1")[0].split()) == {
        *("out/classes.txt", "out/best.pdparams", "out/last.pdparams", "out/checkpoint.pkl"),
        *("out/best.split.json", "out/last.split.json"),
        *("out/log.csv", "out/visualdl/vdlrecords.training.log"),
    }
    assert done.returncode == 0, done.stderr
    assert "epoch 2 of 2" in after
    assert "epoch 1 of 2" not in after


def run_command(command, photos, *arguments, **options):
    return command(
        *("training/train.py", "--model", "SqueezeNet1_1", "--data", photos, *arguments),
        **options,
    )


def test_of_class_folders_a_tenth_is_held_out_and_kept_for_later(command, photos, tmp_path):
    done = run_command(command, photos / "train", "--epochs", 1, "--batch", 12, "--out", "out")
    assert done.returncode == 0, done.stderr
    assert "32 photos of 3 classes, 4 held out to judge by" in done.stderr
    assert "32 photos: 2 steps an epoch at BATCH=12, so little is learnt" in done.stderr
    for name in ("best", "last"):
        split = read_split(tmp_path / "out" / f"{name}.split.json")
        assert split.checkpoint == files.sha256(tmp_path / "out" / f"{name}.pdparams")
        assert (split.training.photos, split.held_out.photos) == (32, 4)
        assert f"held-out top-1 {split.result}, best after epoch 1" in done.stdout
    again = run_command(
        *(command, photos / "train", "--epochs", 1, "--batch", 12, "--out", "out", "--resume"),
    )
    assert again.returncode == 0, again.stderr
    assert "32 photos of 3 classes, 4 held out to judge by" in again.stderr


def test_the_command_says_what_comes_next(command, photos, tmp_path):
    short = ("--epochs", 1, "--batch", 2, "--limit-steps", 1)
    done = run_command(command, photos, *short)
    assert done.returncode == 0, done.stderr
    assert re.search(
        r"epoch 1 of 1  loss [\d.]+  top-1 [\d.]+%  [\d.]+ images/s  waited for photos \d+%",
        done.stderr,
    )
    assert re.search(r"the steps waited for photos \d+% of the time: .* bounds the sp", done.stdout)
    assert "visualdl --logdir " in done.stdout
    best = tmp_path / "weights" / f"SqueezeNet1_1_{photos.name}" / "best.pdparams"
    name = f"SqueezeNet1_1-{photos.name}"
    assert f"next: make calibrate MODEL={name} TARGET=onnx WITHIN_BUDGET=1\n" in done.stdout
    assert best.is_file()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--resume"], ["there is no checkpoint in", "--resume"]),
        (["--init", "demmo"], ["no file or folder 'demmo'", "did you mean demo?"]),
        (["--lr", "-1"], ["--lr: '-1' is not a number above 0"]),
        (["--epochs", "0"], ["--epochs: '0' is not a whole number of at least 1"]),
        (["--out", __file__], ["is not a folder"]),
        (["--devices", "cpu:99"], ["36 photos", "99 devices"]),
        (["--devices", "tpu"], ["--devices", "'tpu' is neither cpu nor gpu"]),
        (["--devices", "cpu:x"], ["--devices", "'x' is not a whole number"]),
        (["--seed", "-1"], ["--seed", "of at least 0"]),
        (["--devices", "gpu"], ["0 GPUs are there", "--devices cpu"]),
    ],
)
def test_arguments_that_cannot_be(command, photos, arguments, words):
    assert_refused(run_command(command, photos, *arguments), *words)


def test_an_unknown_model(command, photos):
    done = command("training/train.py", "--model", "SqueezeNet1_2", "--data", photos)
    assert_refused(done, "unknown model 'SqueezeNet1_2'", "SqueezeNet1_1")


def put(root: Path, *names: str) -> Path:
    for number, name in enumerate(names):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((8, 8, 3), number, np.uint8)).save(path)
    return root


def test_one_class_is_nothing_to_tell_apart(tmp_path):
    with pytest.raises(UserError, match="photos of one class only"):
        open_division(str(put(tmp_path, "train/a/1.png", "val/a/2.png")))


def test_a_class_without_photos_to_train_on(tmp_path):
    put(tmp_path, "train/a/1.png", "train/b/1.png", "val/a/2.png", "val/c/2.png")
    with pytest.raises(UserError, match="no photos to train on for 1 of 3 classes: c; add photos"):
        open_division(str(tmp_path))


def test_some_of_the_photos_will_do(photos):
    division = open_division(str(photos), 6)
    assert sorted(division.training.labels) == [0, 0, 1, 1, 2, 2]
    assert sorted(division.held_out.labels) == [0, 0, 1, 1, 2, 2]
    assert division.classes == 3
    with pytest.raises(UserError, match="no photos to train on for 1 of 3 classes"):
        open_division(str(photos), 2)


def test_labels_to_judge_by_that_are_not_trained(tmp_path):
    put(tmp_path, "1.png", "2.png")
    (tmp_path / "train_list.txt").write_text("1.png 0\n2.png 1\n")
    (tmp_path / "val_list.txt").write_text("1.png 2\n")
    with pytest.raises(UserError, match=r"label 2 is out of the range 0\.\.1"):
        open_division(str(tmp_path))


def test_a_list_to_judge_by_is_not_trained_on(tmp_path):
    put(tmp_path, "1.png", "2.png")
    (tmp_path / "val_list.txt").write_text("1.png 0\n2.png 1\n")
    with pytest.raises(UserError, match=r"no train_list\.txt"):
        open_division(str(tmp_path))


# ---- steps ----


def test_few_steps_are_said_with_a_batch_that_takes_more(photos):
    plan = small_plan(photos, batch=128)
    assert plan.steps == 1
    # The published 0.02 for a batch of 128, in proportion.
    assert few_steps(plan) == (
        "36 photos: one step an epoch at BATCH=128, so little is learnt; BATCH=4 LR=0.00063 takes 9"
    )
    assert few_steps(small_plan(photos, batch=4)) == ""
