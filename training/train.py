"""Train a model on photos, from scratch or from a checkpoint, by its published recipe.

    python training/train.py --model SqueezeNet1_1 --data DIR [--init official] [--epochs N]

Every random choice follows from the seed, the epoch and the photo, so a run that was killed and
goes on with --resume ends with the same weights as one that was not. It loses at most one epoch.
"""

import os
import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, f"{sys.path[0]}/..")
    import common.start  # noqa: F401
    from common import machine

    machine.let_mkl_use_avx2()
    os.environ.setdefault("GLOG_minloglevel", "2")  # Paddle's own chatter
    os.environ.setdefault("FLAGS_use_mkldnn", "1")  # on a CPU: kernels that use several threads

import datetime
import math
import time
import warnings
from argparse import ArgumentTypeError
from contextlib import nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from common import machine
from common.cli import Exit, Parser, above_zero, positive, run, whole, word_or_path
from common.console import progress, say, shown
from common.errors import StepError
from common.paths import absolute
from convert.builds import add_key_argument, words_for
from data.images import BUILT_IN, set_name
from models.beside import warn_of_init
from models.registry import find_model
from models.split import HeldOutResult, read_split, split_beside, split_path
from models.training_log import LOG
from models.weights import WORDS, Weights, find_weights, weights_folder
from training import hosts, team
from training.batches import Waited, training_batches
from training.curves import Curves
from training.lead import LOST, lead
from training.learner import Learner
from training.plan import DROPOUT, Plan, few_steps, open_division
from training.recipes import Recipe, recipe
from training.run_state import RunState
from training.signals import take_back_signals

if TYPE_CHECKING:
    from data.crops import Crops

_DEAD = "all held-out photos have the same logits"
_BOUND_BY_PHOTOS = 0.2  # the share of waiting from which on faster steps would gain little


# ---- the training ----


def train(
    plan: Plan, folder: Path, init: Weights | None = None, *, resume: bool = False, rank: int = 0
) -> RunState:
    """Train as planned and keep everything in a folder; returns what came of it.

    `init` None: fresh weights. With `resume` the training that the folder holds goes on. Of several
    devices each runs this in a process of its own, with its `rank`, in Paddle's parallel
    environment; what comes of it is complete for rank 0 only.
    """
    from paddle.utils import unique_name

    from data.crops import load_crops

    run_state = RunState(folder)
    state = run_state.read(plan) if resume and rank == 0 else None
    if not resume and rank == 0:
        run_state.begin(plan)
    judged = None
    if rank == 0:  # judges and keeps for all
        with progress("photos to judge by", "photos") as update:
            judged = load_crops(
                plan.validation, plan.spec.preprocess, skip_bad=plan.skip_bad, progress=update
            )
    team.wait_for_first("photos to judge by")
    if resume and plan.devices > 1:  # other hosts need not have the folder
        state = _as_the_first(run_state, state)
    # Names count from 0 as in the run that wrote the checkpoint, whatever else this process made.
    with unique_name.guard():
        learner = Learner(plan, None if resume else init)
        if state is not None:
            learner.restore(state)
        try:
            _run_epochs(plan, run_state, learner, judged, rank)
        except KeyboardInterrupt:
            raise KeyboardInterrupt(_how_to_go_on(plan, run_state)) from None
        except SystemError as error:
            if "DataLoader process" not in str(error):
                raise
            raise StepError(
                f"training of {plan.spec.name}: a process that reads photos died (for want of "
                "memory, or by a photo that crashes the decoder); go on with --resume"
            ) from None
        except RuntimeError as error:
            if plan.devices == 1 or "gloo" not in str(error):
                raise
            raise team.LostDeviceError(
                f"training of {plan.spec.name}: the process of another device is gone, or was "
                "silent for 30 s; where an epoch was kept, go on with --resume"
            ) from None
    return run_state


def _as_the_first(run_state: RunState, state: dict[str, Any] | None) -> Any:
    """What the first device read, on every device."""
    import paddle

    told = [(run_state.rows, run_state.charted, state)]
    paddle.distributed.broadcast_object_list(told, src=0)
    [(run_state.rows, run_state.charted, state)] = told
    return state


def _how_to_go_on(plan: Plan, run_state: RunState) -> str:
    if not run_state.rows:
        return "interrupted before an epoch was kept; run the same command again to start anew"
    return (
        f"interrupted; {len(run_state.rows)} of {plan.recipe.epochs} epochs are kept in "
        f"{shown(run_state.folder)}, and the same command goes on after them with --resume"
    )


