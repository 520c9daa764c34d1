"""Which files in a folder are photos: one rule for class folders, folders without labels and lists.

A file is a photo if its name ends like one, or, where the name does not tell, if its first bytes
are an image's. Whether it can be decoded is another matter: what cannot is named then, not passed
over here. What systems leave beside photos (thumbnails, trash, a Mac's `._` files) is none.
"""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from common.errors import UserError

# What is asked of a set's labels: that it has them, that they are taken where it has them, that
# there are none; EITHER is for what never looks at them, and takes what it finds without a fault.
LABELLED: Literal["labelled"] = "labelled"
AS_FOUND: Literal["as found"] = "as found"
UNLABELLED: Literal["unlabelled"] = "unlabelled"
EITHER: Literal["either"] = "either"
Use = Literal["labelled", "as found", "unlabelled", "either"]

SUFFIXES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".bmp", ".dib", ".webp", ".gif"),
    *(".tif", ".tiff", ".jp2", ".j2k", ".avif", ".mpo", ".ppm", ".pgm", ".pbm", ".pnm"),
    # Photos too, though no decoder here reads them: to be named, not passed over.
    *(".heic", ".heif", ".hif", ".jxl", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".rw2"),
)
_LEFT_BY_SYSTEMS = {
    *("@eadir", "@recycle", "@tmp", "#recycle", "#snapshot", "lost+found"),  # network storages'
    *("$recycle.bin", "system volume information", "thumbs.db", "desktop.ini"),  # Windows'
    *("__macosx", "icon\r", "__pycache__"),
}
_PLACEHOLDER = re.compile(r"\.(.+)\.icloud")  # of a file that a Mac keeps elsewhere
_HEAD = 32  # bytes that tell what a file is
_HEIF = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}
_STARTS = {
    b"\xff\xd8\xff": "JPEG",
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"GIF87a": "GIF",
    b"GIF89a": "GIF",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"II+\0": "TIFF",
    b"\0\0\0\x0cjP  ": "JPEG 2000",
    b"\xff\x4f\xff\x51": "JPEG 2000",
    b"\0\0\0\x0cJXL ": "JPEG XL",
    b"\xff\x0a": "JPEG XL",
    b"8BPS": "PSD",
}


def image_kind(head: bytes) -> str | None:
    """What kind of image a file's first bytes are ("JPEG", "HEIC", …); None where they are none."""
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WebP"
    if head[:2] == b"BM" and head[6:10] == b"\0\0\0\0":
        return "BMP"
    if head[4:8] == b"ftyp":
        brand = head[8:12]
        return "AVIF" if brand in (b"avif", b"avis") else "HEIC" if brand in _HEIF else None
    if head[:1] == b"P" and head[1:2] in b"123456" and head[2:3] in (b"\n", b" ", b"\r", b"\t"):
        return "PNM"
    return next((kind for start, kind in _STARTS.items() if head.startswith(start)), None)


def is_left_by_a_system(name: str) -> bool:
    """Whether a file or folder of this name is hidden, or made by a system for itself."""
    if _PLACEHOLDER.fullmatch(name):
        return False
    return name.startswith(".") or name.lower() in _LEFT_BY_SYSTEMS


@dataclass
class Found:
    """What a folder holds: its photos in the order of their paths, and what could not be looked
    into, with the reason. `by_content` are those of the photos whose names do not tell."""

    photos: list[Path] = field(default_factory=list)
    left_out: dict[Path, str] = field(default_factory=dict)
    by_content: list[Path] = field(default_factory=list)

    def add(self, other: "Found") -> None:
        """Gather another folder's, too."""
        self.photos += other.photos
        self.left_out |= other.left_out
        self.by_content += other.by_content


@dataclass
class Holding:
    """What a source of photos holds: their labels, or None, and names of the classes, where it has
    them; `left_out` as in `Found`; `note` says what was understood of it, a clause."""

    paths: list[Path]
    labels: list[int] | None
    class_names: list[str] | None = None
    left_out: dict[Path, str] = field(default_factory=dict)
    note: str = ""

    @property
    def in_brackets(self) -> str:
        """The note behind a sentence."""
        return f" ({self.note})" if self.note else ""


def printable(path: str | Path) -> str:
    """A path as it can be printed or written to JSON, whatever bytes its name is made of."""
    return os.fsencode(path).decode(errors="replace")


def left_out_line(left_out: Sequence[tuple[Path, str]], most: int) -> str:
    """Some of what is left out, each with the reason, and how many more there are."""
    named = ", ".join(f"{printable(path)} ({reason})" for path, reason in left_out[:most])
    return named + (f", and {len(left_out) - most} more" if len(left_out) > most else "")


def folders_in(root: Path) -> list[str]:
    """The names of the folders right in one, links to folders too, sorted; UserError where it
    cannot be looked into."""
    try:
        return sorted(entry.name for entry in _entries(root) if _is_dir(entry))
    except OSError as error:
        raise UserError(
            f"{printable(root)}: {_reason(error)}; make the folder readable, or name another"
        ) from None


def photos_in(folder: Path, *, deep: bool = True) -> Found:
    """The photos in a folder; `deep`: and in all within it, links to folders too, where no loop is
    gone round."""
    found = Found()
    _look(folder, found, deep, ())
    found.photos.sort()
    return found


def _look(folder: Path, found: Found, deep: bool, above: tuple[tuple[int, int], ...]) -> None:
    """Gather what is in a folder; `above` are the devices and inodes of those that it lies in."""
    try:
        about = os.stat(folder)  # noqa: PTH116 (many files)
        entries = _entries(folder)
    except OSError as error:
        found.left_out[folder] = _reason(error)
        return
    identity = about.st_dev, about.st_ino
    if identity in above:
        return
    for entry in entries:
        if not _is_dir(entry):
            _take(entry, found)
        elif deep:
            _look(Path(entry.path), found, deep, (*above, identity))


def _take(entry: os.DirEntry, found: Found) -> None:
    """Gather a file, if it is a photo."""
    suffix = os.path.splitext(entry.name)[1].lower()  # noqa: PTH122 (many files)
    if elsewhere := _PLACEHOLDER.fullmatch(entry.name):
        found.left_out[Path(entry.path).with_name(elsewhere[1])] = "in iCloud only: download it"
    elif not _is_file(entry):
        # A photo that was lost; a pipe or a socket is none, and must not be opened.
        if suffix in ("", *SUFFIXES) and entry.is_symlink() and not os.path.exists(entry.path):  # noqa: PTH110
            found.left_out[Path(entry.path)] = "a link to nothing"
    elif suffix in SUFFIXES:
        found.photos.append(Path(entry.path))
    else:
        try:
            with open(entry.path, "rb", buffering=0) as stream:  # noqa: PTH123 (many files)
                head = stream.read(_HEAD)
        except OSError as error:
            if not suffix:
                found.left_out[Path(entry.path)] = _reason(error)
            return
        if image_kind(head):
            found.photos.append(Path(entry.path))
            found.by_content.append(Path(entry.path))


def _entries(folder: Path) -> list[os.DirEntry]:
    """What is in a folder, but what systems left there."""
    with os.scandir(folder) as entries:
        return [entry for entry in entries if not is_left_by_a_system(entry.name)]


def _is_dir(entry: os.DirEntry) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself, or into a folder without permission
        return False


def _is_file(entry: os.DirEntry) -> bool:
    try:
        return entry.is_file()
    except OSError:
        return False


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
