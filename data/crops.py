"""Labelled photos → crops that every target and every later run shares, decoded once.

A cache entry is `crops/<key>.npy`, the crops, and `crops/<key>.json`, which says that the crops
are whole and which photos are missing from them. The key is made of the photos' contents, the
geometry of the preprocess, the code that makes crops and the versions of the libraries that decode.
"""

import contextlib
import io
import mmap
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import filelock
import numpy as np

from common.console import say_once
from common.errors import UserError
from common.files import locked, read_json, sha256_of, stamp, write_json
from common.paths import cache_root
from common.sources import code_of
from data.decode_many import Progress, decode_many
from data.images import ImageSet, identity
from data.photo_files import left_out_line, printable
from data.preprocess import Preprocess

_NAMED_IN_ERRORS = 20
_Found = tuple[np.ndarray, dict[int, str]]  # the crops, and why photos are missing from them


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

    def release(self) -> None:
        """Let go of the photos read so far: mapped pages count as this process's memory."""
        mapped = getattr(self.array, "_mmap", None)
        if mapped is not None:
            mapped.madvise(mmap.MADV_DONTNEED)


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
    code = code_of(decode_many, _finish)
    entry = _Entry(sha256_of([code, hashes, preprocess.geometry, _versions()]))
    found = entry.open()
    if found is None:
        with locked(entry.lock):  # a second run waits here for the first one's crops
            found = entry.open()
            if found is None:
                entry.remove_leftovers()
                found = entry.build(images, preprocess, workers, progress)
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


class _Entry:
    """One cache entry: its files, and how they come to be."""

    def __init__(self, key: str):
        folder = cache_root() / "crops"
        self.crops = folder / f"{key}.npy"
        self.record = folder / f"{key}.json"
        self.lock = folder / f"{key}.lock"
        self._part = folder / f".{key}.part"

    def open(self) -> _Found | None:
        """The entry, or None if there is no sound one.

        Sound means that nothing has touched the crops since they were written (size, times of
        change, inode): that costs microseconds, where a checksum would read gigabytes.
        """
        record = read_json(self.record)
        try:
            if record and record["crops"] == stamp(self.crops):
                return np.load(self.crops, mmap_mode="r"), dict(record["bad"])
        except (FileNotFoundError, KeyError, TypeError, ValueError):
            pass
        return None

    def build(
        self,
        images: ImageSet,
        preprocess: Preprocess,
        workers: int | None,
        progress: Progress | None,
    ) -> _Found:
        """Decode the photos into the entry's files.

        The crops take their name when they are whole, and the record is written last: a run that
        is killed leaves nothing that looks like an entry. There is no record either where a photo
        could not be read for a reason that may pass, such as want of memory.
        """
        side = preprocess.crop
        offset = len(_header(len(images), side))
        try:
            self._part.unlink(missing_ok=True)
            self._part.touch()
            bad = decode_many(
                images.paths, preprocess, self._part, offset, workers=workers, progress=progress
            )
            kept = [row for row in range(len(images)) if row not in bad]
            _finish(self._part, offset, side, kept)
            self._part.replace(self.crops)
        finally:
            self._part.unlink(missing_ok=True)
        reasons = {row: why.reason for row, why in bad.items()}
        if all(why.lasting for why in bad.values()):
            write_json(self.record, {"crops": stamp(self.crops), "bad": list(reasons.items())})
        return np.load(self.crops, mmap_mode="r"), reasons

    def remove_leftovers(self) -> None:
        """Delete what killed runs left behind, of this entry and of all that nobody works on."""
        for path in self.lock.parent.iterdir():
            key = path.name.lstrip(".").partition(".")[0]
            whole = path.with_name(f"{key}.json").exists()
            if not (path.name.startswith(".") or (path.suffix == ".npy" and not whole)):
                continue
            with contextlib.suppress(filelock.Timeout):
                lock = filelock.FileLock(path.with_name(f"{key}.lock"))
                held = key == self.lock.stem
                with contextlib.nullcontext() if held else lock.acquire(blocking=False):
                    path.unlink(missing_ok=True)


def _header(rows: int, side: int) -> bytes:
    """The head of an .npy file of crops; numpy pads it, so its length hardly depends on `rows`."""
    stream = io.BytesIO()
    shape = (rows, side, side, 3)
    np.lib.format.write_array_header_1_0(
        stream, {"descr": "|u1", "fortran_order": False, "shape": shape}
    )
    return stream.getvalue()


def _finish(part: Path, offset: int, side: int, kept: list[int]) -> None:
    """Make a whole .npy file of the rows to keep: close the gaps between them, write the head."""
    row_bytes = side * side * 3
    with part.open("r+b", buffering=0) as stream:
        for new, old in enumerate(kept):
            if new != old:
                row = os.pread(stream.fileno(), row_bytes, offset + old * row_bytes)
                os.pwrite(stream.fileno(), row, offset + new * row_bytes)
        stream.truncate(offset + len(kept) * row_bytes)
        header = _header(len(kept), side)
        assert len(header) == offset
        os.pwrite(stream.fileno(), header, 0)
