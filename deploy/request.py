"""What a user asks of the commands that build and judge: the arguments, as values."""

import argparse
import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from calib.photos import COUNT, Calibration, open_apart, set_apart
from calib.recipe import DEFAULT_METHOD, METHODS, NNCF, Recipe
from common.cli import Parser, positive
from common.console import say
from common.errors import UserError
from convert.to_onnx import DEFAULT_OPSET, OPSETS
from deploy.targets import TARGETS, find_cells
from deploy.targets.base import Options, Target

if TYPE_CHECKING:
    from data.images import ImageSet

Cell = tuple[Target, str]  # a target and one of its precisions
INT8 = "int8"
FP16 = "fp16"


@dataclass(frozen=True)
class Photos:
    """Which photos judge: a source for `ImageSet.open`, and how many of them (None: all)."""

    source: str = "demo"
    count: int | None = None
    skip_bad: bool = False
    calibration: str | None = None
    calibration_count: int = COUNT

    def open(self, class_num: int) -> "ImageSet":
        """The photos and their labels, for a model of so many classes."""
        return self._few(self._all(class_num))

    def open_with_calibration(self, class_num: int) -> tuple["ImageSet", Calibration]:
        """The photos that judge, and others to calibrate INT8 on.

        Those are from the source of their own, or a third of the photos, which then do not judge.
        """
        images = self._all(class_num)
        if self.calibration:
            judging = self._few(images)
            apart = open_apart(self.calibration, class_num, judging, self.calibration_count)
        else:
            apart, others = set_apart(images, self.calibration_count)
            judging = self._few(others)
            say(f"  {images.name}: {len(apart)} photos calibrate INT8, {len(judging)} judge")
        return judging, Calibration(apart, self.skip_bad)

    def open_calibration(self, class_num: int) -> Calibration:
        """The photos to calibrate INT8 on, for a command that judges nothing."""
        if self.calibration is None:
            return self.open_with_calibration(class_num)[1]
        from data.images import ImageSet

        nobody = ImageSet("", [], [])
        apart = open_apart(self.calibration, class_num, nobody, self.calibration_count)
        return Calibration(apart, self.skip_bad)

    def _all(self, class_num: int) -> "ImageSet":
        from data.images import ImageSet  # here: --help needs no photos

        return ImageSet.open(self.source, class_num)

    def _few(self, images: "ImageSet") -> "ImageSet":
        return images.spread(self.count) if self.count else images


@dataclass(frozen=True)
class Files:
    """From which weights, and how, the files are made. None: see `deploy.chain`.

    `photos` are those to calibrate on where none are given to judge by; `named` says whether the
    user named precisions, or photos to calibrate on.
    """

    weights: str | None = None
    class_num: int | None = None
    options: Options = field(default_factory=lambda: Options(DEFAULT_OPSET))
    photos: Photos = field(default_factory=Photos)
    named: bool = True

    def with_calibration(self, cells: list[Cell], class_num: int) -> tuple[list[Cell], Options]:
        """The cells, and the options with photos to calibrate on where one of them is INT8; for
        commands that judge nothing, and a model of so many classes.

        Where there are no such photos, and nobody named INT8, its cells are left out, with a word.
        """
        floats = [cell for cell in cells if cell[1] != INT8]
        if floats == cells:
            return cells, self.options
        try:
            calibration = self.photos.open_calibration(class_num)
        except UserError as error:
            if self.named:
                raise
            say(f"  int8 is left out, for want of photos to calibrate on: {error}")
            return floats, self.options
        return cells, dataclasses.replace(self.options, calibration=calibration)


def every_cell() -> list[Cell]:
    """All precisions of all targets."""
    return find_cells(["all"], None)


