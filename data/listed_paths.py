"""Where the paths in a list of photos start from, and how they are spelled."""

import contextlib
import functools
import itertools
import os
import unicodedata
import urllib.parse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from data.photo_files import printable


@dataclass(frozen=True)
class Place:
    """Where paths start from, and how they are spelled; `note` says it."""

    note: str
    find: Callable[[str], str]


def places(listing: Path, written: Sequence[str]) -> Iterator[Place]:
    """The ways to find files whose paths are written so in a list, the plainest first."""
    folder, real = listing.parent, listing.resolve().parent
    homes = {"": str(folder)}
    with_slashes = [path.replace("\\", "/") for path in written]
    if any(not os.path.isabs(path) for path in with_slashes):  # noqa: PTH117 (many files)
        with contextlib.suppress(FileNotFoundError):  # the working folder is gone
            homes["paths from the working folder"] = os.getcwd()  # noqa: PTH109
        for other in (folder.parent, real):
            homes.setdefault(f"paths from {printable(other)}", str(other))
    starts = _shared_starts(with_slashes)
    spellings = [(_as_it_is, ""), (_alike, "names but for capitals or accents")]
    if not all(map(_is_text, written)):
        spellings.pop()  # bytes are what they are on the disk, or another reading is right
    for spelled, suffix in spellings:
        for slashes, how in ((False, ""), (True, "backslashes as slashes")):
            if slashes and with_slashes == list(written):
                continue
            for note, home in homes.items():
                notes = "; ".join(filter(None, (how, note, suffix)))
                yield Place(notes, functools.partial(_join, home, "", slashes, spelled))
            for start in starts:
                notes = "; ".join(
                    filter(None, (how, f"paths without '{printable(start)}'", suffix))
                )
                yield Place(notes, functools.partial(_join, str(folder), start, slashes, spelled))


def _shared_starts(paths: Sequence[str]) -> list[str]:
    """The beginnings, up to a slash, that all paths share: what lay on another machine, or is the
    name of the folder that the list is in."""
    folders = [path.split("/")[:-1] for path in paths]
    shared = list(
        itertools.takewhile(lambda names: len(set(names)) == 1, zip(*folders, strict=False))
    )
    starts = itertools.accumulate(f"{names[0]}/" for names in shared)
    return [start for start in starts if start.strip("/.")]


def _join(home: str, start: str, slashes: bool, spelled: Callable[[str], str], path: str) -> str:
    if path.startswith("file://"):
        path = urllib.parse.unquote(path.removeprefix("file://"))
    path = path.replace("\\", "/") if slashes else path
    return spelled(os.path.join(home, path.removeprefix(start)))  # noqa: PTH118 (many files)


def _is_text(path: str) -> bool:
    return path.isascii() or not any("\udc80" <= letter <= "\udcff" for letter in path)


def _as_it_is(path: str) -> str:
    return path


def _alike(path: str) -> str:
    """A path with the names that its folders have, where those differ in capitals, in how accents
    are put together (Unicode's NFC and NFD), or in being written on the disk in GBK only."""
    if is_file(path):
        return path
    found = "/" if path.startswith("/") else "."
    for name in path.split("/"):
        if name in ("", "."):
            continue
        there = os.path.join(found, name)  # noqa: PTH118
        if not os.path.lexists(there):
            there = os.path.join(found, _names_in(found).get(_key(name)) or name)  # noqa: PTH118
        found = there
    return found


@functools.lru_cache(maxsize=1024)
def _names_in(folder: str) -> dict[str, str | None]:
    """The names in a folder by what is alike in them; None where two are alike."""
    names: dict[str, str | None] = {}
    try:
        for name in os.listdir(folder):  # noqa: PTH208 (many files)
            key = _key(name)
            names[key] = None if key in names else name
    except (OSError, ValueError):  # none; or no folder can have such a name
        pass
    return names


def _key(name: str) -> str:
    raw = os.fsencode(name)
    for encoding in ("utf-8", "gb18030"):
        try:
            name = raw.decode(encoding)
            break
        except UnicodeDecodeError:
            pass
    return unicodedata.normalize("NFC", name).casefold()


def is_file(path: str) -> bool:
    try:
        return os.path.isfile(path)  # noqa: PTH113 (NUL in a name)
    except (OSError, ValueError):
        return False
