"""The photos of a request: which judge, and which calibrate INT8 where a file is to be made.

They are opened before anything is built, so that a mistyped folder costs no time; what judges is
known once it is known which calibrated files are kept, since photos that made a file do not judge.
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from calib.photos import OWN, TRAINED, Calibration, leave_out
from common.console import say
from common.errors import UserError
from convert.artifact import Artifact
from convert.builds import split_of
from data.images import DEMO
from deploy.request.int8_files import (
    calibrating_hashes,
    hashes_of_any,
    with_kept,
    without_photos,
)
from deploy.request.judging import numbered_as
from deploy.request.values import Cell, Files, Photos, calibrated
from deploy.targets.base import Options
from models.weights import WORDS

if TYPE_CHECKING:
    from data.images import ImageSet
    from models.split import Split


@dataclass(frozen=True)
class Opened:
    """All photos that may judge, those to calibrate on where they were named, and those that judge
    without labels beside the first where such were."""

    images: "ImageSet"
    calibration: Calibration | None
    more: "ImageSet | None" = None


@dataclass(frozen=True)
class Ready:
    """The photos that judge a graph's files, and the cells and options to make these by."""

    images: "ImageSet"
    cells: list[Cell]
    options: Options
    more: "ImageSet | None" = None


def open_photos(
    photos: Photos,
    cells: Sequence[Cell],
    class_num: int,
    split: "Split | None" = None,
    *,
    calibrates: bool = False,
) -> Opened:
    """The photos for a model of so many classes, whose checkpoint has this split.

    `calibrates` says that what judges also tells what to calibrate on, see `Photos.set_apart`,
    where no photos of their own are named.
    """
    images = photos.open_all(class_num, split)
    more = photos.open_more(class_num, split, images)
    if not calibrated(cells):
        return Opened(images, None, more)
    if photos.calibration:
        few = photos.few(images)
        return Opened(images, photos.open_calibration(class_num, split, few), more)
    if calibrates:
        calibration, others = photos.set_apart(images, class_num, split)
        return Opened(others, calibration, more)
    return Opened(images, None, more)


def ready_to_judge(
    graph: Artifact, cells: Sequence[Cell], wanted: Files, photos: Photos, opened: Opened
) -> Ready:
    """What judges a graph's files, and what they are made by."""
    images, calibration = numbered_as(graph, opened.images), opened.calibration
    class_num = graph.facts["class_num"]
    options = with_kept(graph, cells, _with(wanted.options, calibration))
    if missing := without_photos(cells, options):
        try:
            _check_demo(graph, photos, missing)
            calibration, images = photos.set_apart(images, class_num, split_of(graph))
            options = _with(options, calibration)
        except _DemoError as error:
            cells = _without(missing, cells, wanted, error)
    before = len(images)
    images = leave_out(images, calibrating_hashes(cells, options) | hashes_of_any(graph, cells))
    judging = photos.few(images)
    if calibration and calibration.split != OWN:
        trained = " to train on" if calibration.split == TRAINED else ""
        calibrate = f"{len(calibration.images)} photos{trained} calibrate INT8"
        say(f"  {images.name}: {calibrate}, {len(judging)} judge")
    elif before > len(images):
        made = f"{before - len(images)} photos calibrated INT8 and do not judge"
        say(f"  {images.name}: {made}, {len(judging)} do")
    return Ready(judging, list(cells), options, _beside(graph, opened.more, cells, options))


def _beside(
    graph: Artifact, more: "ImageSet | None", cells: Sequence[Cell], options: Options
) -> "ImageSet | None":
    """The photos that judge without labels beside the others, but those that calibrated."""
    if more is None:
        return None
    calibrating = calibrating_hashes(cells, options) | hashes_of_any(graph, cells)
    if options.calibration:
        calibrating |= set(options.calibration.images.hashes)
    left = leave_out(more, calibrating)
    if len(left) < len(more):
        say(f"  {more.name}: {len(more) - len(left)} photos calibrate INT8 and do not judge")
    return left


def ready_to_make(
    graph: Artifact, cells: Sequence[Cell], wanted: Files
) -> tuple[list[Cell], Options]:
    """The cells, and the options to make them by, for a command that judges nothing.

    Where there are no photos to calibrate on, and nobody named INT8, its cells are left out, with
    a word.
    """
    photos, class_num, split = wanted.photos, graph.facts["class_num"], split_of(graph)
    calibration = None
    if photos.calibration and calibrated(cells):
        calibration = photos.open_calibration(class_num, split)
    options = with_kept(graph, cells, _with(wanted.options, calibration))
    missing = without_photos(cells, options)
    if not missing:
        return list(cells), options
    try:
        calibration = _open_to_calibrate(photos, class_num, split)
        _check_demo(graph, photos, missing)
    except UserError as error:
        return _without(missing, cells, wanted, error), options
    say(f"  {calibration.images.name}: {len(calibration.images)} photos calibrate INT8")
    return list(cells), _with(options, calibration)


def _open_to_calibrate(photos: Photos, class_num: int, split: "Split | None") -> Calibration:
    """The photos to calibrate on where none are named; an error names the word for others."""
    try:
        return photos.to_calibrate(class_num, split)
    except UserError as error:
        raise UserError(f"{error} (to calibrate on: CALIB=folder)") from None


class _DemoError(UserError):
    """The demo's photos are not those of the model, and nobody named them."""


def _check_demo(graph: Artifact, photos: Photos, missing: list[Cell]) -> None:
    if (
        photos.named
        or photos.source_for(split_of(graph)) != DEMO
        or graph.facts["weights"] in WORDS
    ):
        return
    raise _DemoError(
        f"{graph.name} has a checkpoint of its own, whose INT8 for {missing[0][0].name} was not "
        "calibrated yet, and the demo's photos do that only where they are named; give photos such "
        "as it will see: CALIB=folder (or CALIB=demo), or have it judged too: make calibrate "
        f"MODEL={graph.name} TARGET={missing[0][0].name} DATA=folder"
    )


def _with(options: Options, calibration: Calibration | None) -> Options:
    return dataclasses.replace(options, calibration=calibration)


def _without(
    missing: list[Cell], cells: Sequence[Cell], wanted: Files, error: UserError
) -> list[Cell]:
    """The other cells, where nobody named INT8; else the error."""
    if wanted.named:
        raise error
    say(f"  int8 is left out, for want of photos to calibrate on: {error}")
    return [cell for cell in cells if cell not in missing]
