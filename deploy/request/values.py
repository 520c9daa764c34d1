"""What a user asks of the commands that build and judge, as values."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from calib.kept import INT8
from calib.photos import (
    APART,
    COUNT,
    OWN,
    TRAINED,
    Calibration,
    open_apart,
    set_apart,
    trained_apart,
)
from common.errors import UserError
from convert.to_onnx import DEFAULT_OPSET
from data.photo_folders import LABELLED, Use
from deploy.targets import find_cells
from deploy.targets.base import Options, Target

if TYPE_CHECKING:
    from data.images import ImageSet
    from models.split import Split


Cell = tuple[Target, str]  # a target and one of its precisions
FP16 = "fp16"


def cell_name(cell: Cell) -> str:
    """For example "onnx-int8"."""
    target, precision = cell
    return f"{target.name}-{precision}"


@dataclass(frozen=True)
class Photos:
    """Which photos judge: a source for `ImageSet.open`, and how many of them (None: all); and which
    calibrate. `named` says whether the user named the source: where not, a checkpoint's own photos
    are taken. `allow_seen` says that those may judge too that trained the checkpoint; None, of a
    command that gives no accuracy, that they cannot. `labels` says whether those that judge need
    labels, or have none (see `data.photo_folders`). `more` is a source of others, which judge
    without labels beside them."""

    source: str = "demo"
    count: int | None = None
    skip_bad: bool = False
    calibration: str | None = None
    calibration_count: int = COUNT
    named: bool = True
    allow_seen: bool | None = None
    labels: Use = LABELLED
    more: str | None = None

    def open(self, class_num: int, split: "Split | None" = None) -> "ImageSet":
        """The photos that judge and their labels, for a model of so many classes, whose checkpoint
        has this split."""
        return self.few(self.open_all(class_num, split))

    def open_calibration(
        self, class_num: int, split: "Split | None", judging: "ImageSet | None" = None
    ) -> Calibration:
        """Photos of their own to calibrate INT8 on; UserError where one of them also judges."""
        from data.images import ImageSet

        assert self.calibration
        judging = judging or ImageSet("", [], [])
        apart = open_apart(self.calibration, class_num, judging, self.calibration_count, split)
        return Calibration(apart, self.skip_bad, self.calibration, OWN)

    def set_apart(
        self, images: "ImageSet", class_num: int, split: "Split | None"
    ) -> tuple[Calibration, "ImageSet"]:
        """Photos to calibrate INT8 on, and those that judge: what the source has to train on, or
        trained the checkpoint, and all of `images`; else a third of these, and the others."""
        count, source = self.calibration_count, self.source_for(split)
        trained = trained_apart(source, class_num, images, count, split)
        if trained:
            return Calibration(trained, self.skip_bad, source, TRAINED), images
        apart, others = set_apart(images, count)
        return Calibration(apart, self.skip_bad, source, APART), others

    def to_calibrate(self, class_num: int, split: "Split | None") -> Calibration:
        """Photos to calibrate INT8 on where none are to judge."""
        from data.images import ImageSet

        source, nobody = self.source_for(split), ImageSet("", [], [])
        trained = trained_apart(source, class_num, nobody, self.calibration_count, split)
        if trained:
            return Calibration(trained, self.skip_bad, source, TRAINED)
        return self.set_apart(self.open_all(class_num, split), class_num, split)[0]

    def open_all(self, class_num: int, split: "Split | None" = None) -> "ImageSet":
        """The photos at the source that may judge, however many are to."""
        from deploy.request.judging import open_judging  # here: --help needs no photos

        return open_judging(self.source_for(split), class_num, split, self.allow_seen, self.labels)

    def open_more(
        self, class_num: int, split: "Split | None", images: "ImageSet"
    ) -> "ImageSet | None":
        """The photos that judge without labels beside `images`, and are none of these."""
        from deploy.request.judging import open_beside  # here: --help needs no photos

        if self.more is None:
            return None
        return open_beside(self.more, class_num, split, self.allow_seen, images)

    def source_for(self, split: "Split | None") -> str:
        """The source that was named, else that of a checkpoint with this split, else the demo."""
        return split.source if split and not self.named else self.source

    def few(self, images: "ImageSet") -> "ImageSet":
        """Those of some photos that judge."""
        return images.spread(self.count) if self.count else images


@dataclass(frozen=True)
class Files:
    """From which weights, and how, the files are made. None: see `deploy.request.building`.

    `photos` are those to calibrate on where none are given to judge by; `named` says whether the
    user named precisions, or photos to calibrate on. `calibrated` is a folder with INT8 files that
    were calibrated elsewhere, which are kept here first (see `calib.kept.take_in`).
    """

    weights: str | None = None
    class_num: int | None = None
    options: Options = field(default_factory=lambda: Options(DEFAULT_OPSET))
    photos: Photos = field(default_factory=lambda: Photos(named=False))
    named: bool = True
    weights_key: str | None = None
    config: str | None = None
    calibrated: Path | None = None

    @property
    def names_weights(self) -> bool:
        """Whether the user says of which weights, so that a build's own do not do."""
        return bool(self.weights or self.weights_key)


def every_cell() -> list[Cell]:
    """All precisions of all targets."""
    return find_cells(["all"], None)


def calibrated(cells: Sequence[Cell]) -> list[Cell]:
    """Those whose files are calibrated here: INT8, but of what runs elsewhere."""
    return [
        (target, precision)
        for target, precision in cells
        if precision == INT8 and not target.elsewhere
    ]


def check_methods(cells: Sequence[Cell], method: str | None) -> None:
    """Raise UserError where a target has no such way to calibrate."""
    for target, _ in calibrated(cells):
        if method and method not in target.methods:
            raise UserError(
                f"target {target.name} cannot calibrate with '{method}'; choose from "
                f"{', '.join(target.methods)}"
            )