def add_file_arguments(parser: Parser, target_default: list[str] | None = None) -> None:
    """The arguments of every command that makes files."""
    parser.add_argument(
        "--target",
        action="append",
        required=target_default is None,
        metavar="NAME",
        help=f"{', '.join(TARGETS)} or all; repeatable",
    )
    parser.add_argument(
        "--precision",
        action="append",
        metavar="P",
        help="fp32, bf16, fp16, int8; repeatable (default: every precision of the target)",
    )
    add_weight_arguments(parser)
    parser.add_argument(
        "--opset",
        type=int,
        default=DEFAULT_OPSET,
        choices=OPSETS,
        metavar="N",
        help=f"ONNX opset, {OPSETS[0]} to {OPSETS[-1]} (default: {DEFAULT_OPSET}; 13 for old "
        "runtimes)",
    )
    add_calibration_arguments(parser)
    parser.set_defaults(target_default=target_default)


def add_calibration_arguments(parser: Parser) -> None:
    """The arguments of every command that may make INT8 files."""
    parser.add_argument(
        "--calib",
        metavar="DIR",
        help="photos to calibrate INT8 on, none of which may judge (default: a third of --data)",
    )
    parser.add_argument(
        "--calib-photos",
        type=positive,
        default=COUNT,
        metavar="N",
        help=f"at most so many of them (default: {COUNT})",
    )
    parser.add_argument(
        "--method",
        metavar="M",
        help=f"{', '.join(METHODS)}, or {NNCF} for openvino (default: what `make calibrate` found, "
        f"else {DEFAULT_METHOD})",
    )
    parser.add_argument(
        "--keep-float",
        action="append",
        metavar="LAYER",
        help="a layer of the ONNX file that INT8 leaves in float; repeatable",
    )


def add_weight_arguments(parser: Parser) -> None:
    """The arguments of every command that needs a model's weights."""
    parser.add_argument(
        "--weights",
        metavar="W",
        help="a file, a folder, official, demo or random (default: what was exported last, else "
        "what is found)",
    )
    parser.add_argument("--classes", type=positive, metavar="N", help="default: 1000")


def add_data_arguments(parser: Parser) -> None:
    """The arguments of every command that takes photos."""
    parser.add_argument(
        "--data",
        default="demo",
        metavar="DIR",
        help="a folder with val_list.txt, one folder per class, cifar10 or demo (default)",
    )
    parser.add_argument(
        "--photos", type=positive, metavar="N", help="only N of them, evenly spread"
    )
    parser.add_argument(
        "--skip-bad", action="store_true", help="leave unreadable photos out, and count them"
    )


def add_photo_arguments(parser: Parser) -> None:
    """The arguments of every command that judges targets on photos."""
    add_data_arguments(parser)
    parser.add_argument(
        "--budget",
        type=_points,
        metavar="PP",
        help="top-1 loss allowed, in percentage points (default: 1 %% of the reference's top-1)",
    )
    parser.add_argument(
        "--accept-simulated",
        action="store_true",
        help="exit 0 where only the hardware is missing and its simulation passes",
    )


def _points(text: str) -> float:
    value = float(text)
    if not 0 <= value < math.inf:
        raise argparse.ArgumentTypeError(f"a budget is a loss of 0 or more points, not {text}")
    return value


def chosen_cells(options: argparse.Namespace) -> list[Cell]:
    """The cells that the arguments ask for; UserError for a name that there is not."""
    cells = find_cells(options.target or options.target_default, options.precision)
    check_methods(cells, options.method)
    return cells


def chosen_files(options: argparse.Namespace) -> Files:
    return Files(
        options.weights,
        options.classes,
        Options(options.opset, recipe=_recipe(options)),
        Photos(calibration=options.calib, calibration_count=options.calib_photos),
        named=bool(options.precision or options.calib),
    )


def _recipe(options: argparse.Namespace) -> Recipe | None:
    if not (options.method or options.keep_float):
        return None
    return Recipe(options.method or DEFAULT_METHOD, tuple(options.keep_float or ()))


def chosen_photos(options: argparse.Namespace) -> Photos:
    return Photos(
        options.data, options.photos, options.skip_bad, options.calib, options.calib_photos
    )


def check_methods(cells: Sequence[Cell], method: str | None) -> None:
    """Raise UserError where a target has no such way to calibrate."""
    for target, precision in cells:
        if precision == INT8 and method and method not in target.methods:
            raise UserError(
                f"target {target.name} cannot calibrate with '{method}'; choose from "
                f"{', '.join(target.methods)}"
            )
