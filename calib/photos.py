"""Which photos calibrate: never any that judge or were held out, by the photos' content.

Those that trained the checkpoint come first, since they cannot judge anyway.
"""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from calib.ranges import collect
from common import console
from common.errors import UserError
from convert.artifact import Artifact
from data.contents import Contents
from data.crops import Crops, load_crops
from data.hashes import UNREADABLE
from data.images import ImageSet, judged_split, printable, splits_of, spread_rows
from data.photo_folders import EITHER
from models.split import Split

COUNT = 300  # ranges hardly move beyond it: Nvidia's and NNCF's guides also take 300 to 500
_SHARE = 3  # of the photos that are to judge, one in so many calibrates where there are no others
_FEWEST = 2
OWN, APART, TRAINED = "own", "apart", "trained"


@dataclass(frozen=True)
class Calibration:
    """The photos that ranges are measured on; `source` is where the user has them, `split` which
    part of that they are: OWN, given to calibrate on, APART from those that judge, or TRAINED,
    which trained the checkpoint or are there to train on."""

    images: ImageSet
    skip_bad: bool = False
    source: str = ""
    split: str = OWN

    def measure(self, onnx: Artifact) -> tuple[Artifact, Crops]:
        """The ranges of an ONNX file's tensors on the photos, and the photos as its model sees
        them; both are made once for all targets.
        """
        preprocess = onnx.preprocess
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
    return images.take(np.flatnonzero(sides)), images.take(np.flatnonzero(~sides))


def open_apart(
    source: str,
    class_num: int,
    judging: ImageSet,
    count: int = COUNT,
    split: Split | None = None,
) -> ImageSet:
    """The photos at `source` to calibrate on, `count` of them, evenly spread.

    Where the source has photos to train on, or some that trained the checkpoint (`split`), those
    are taken. Raises UserError where any of them is also one of the photos that judge: the drift
    would look smaller than it is.
    """
    chosen = (_trained(source, class_num, split) or _not_held_out(source, class_num, split)).spread(
        count
    )
    if len(chosen) < _FEWEST:
        raise UserError(f"{source}: {len(chosen)} photo is too few to calibrate on")
    shared = Contents.of(judging.hashes).has(chosen.hashes)
    if shared.any():
        first = chosen.paths[int(shared.argmax())]
        raise UserError(
            f"{source}: {shared.sum()} of {len(chosen)} photos to calibrate on are also among "
            f"those that judge ({printable(first)}, …); give others, or leave CALIB out: then a "
            f"third of {judging.name} calibrates and the rest judges"
        )
    return chosen


def leave_out(images: ImageSet, hashes: Collection[str]) -> ImageSet:
    """The photos whose content is not among these sha256; UserError where none is left."""
    known = {digest for digest in hashes if digest != UNREADABLE}
    if not known:
        return images
    others = images.take(row for row, digest in enumerate(images.hashes) if digest not in known)
    if len(images) and not len(others):
        raise UserError(
            f"{images.name}: all {len(images)} photos calibrated the INT8 file that is kept, so "
            "none can judge it; give others: DATA=folder"
        )
    return others


def trained_apart(
    source: str, class_num: int, judging: ImageSet, count: int, split: Split | None
) -> ImageSet | None:
    """`count` photos of a source that trained, or are there to train on, and do not judge; None
    where it has none."""
    found = _trained(source, class_num, split)
    if found is None:
        return None
    chosen = found.spread(count)
    barred = Contents.of(judging.hashes)
    if split:
        barred |= split.held_out.known
    chosen = chosen.take(np.flatnonzero(~barred.has(chosen.hashes)))
    return chosen if len(chosen) >= _FEWEST else None


def _trained(source: str, class_num: int, split: Split | None) -> ImageSet | None:
    """The photos of a source that are there to train on, or trained the checkpoint."""
    if "train" in splits_of(source):
        return ImageSet.open(source, class_num, "train", EITHER)
    if split is None:
        return None
    images = ImageSet.open(source, class_num, judged_split(source), EITHER)
    trained = images.take(np.flatnonzero(split.training.known.has(images.hashes)))
    return trained if len(trained) >= _FEWEST else None


def _not_held_out(source: str, class_num: int, split: Split | None) -> ImageSet:
    images = ImageSet.open(source, class_num, judged_split(source), EITHER)
    if split is None:
        return images
    return images.take(np.flatnonzero(~split.held_out.known.has(images.hashes)))
