"""Labelled photos → crops that every target and every later run shares, decoded once.

The key of a cache entry (see `data.crop_files`) is made of the photos' contents, the geometry of
the preprocess, the code that makes crops and the versions of the libraries that decode.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from common.console import say_once
from common.errors import UserError
from common.files import locked, sha256_of
from common.mapped import release
from common.sources import code_of
from data.crop_files import Entry, finish
from data.crop_room import make_room, note_use
from data.decode_many import Progress, decode_many
from data.images import ImageSet, identity
from data.photo_files import left_out_line, printable
from data.preprocess import Preprocess

_NAMED_IN_ERRORS = 20


@dataclass
class Crops:
    """Decoded photos: `array` uint8 [N, S, S, 3] RGB, mapped from the cache; `labels` int64 [N],
    or None where the photos have none.

    `sha256` is the identity of these photos and labels (as `ImageSet.sha256`, without the
    skipped ones), `hashes` that of each photo; `skipped` names what is left out.
    """

    array: np.ndarray
    labels: np.ndarray | None
    sha256: str
    name: str
    skipped: list[str] = field(default_factory=list)
    hashes: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.array)

    @property
    def truth(self) -> np.ndarray:
        """The labels of a set that was opened as LABELLED."""
        if self.labels is None:
            raise ValueError(f"the photos of {self.name} have no labels")
        return self.labels

    def batches(
        self, size: int, preprocess: Preprocess, rows: Sequence[int] | None = None
    ) -> Iterator[np.ndarray]:
        """The network's input in batches of up to `size`: float32 [n, 3, S, S], in order.

        `rows` picks some of the photos (None: all).
        """
        if self.array.shape[1] != preprocess.crop:
            raise ValueError(f"crops of {self.array.shape[1]} pixels, not {preprocess.crop}")
        rows = range(len(self.array)) if rows is None else rows
        for start in range(0, len(rows), size):
            yield preprocess.normalize(self.array[list(rows[start : start + size])])
            self.release()

    def release(self) -> None:
        """Let go of the photos read so far: mapped pages count as this process's memory."""
        release(self.array)


def load_crops(
    images: ImageSet,
    preprocess: Preprocess,
    *,
    skip_bad: bool = False,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Crops:
    """The crops of a set of photos, out of the cache, or decoded into it.

    `workers` is how many photos are decoded at a time (default: one per core); `progress` is
    called with the photos done and the photos in all, and not at all where the cache has them.
    Photos that cannot be read, and what the set could not take, raise a UserError that names them;
    with `skip_bad` they are left out, and a line counts and names them.
    """
    if not images.paths:
        raise UserError(f"{images.name}: no photos in this set")
    hashes = images.hashes
    code = code_of(decode_many, finish)
    entry = Entry(sha256_of([code, hashes, preprocess.geometry, _versions()]))
    found = entry.open()
    if found is None:
        with locked(entry.lock):  # a second run waits here for the first one's crops
            found = entry.open()
            if found is None:
                entry.remove_leftovers()
                make_room(entry.key, len(images) * preprocess.crop**2 * 3)
                found = entry.build(images, preprocess, workers, progress)
    note_use(entry.key)
    make_room(entry.key)
    array, bad = found
    lost = [(images.paths[row], reason) for row, reason in bad.items()]
    lost += images.left_out.items()
    refuse_lost(images, lost, skip_bad, none_left=len(bad) == len(images))
    kept = [row for row in range(len(images)) if row not in bad]
    left = images.take(kept)
    return Crops(
        array=array,
        labels=None if left.labels is None else np.array(left.labels, np.int64),
        sha256=identity([hashes[row] for row in kept], left.labels),
        hashes=[hashes[row] for row in kept],
        name=images.name,
        skipped=[printable(path) for path, _ in lost],
    )


def _versions() -> list[str]:
    """The libraries whose versions may change a crop's pixels."""
    import cv2
    import PIL

    return [f"opencv {cv2.__version__}", f"pillow {PIL.__version__}"]


def refuse_lost(
    images: ImageSet, lost: Sequence[tuple[Path, str]], skip_bad: bool, *, none_left: bool = False
) -> None:
    """Raise UserError for what cannot be read of a set, each with the reason; with `skip_bad`, and
    where anything is left, say in a line what is left out."""
    if not lost:
        return
    named = left_out_line(lost, _NAMED_IN_ERRORS)
    count = f"{len(lost)} of {len(images) + len(images.left_out)}"
    if skip_bad and not none_left:
        say_once(f"  {images.name}: {count} left out: {named}")
        return
    remedy = "repair or remove them"
    if not none_left:
        remedy += ", or go on without them with --skip-bad"
    raise UserError(f"{count} photos cannot be read: {named}; {remedy}")