def _run_epochs(
    plan: Plan, run_state: RunState, learner: Learner, judged: "Crops | None", rank: int
) -> None:
    import paddle

    first, started = len(run_state.rows), time.monotonic()
    batches = Waited(training_batches(plan, first, rank))
    with Curves(run_state.charts, run_state.charted) if rank == 0 else nullcontext() as curves:
        for epoch in range(first, plan.recipe.epochs):
            team.wait_for_first(f"epoch {epoch}")
            paddle.seed(int(plan.random(DROPOUT, epoch, rank).integers(2**31)))
            begun, batches.seconds = time.monotonic(), 0.0
            loss = _run_epoch(plan, run_state, learner, batches, epoch, curves)
            seconds = time.monotonic() - begun
            if judged is None or curves is None:
                continue  # the first device keeps for all
            right, dead = learner.judge(judged)
            if dead:  # no gradient passes through units that no photo turns on
                raise _diverged(plan, run_state, epoch, f"{_DEAD} after epoch {epoch + 1}")
            held_out = HeldOutResult.of(right, len(judged))
            row = {
                "epoch": epoch + 1,
                "loss": loss,
                "top1": held_out.top1,
                "lr": plan.lr((epoch + 1) * plan.steps - 1),
                "images_per_second": plan.steps * plan.batch * plan.devices / seconds,
                "waited": batches.seconds / seconds,
            }
            points = {name: value for name, value in row.items() if name != "epoch"}
            curves.mark("epoch", epoch + 1, points)
            run_state.keep(plan, learner, row, held_out, curves.size())
            done, left = epoch + 1 - first, plan.recipe.epochs - epoch - 1
            _say_epoch(plan, row, left * (time.monotonic() - started) / done)


def _run_epoch(
    plan: Plan,
    run_state: RunState,
    learner: Learner,
    batches: Waited,
    epoch: int,
    curves: Curves | None,
) -> float:
    """Take the steps of an epoch, counted from 0; return the mean loss."""
    losses = []
    with progress(f"epoch {epoch + 1} of {plan.recipe.epochs}", "photos") as update:
        for step in range(plan.steps):
            number = epoch * plan.steps + step
            lr = plan.lr(number)
            images, targets = next(batches)
            losses.append(learner.step(images, targets, lr))
            if not math.isfinite(losses[-1]):
                loss = f"the loss is {losses[-1]} in step {step + 1}"
                raise _diverged(plan, run_state, epoch, f"{loss} of epoch {epoch + 1}")
            if curves:
                curves.mark("step", number + 1, {"loss": losses[-1], "lr": lr})
            share = plan.batch * plan.devices
            update((step + 1) * share, plan.steps * share)
    # Activations can swallow what is undefined, and the loss looks sound.
    if not all(np.isfinite(value).all() for value in learner.weights().values()):
        raise _diverged(plan, run_state, epoch, f"weights are infinite after epoch {epoch + 1}")
    return sum(losses) / len(losses)


def _diverged(plan: Plan, run_state: RunState, epoch: int, evidence: str) -> StepError:
    remedy = f"train with a lower --lr than {max(plan.recipe.lr):g}"
    if epoch:
        remedy += (
            f"; what was kept after epoch {epoch} is sound, and a start for another training: "
            f"--init {shown(run_state.last)} --out DIR"
        )
    return StepError(f"training of {plan.spec.name}: {evidence}; {remedy}")


def _say_epoch(plan: Plan, row: dict[str, Any], seconds_left: float) -> None:
    left = datetime.timedelta(seconds=round(seconds_left))
    say(
        f"  epoch {row['epoch']} of {plan.recipe.epochs}  loss {row['loss']:.4f}  "
        f"top-1 {row['top1']:.2%}  {row['images_per_second']:.1f} images/s  "
        f"waited for photos {row['waited']:.0%}  time left {left}"
    )


# ---- the command ----


def main() -> int:
    options = _parser().parse_args()
    spec = find_model(options.model)
    published = recipe(spec.name)
    init = None
    if options.init != "random" and not options.resume:
        init = find_weights(spec, options.init, "INIT", options.weights_key)
        warn_of_init(spec, init)
    # Not in the build folder: make clean must not take what cost the user hours.
    folder = options.out or weights_folder() / f"{spec.name}_{set_name(options.data, 'train')}"
    if options.resume:  # the same photos as before, whatever the training started from
        before = read_split(split_path(RunState(folder).last))
    else:
        before = split_beside(init) if init else None
    division = open_division(options.data, options.photos, seed=options.seed, before=before)
    device, count = options.devices
    on = len(options.hosts or ("here",))
    team.require_devices(device, count, on, len(division.training))
    plan = Plan(
        spec,
        _changed(published, options.epochs, options.batch, options.lr),
        division,
        options.seed,
        options.limit_steps,
        count * on,
        skip_bad=options.skip_bad,
    )
    if plan.devices > 1 and team.rank_and_size() == (0, 1):
        if options.hosts:
            ours = hosts.find_hosts(options.hosts, options.port)
            command = [str(Path(sys.argv[0]).resolve()), *sys.argv[1:]]
            return lead(plan, RunState(folder), ours, command, device, resume=options.resume)
        if not options.resume:
            RunState(folder).require_unused()
        team.launch(device, count)
    rank, _ = team.join(device, count)
    if not rank:
        _say_plan(plan, device)
    take_back_signals()
    try:
        run_state = train(plan, folder, init, resume=options.resume, rank=rank)
    except team.LostDeviceError:
        if options.hosts:  # that it is, and whose, this host's first process says
            return LOST
        raise
    if rank:
        return Exit.OK
    best, split = run_state.best_row, read_split(split_path(run_state.best))
    found = split.result if split else f"{best['top1']:.2%}"
    print(f"held-out top-1 {found}, best after epoch {best['epoch']}: {shown(run_state.best)}")
    print(_what_bounds_it(run_state))
    print(f"curves: {shown(run_state.folder / LOG)}, visualdl --logdir {shown(run_state.charts)}")
    print(f"next: make calibrate {words_for(spec, run_state.best)} TARGET=onnx WITHIN_BUDGET=1")
    return Exit.OK


