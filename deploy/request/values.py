"""What a user asks of the commands that build and judge, as values."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from calib.photos import COUNT, Calibration, open_apart, set_apart
from common.console import say
from common.errors import UserError
from convert.to_onnx import DEFAULT_OPSET
from deploy.targets import find_cells
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
    """From which weights, and how, the files are made. None: see `deploy.request.building`.

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


def check_methods(cells: Sequence[Cell], method: str | None) -> None:
    """Raise UserError where a target has no such way to calibrate."""
    for target, precision in cells:
        if precision == INT8 and method and method not in target.methods:
            raise UserError(
                f"target {target.name} cannot calibrate with '{method}'; choose from "
                f"{', '.join(target.methods)}"
            )
