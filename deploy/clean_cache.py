"""Free the space that the user's cache takes, and say how much, part by part.

    python deploy/clean_cache.py [--downloads]

What is made again from files that are here goes: decoded photos, frames of videos, hashes. With
--downloads also what comes from package registries. What a run reads or makes just now stays, and
so does everything that may be a user's own: weights, keys, what downloads are known by, and
whatever else is there.
"""

import contextlib
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, f"{sys.path[0]}/..")
    import common.start  # noqa: F401

import filelock

from common.cli import Exit, Parser, run
from common.console import table
from common.files import disk_bytes
from common.paths import cache_root
from data.crop_files import Entry, crops_folder
from data.crop_room import crop_bytes

_MB = 1e6


@dataclass(frozen=True)
class _Part:
    """What a folder of the cache holds, whether it takes a network to have it again, and whether
    it is photos, which a run that makes crops reads."""

    folder: str
    holds: str
    downloaded: bool = False
    photos: bool = False


_PARTS = (
    _Part("video-frames", "frames of videos", photos=True),
    _Part("photo-hashes", "what photos are known by"),
    _Part("hashes", "what other files are known by"),
    _Part("demo-photos", "the demo's photos", downloaded=True, photos=True),
    _Part("demo-more", "the demo's photos without labels", downloaded=True, photos=True),
    _Part("cifar10", "CIFAR-10's photos", downloaded=True, photos=True),
    _Part("packages", "packages that these came in", downloaded=True),
)


def main() -> int:
    parser = Parser(prog="python deploy/clean_cache.py", description=__doc__)
    parser.add_argument(
        "--downloads", action="store_true", help="what comes from package registries, too"
    )
    options = parser.parse_args()
    rows, freed = [], 0
    for name, holds, before, after, why in _cleaned(options.downloads):
        freed += before - after
        rows.append([name, holds, _megabytes(before - after), _megabytes(after), why])
    if rows:
        table(str(cache_root()), ["part", "what it holds", ">MB freed", ">MB kept", ""], rows)
    print(f"freed: {_megabytes(freed)} MB")
    return Exit.OK


def _cleaned(downloads: bool) -> Iterator[tuple[str, str, int, int, str]]:
    """Each part of the cache that takes any space: its name, what it holds, its bytes before and
    after, and why some are kept."""
    reads = 0  # runs that read or make crops, of photos that may be in the cache, too
    if before := _size(crops_folder()):
        reads = sum(not Entry(key).remove() for key in crop_bytes())
        yield crops_folder().name, "decoded photos", before, _size(crops_folder()), _used(reads)
    for part in _PARTS:
        folder = cache_root() / part.folder
        before = _size(folder)
        if not before:
            continue
        if part.downloaded and not downloads:
            why = "downloaded: DOWNLOADS=1 frees it"
        else:
            why = _used(bool(reads and part.photos) or not _removed(folder))
        yield part.folder, part.holds, before, _size(folder), why
    known = {crops_folder().name, *(part.folder for part in _PARTS)}
    others = cache_root().iterdir() if cache_root().is_dir() else ()
    rest = sum(_size(path) for path in others if path.name not in known)
    if rest:
        yield "the rest", "weights, keys, tools, records", rest, rest, "may be your own"


def _used(by: int) -> str:
    return "the rest is in use by another run" if by else ""


def _removed(folder: Path) -> bool:
    """Delete what is in a folder, unless somebody has a lock there; whether that was done."""
    with contextlib.ExitStack() as held:
        for lock in (folder.with_suffix(".lock"), *folder.rglob("*.lock")):
            if lock.exists():
                try:
                    held.enter_context(filelock.FileLock(lock).acquire(blocking=False))
                except TimeoutError:
                    return False
        for path in folder.iterdir():
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            elif path.suffix != ".lock":
                path.unlink(missing_ok=True)
    return True


def _size(path: Path) -> int:
    """The bytes on disk of a file, or of a folder's; links count themselves."""
    try:
        if path.is_dir() and not path.is_symlink():
            return sum(map(_size, path.iterdir()))
        return disk_bytes(path)
    except FileNotFoundError:  # another process removed it
        return 0


def _megabytes(size: int) -> str:
    return f"{size / _MB:,.1f}"


if __name__ == "__main__":
    run(main)
