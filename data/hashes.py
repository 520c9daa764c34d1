"""Content hashes of many photos, remembered so that an unchanged one is read once.

`common.hashes` remembers one big file per note; fifty thousand small ones share a note here.
"""

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from common import console, files, machine
from common.hashes import SETTLED_NS, is_digest
from common.paths import cache_root

UNREADABLE = ""  # stands for the hash of a file that cannot be read
_PER_TASK = 16
_MANY = 2000  # so many take a while where they are read for the first time


def content_hashes(paths: Sequence[Path]) -> list[str]:
    """The SHA-256 of each file's bytes, in order; UNREADABLE where there is no reading it.

    They are remembered in the cache folder, one note per list of paths, and used again while a
    file's size, times of change and inode stay what they were.
    """
    names = [os.path.abspath(path) for path in paths]  # noqa: PTH100 (Path is slow for 50,000)
    note = cache_root() / "photo-hashes" / f"{files.sha256_of(names)}.json"
    known = _recall(note, len(names))
    stamps = [_stamp(name) for name in names]
    hashes = [digest for _, digest in known]
    stale = [row for row, stamp in enumerate(stamps) if stamp is None or stamp != known[row][0]]
    if stale:
        now = time.time_ns()
        for row, digest in zip(stale, _hash_all([names[row] for row in stale]), strict=True):
            hashes[row] = digest
        _remember(note, stamps, hashes, now)
    return hashes


def _stamp(name: str) -> list[int] | None:
    try:
        return files.stamp(name)
    except OSError:
        return None


def _recall(note: Path, count: int) -> list[list]:
    known = files.read_json(note)
    if isinstance(known, list) and len(known) == count and all(map(_is_row, known)):
        return known
    return [[None, UNREADABLE]] * count


def _is_row(row: object) -> bool:
    """Whether a value is a row of a note; a damaged one says nothing."""
    return isinstance(row, list) and len(row) == 2 and (row[1] == UNREADABLE or is_digest(row[1]))


def _remember(note: Path, stamps: list[list[int] | None], hashes: list[str], now: int) -> None:
    """Write the note; a file that changed just now could change again under the same stamp."""
    rows = [
        [stamp if stamp and digest and now - stamp[2] > SETTLED_NS else None, digest]
        for stamp, digest in zip(stamps, hashes, strict=True)
    ]
    with (
        contextlib.suppress(OSError),
        files.atomic(note) as stream,
    ):  # without it the answer holds too
        stream.write(json.dumps(rows))


def _hash_all(names: list[str]) -> list[str]:
    tasks = [names[start : start + _PER_TASK] for start in range(0, len(names), _PER_TASK)]
    title = "reading photos, to know them by their contents"
    shows = console.progress(title, "photos") if len(names) >= _MANY else contextlib.nullcontext()
    hashes: list[str] = []
    with ThreadPoolExecutor(machine.threads()) as pool, shows as progress:
        for digests in pool.map(_hash_some, tasks):
            hashes += digests
            if progress:
                progress(len(hashes), len(names))
    return hashes


def _hash_some(names: list[str]) -> list[str]:
    return [_hash(name) for name in names]


def _hash(name: str) -> str:
    try:
        with open(name, "rb", buffering=0) as stream:  # noqa: PTH123
            return hashlib.sha256(stream.read()).hexdigest()
    except OSError:
        return UNREADABLE
