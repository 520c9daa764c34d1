"""The course of a training, as `make train` keeps it in its folder: loss and top-1 by epoch, and
the loss of every step in VisualDL's file."""

import csv
import statistics
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from common.errors import UserError
from models.split import read_split, split_file
from models.weights import Weights

LOG = "log.csv"
CHARTS = "visualdl"
STEPS = "vdlrecords.training.log"  # VisualDL shows one file of a folder, and knows it by its name
BEST, LAST = "best", "last"  # the checkpoints' names, without their suffix

_MOST = 400  # points of a curve over steps: more are averaged, as many at a time as it takes


@dataclass(frozen=True)
class Epoch:
    """The mean loss of an epoch's steps, the held-out top-1 after it, and the learning rate of its
    last step."""

    number: int
    loss: float
    top1: float
    lr: float


@dataclass(frozen=True)
class Course:
    """A training's epochs, the losses of its steps, and the epoch that a checkpoint is of.

    `steps` has (epochs gone, loss); empty where VisualDL's file is gone.
    """

    folder: Path
    epochs: tuple[Epoch, ...]
    steps: tuple[tuple[float, float], ...]
    kept: int


def course_of(weights: Weights) -> Course | None:
    """The training that made a checkpoint, known by its split; None where it is not there.

    UserError where the folder's files are damaged.
    """
    place = split_file(weights)
    split = read_split(place) if place else None
    if place is None or split is None or split.checkpoint != weights.sha256:
        return None
    epochs = _epochs(place.with_name(LOG))
    if not epochs:
        return None
    best = max(epochs, key=lambda one: one.top1)
    kept = epochs[-1] if place.name.startswith(LAST) else best
    return Course(place.parent, epochs, _steps(place.with_name(CHARTS) / STEPS), kept.number)


def _epochs(path: Path) -> tuple[Epoch, ...]:
    try:
        with path.open(newline="", encoding="utf-8") as stream:
            return tuple(
                Epoch(int(row["epoch"]), float(row["loss"]), float(row["top1"]), float(row["lr"]))
                for row in csv.DictReader(stream)
            )
    except (FileNotFoundError, NotADirectoryError):
        return ()
    except (OSError, UnicodeDecodeError, KeyError, TypeError, ValueError, csv.Error):
        raise UserError(f"{path} is no log of a training") from None


def _steps(path: Path) -> tuple[tuple[float, float], ...]:
    """The epochs gone by each step, and its loss."""
    if not path.is_file():
        return ()
    from visualdl import LogReader

    reader = LogReader(file_path=str(path))
    if not {"step/loss", "epoch/loss"} <= set(reader.get_tags().get("scalar", ())):
        return ()
    losses = reader.get_data("scalar", "step/loss")
    end = reader.get_data("scalar", "epoch/loss")[0].timestamp
    in_epoch = sum(one.timestamp <= end for one in losses)
    if not in_epoch:
        return ()
    return tuple(_thinned((one.id / in_epoch, one.value) for one in losses))


def _thinned(points: Iterable[tuple[float, float]]) -> Iterable[tuple[float, float]]:
    every = list(points)
    size = -(-len(every) // _MOST)
    for start in range(0, len(every), size):
        part = every[start : start + size]
        yield part[-1][0], statistics.fmean(value for _, value in part)