def _say_plan(plan: Plan, device: str) -> None:
    """What is trained on, and judged by; and a warning where an epoch has hardly a step."""
    at_once = plan.batch * plan.devices
    devices = f", {plan.devices} devices" if plan.devices > 1 else ""
    say(
        f"  {plan.spec.name}: {len(plan.training)} photos of {plan.classes} classes, "
        f"{len(plan.validation)} held out to judge by, {plan.recipe.epochs} epochs of "
        f"{plan.steps} steps of {at_once} photos, on {device}{devices}"
    )
    if advice := few_steps(plan):
        say(f"  warning: {advice}")


def _what_bounds_it(run_state: RunState) -> str:
    share = sum(row["waited"] for row in run_state.rows) / len(run_state.rows)
    cause = (
        "reading and augmenting them is what bounds the speed, and more cores would help"
        if share > _BOUND_BY_PHOTOS
        else "the network's own steps are what bounds the speed"
    )
    return f"the steps waited for photos {share:.0%} of the time: {cause}"


def _changed(published: Recipe, epochs: int | None, batch: int | None, lr: float | None) -> Recipe:
    changed = published.shortened(epochs) if epochs else published
    changed = replace(changed, batch=batch) if batch else changed
    return changed.with_lr(lr) if lr else changed


def _parser() -> Parser:
    parser = Parser(prog="python training/train.py", description=__doc__)
    parser.add_argument("--model", required=True, help="its name in the README")
    parser.add_argument(
        "--data",
        type=word_or_path(*BUILT_IN),
        required=True,
        metavar="DIR",
        help="a folder with train_list.txt and val_list.txt, or with train/ and val/ of one folder "
        "per class, or cifar10; of one folder per class, or one list, a tenth is held out",
    )
    parser.add_argument(
        "--photos", type=positive, metavar="N", help="train on N photos, and judge by no more"
    )
    parser.add_argument("--epochs", type=positive, metavar="N", help="default: the recipe's")
    parser.add_argument(
        "--init",
        type=word_or_path(*WORDS),
        default="random",
        metavar="W",
        help="a file, a folder, official, demo, or random (default: fresh weights); a classifier "
        "for another number of classes starts anew",
    )
    parser.add_argument(
        "--batch",
        type=positive,
        metavar="N",
        help="photos per device and step (default: the recipe's; --lr does not follow)",
    )
    parser.add_argument(
        "--lr",
        type=above_zero,
        metavar="X",
        help="the highest learning rate (default: the recipe's)",
    )
    parser.add_argument(
        "--devices",
        default=("cpu", 1),
        type=_devices,
        metavar="D",
        help="cpu (default), gpu, or with how many: gpu:4",
    )
    parser.add_argument(
        "--hosts",
        type=hosts.addresses,
        metavar="A,B",
        help="the addresses of several machines, of which each has --devices; type the same "
        "command on every one",
    )
    parser.add_argument(
        "--port",
        type=whole(1, 65000),
        default=hosts.PORT,
        metavar="N",
        help=f"of the first host, where they meet (default: {hosts.PORT})",
    )
    add_key_argument(parser)
    parser.add_argument("--resume", action="store_true", help="go on where a killed run was")
    parser.add_argument("--seed", type=whole(), default=0, metavar="S", help="default: 0")
    parser.add_argument(
        "--limit-steps", type=positive, metavar="N", help="at most N steps an epoch, to try it out"
    )
    parser.add_argument(
        "--out", type=absolute, metavar="DIR", help="default: weights/<model>_<data>"
    )
    parser.add_argument("--skip-bad", action="store_true", help="leave unreadable photos out")
    return parser


def _devices(text: str) -> tuple[str, int]:
    """The kind of device and how many: `gpu:4`."""
    device, _, count = text.partition(":")
    if device not in ("cpu", "gpu"):
        raise ArgumentTypeError(f"'{text}' is neither cpu nor gpu, nor with how many: gpu:4")
    return device, positive(count or "1")


if __name__ == "__main__":
    with warnings.catch_warnings(action="ignore"):  # Paddle's advice about tools for its builds
        run(main)
