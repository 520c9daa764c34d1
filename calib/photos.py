"""Which photos calibrate: never any that judge, by the photos' content."""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from calib.ranges import collect
from common import console
from common.errors import UserError
from convert.artifact import Artifact
from data.crops import Crops, load_crops
from data.images import ImageSet, printable, spread_rows
from models.registry import MODELS

COUNT = 300  # ranges hardly move beyond it: Nvidia's and NNCF's guides also take 300 to 500
_SHARE = 3  # of the photos that are to judge, one in so many calibrates where there are no others
_FEWEST = 2
OWN, APART = "own", "apart"


@dataclass(frozen=True)
class Calibration:
    """The photos that ranges are measured on; `source` is where the user has them, `split` which
    part of that they are: OWN, given to calibrate on, or APART from those that judge."""

    images: ImageSet
    skip_bad: bool = False
    source: str = ""
    split: str = OWN

    def measure(self, onnx: Artifact) -> tuple[Artifact, Crops]:
        """The ranges of an ONNX file's tensors on the photos, and the photos as its model sees
        them; both are made once for all targets.
        """
        preprocess = MODELS[onnx.model].preprocess
        with console.progress(f"decoding {self.images.name} to calibrate", "photos") as progress:
            crops = load_crops(self.images, preprocess, skip_bad=self.skip_bad, progress=progress)
        with console.progress(f"{onnx.name}: ranges", "photos") as progress:
            return collect(onnx, crops, preprocess, progress), crops


def set_apart(images: ImageSet, count: int = COUNT) -> tuple[ImageSet, ImageSet]:
    """Photos to calibrate on, and the others, which judge; both evenly spread over the set.

    At most `count`, and at most a third of the set. A photo that is there twice is on one side
    only. Raises UserError where the set is too small for that.
    """
    wanted = min(count, len(images) // _SHARE)
    if wanted < _FEWEST:
        raise UserError(
            f"{images.name}: {len(images)} photos are too few to calibrate on a third of them and "
            "judge by the rest; name other photos to calibrate on: CALIB=folder"
        )
    hashes = images.hashes
    taken = {hashes[row] for row in spread_rows(len(images), wanted)}
    sides = np.array([digest in taken for digest in hashes])
    return _pick(images, sides), _pick(images, ~sides)


def open_apart(source: str, class_num: int, judging: ImageSet, count: int = COUNT) -> ImageSet:
    """The photos at `source` to calibrate on, `count` of them, evenly spread.

    Where the source has photos to train on those are taken. Raises UserError where any of them
    is also one of the photos that judge: the drift would look smaller than it is.
    """
    try:
        found = ImageSet.open(source, class_num, "train")
    except UserError:
        found = ImageSet.open(source, class_num)
    chosen = found.spread(count)
    if len(chosen) < _FEWEST:
        raise UserError(f"{source}: {len(chosen)} photo is too few to calibrate on")
    judges = set(judging.hashes)
    shared = [
        path for path, digest in zip(chosen.paths, chosen.hashes, strict=True) if digest in judges
    ]
    if shared:
        raise UserError(
            f"{source}: {len(shared)} of {len(chosen)} photos to calibrate on are also among those "
            f"that judge ({printable(shared[0])}, …); give others, or leave CALIB out: then a "
            f"third of {judging.name} calibrates and the rest judges"
        )
    return chosen


def leave_out(images: ImageSet, hashes: Collection[str]) -> ImageSet:
    """The photos whose content is not among these sha256; UserError where none is left."""
    if not hashes:
        return images
    others = _pick(images, np.array([digest not in hashes for digest in images.hashes], bool))
    if len(images) and not len(others):
        raise UserError(
            f"{images.name}: all {len(images)} photos calibrated the INT8 file that is kept, so "
            "none can judge it; give others: DATA=folder"
        )
    return others


def _pick(images: ImageSet, side: np.ndarray) -> ImageSet:
    rows = np.flatnonzero(side)
    paths, labels = [images.paths[row] for row in rows], [images.labels[row] for row in rows]
    return ImageSet(images.name, paths, labels, images.class_names)
