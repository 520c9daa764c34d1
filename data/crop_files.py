"""The files of one set of crops in the cache: how they come to be, go on after a kill, are held.

An entry is `crops/<key>.npy`, the crops, and `crops/<key>.json`, which says that the crops are
whole and which photos are missing from them. While it is being made it is `.<key>.part`, which
becomes the crops, and `.<key>.part.json`, which says what is in that already.
"""

import contextlib
import fcntl
import io
import os
import time
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import filelock
import numpy as np

from common.files import read_json, stamp, write_at, write_json
from common.paths import cache_root
from data.decode_many import Bad, Decoded, Progress, decode_many
from data.images import ImageSet
from data.preprocess import Preprocess

_SAVE_EVERY = 5.0  # seconds of decoding that a killed run may lose


def crops_folder() -> Path:
    """Where the cache's crops are."""
    return cache_root() / "crops"


class Found(NamedTuple):
    """An entry's crops, uint8 [N, S, S, 3] and mapped, and why photos are missing from them.

    Nobody makes room of them as long as the array lives.
    """

    array: np.ndarray
    bad: dict[int, str]


class Entry:
    """One cache entry: its files, and how they come to be."""

    def __init__(self, key: str):
        folder = crops_folder()
        self.key = key
        self.crops = folder / f"{key}.npy"
        self.record = folder / f"{key}.json"
        self.lock = folder / f"{key}.lock"
        self.part = folder / f".{key}.part"
        self.journal = folder / f".{key}.part.json"

    def open(self) -> Found | None:
        """The entry, or None if there is no sound one.

        Sound means that nothing has touched the crops since they were written (size, times of
        change, inode): that costs microseconds, where a checksum would read gigabytes.
        """
        record = read_json(self.record)
        try:
            if record and record["crops"] == stamp(self.crops):
                array = _mapped(self.crops)
                # Only now is it sure that nobody makes room of it.
                if record["crops"] == stamp(self.crops):
                    return Found(array, dict(record["bad"]))
        except (FileNotFoundError, BlockingIOError, KeyError, TypeError, ValueError):
            pass
        return None

    def build(
        self,
        images: ImageSet,
        preprocess: Preprocess,
        workers: int | None,
        progress: Progress | None,
    ) -> Found:
        """Decode the photos into the entry's files, and go on from where a killed run got to.

        The crops take their name when they are whole, and the record is written last: a run that
        is killed leaves nothing that looks like an entry. There is no record either where a photo
        could not be read for a reason that may pass, such as want of memory.
        """
        side = preprocess.crop
        offset = len(_header(len(images), side))
        journal = _Journal(self.part, self.journal, len(images))
        try:
            bad = decode_many(
                *(images.paths, preprocess, self.part, offset, journal.done),
                workers=workers,
                progress=progress,
                note=journal.note,
            )
            kept = [row for row in range(len(images)) if row not in bad]
            # From here on the part is no longer what the journal says.
            self.journal.unlink(missing_ok=True)
            finish(self.part, offset, side, kept)
            self.part.replace(self.crops)
        except KeyboardInterrupt:
            with contextlib.suppress(OSError):
                journal.save()
            raise
        except BaseException:
            self.remove_part()
            raise
        reasons = {row: why.reason for row, why in bad.items()}
        if all(why.lasting for why in bad.values()):
            write_json(self.record, {"crops": stamp(self.crops), "bad": list(reasons.items())})
        return Found(_mapped(self.crops), reasons)

    def remove_part(self) -> None:
        """Delete what is half made."""
        self.journal.unlink(missing_ok=True)
        self.part.unlink(missing_ok=True)

    def remove(self) -> bool:
        """Delete the entry's files, unless somebody makes or reads them; whether that was done."""
        try:
            with self._held(), _alone(self.crops):
                self.record.unlink(missing_ok=True)
                self.crops.unlink(missing_ok=True)
                self.remove_part()
        except (TimeoutError, BlockingIOError):
            return False
        return True

    def remove_leftovers(self) -> None:
        """Delete what killed runs left behind, of this entry and of all that nobody works on, but
        parts that a run may go on with."""
        for path in crops_folder().iterdir():
            other = Entry(path.name.lstrip(".").partition(".")[0])
            if not other._is_left_over(path):
                continue
            held = contextlib.nullcontext() if other.key == self.key else other._held()
            with contextlib.suppress(TimeoutError), held:
                if other._is_left_over(path):
                    path.unlink(missing_ok=True)

    @contextlib.contextmanager
    def _held(self) -> Iterator[None]:
        with filelock.FileLock(self.lock).acquire(blocking=False):
            yield

    def _is_left_over(self, path: Path) -> bool:
        if path in (self.part, self.journal):
            return not (self.part.exists() and self.journal.exists())
        return path.name.startswith(".") or (path == self.crops and not self.record.exists())


class _Journal:
    """What is decoded already of a part, saved now and then, so that a killed run loses little."""

    def __init__(self, part: Path, path: Path, photos: int):
        self._part, self._path, self._photos = part, path, photos
        self.done: Decoded = {}
        self._saved = time.monotonic()
        self._recall()
        part.touch()

    def note(self, start: int, bad: dict[int, Bad]) -> None:
        """Take note of the photos of a task that begins at `start`."""
        if all(why.lasting for why in bad.values()):
            self.done[start] = bad
        if time.monotonic() - self._saved >= _SAVE_EVERY:
            self.save()

    def save(self) -> None:
        value = {
            "photos": self._photos,
            "inode": self._part.stat().st_ino,
            "done": sorted(self.done),
            "bad": [
                [start, row, why.reason]
                for start, bad in self.done.items()
                for row, why in bad.items()
            ],
        }
        with self._part.open("r+b") as stream:
            os.fsync(stream.fileno())  # what is said to be there is there, after a power cut too
        write_json(self._path, value)
        self._saved = time.monotonic()

    def _recall(self) -> None:
        """What a killed run noted; where that is not of this part both begin anew."""
        known = read_json(self._path)
        try:
            if (known["photos"], known["inode"]) == (self._photos, self._part.stat().st_ino):
                done: Decoded = {int(start): {} for start in known["done"]}
                for start, row, reason in known["bad"]:
                    done[start][row] = Bad(str(reason), lasting=True)
                self.done = done
                return
        except (FileNotFoundError, KeyError, TypeError, ValueError):
            pass
        self._path.unlink(missing_ok=True)
        self._part.unlink(missing_ok=True)


def _mapped(path: Path) -> np.ndarray:
    """The array of an .npy file, mapped, and the file marked as in use as long as that lives.

    BlockingIOError where somebody is about to delete it.
    """
    handle = os.open(path, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            raise
        except OSError:
            pass  # a file system without locks, where nothing is deleted (see `_alone`)
        array = np.load(path, mmap_mode="r")
    except BaseException:
        os.close(handle)
        raise
    weakref.finalize(array, os.close, handle)
    return array


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Hold a file, if it is there, that nobody has a lease of; BlockingIOError where one has, or
    where that cannot be known."""
    try:
        stream = path.open("r+b")
    except FileNotFoundError:
        yield
        return
    with stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise BlockingIOError from None
        yield


def _header(rows: int, side: int) -> bytes:
    """The head of an .npy file of crops; numpy pads it, so its length hardly depends on `rows`."""
    stream = io.BytesIO()
    shape = (rows, side, side, 3)
    np.lib.format.write_array_header_1_0(
        stream, {"descr": "|u1", "fortran_order": False, "shape": shape}
    )
    return stream.getvalue()


def finish(part: Path, offset: int, side: int, kept: list[int]) -> None:
    """Make a whole .npy file of the rows to keep: close the gaps between them, write the head."""
    row_bytes = side * side * 3
    with part.open("r+b", buffering=0) as stream:
        for new, old in enumerate(kept):
            if new != old:
                row = os.pread(stream.fileno(), row_bytes, offset + old * row_bytes)
                write_at(stream.fileno(), row, offset + new * row_bytes)
        stream.truncate(offset + len(kept) * row_bytes)
        header = _header(len(kept), side)
        assert len(header) == offset
        write_at(stream.fileno(), header, 0)
