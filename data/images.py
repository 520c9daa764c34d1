"""A set of labelled photos: a PaddleClas list, one folder per class, or the built-in demo set."""

import hashlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from common.errors import UserError
from data.hashes import content_hashes

LIST_NAME = "val_list.txt"
DEMO = "demo"
SUFFIXES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".webp", ".gif"),
    *(".tif", ".tiff", ".jp2", ".avif", ".ppm", ".pgm", ".pbm"),
)
_LIST_LINE = re.compile(r"(?P<path>\S.*?)[ \t]+(?P<label>-?[0-9]{1,9})", re.ASCII)
_NAMED_IN_ERRORS = 5


@dataclass
class ImageSet:
    """Photos and their labels, in order; `class_names` where folders gave names to the classes."""

    name: str
    paths: list[Path]
    labels: list[int]
    class_names: list[str] | None = None

    @classmethod
    def open(cls, source: str | Path, class_num: int = 1000) -> Self:
        """The photos at `source`, for a model that tells `class_num` classes apart.

        `source` is a folder with `val_list.txt`, a list file itself (`relative/path label` per
        line), a folder with one folder of photos per class, or the word `demo`. Class folders are
        numbered in the order of their names if there are as many as classes; fewer must have
        the class numbers for names.
        """
        if str(source) == DEMO:
            from data.demo import demo_photos

            return cls(DEMO, *demo_photos())
        source = Path(source)
        if source.is_dir():
            if (source / LIST_NAME).is_file():
                return cls(source.resolve().name, *_read_list(source / LIST_NAME, class_num))
            return cls(source.resolve().name, *_read_folders(source, class_num))
        if source.is_file():
            return cls(source.name, *_read_list(source, class_num))
        raise UserError(
            f"{printable(source)}: no such folder or list file; give a folder with {LIST_NAME} or "
            f"one folder per class, a list file, or the word {DEMO}"
        )

    def spread(self, count: int) -> Self:
        """A set of `count` of these photos, evenly spread (all, where there are fewer)."""
        rows = spread_rows(len(self), count)
        paths = [self.paths[row] for row in rows]
        return type(self)(self.name, paths, [self.labels[row] for row in rows], self.class_names)

    def __len__(self) -> int:
        return len(self.paths)

    @property
    def hashes(self) -> list[str]:
        """The SHA-256 of each photo file, in order (see `data.hashes`)."""
        return content_hashes(self.paths)

    @property
    def sha256(self) -> str:
        """The identity of the set: the photos' contents and labels, in order, wherever they lie."""
        return identity(self.hashes, self.labels)


def spread_rows(total: int, count: int | None) -> list[int]:
    """`count` places out of `total`, evenly spread; all of them for None, or if count is more."""
    count = total if count is None else min(count, total)
    return [index * total // count for index in range(count)]


def identity(hashes: list[str], labels: list[int]) -> str:
    """The SHA-256 over photos' hashes and labels."""
    lines = (f"{digest} {label}\n" for digest, label in zip(hashes, labels, strict=True))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def printable(path: str | Path) -> str:
    """A path as it can be printed or written to JSON, whatever bytes its name is made of."""
    return os.fsencode(path).decode(errors="replace")


def _read_list(listing: Path, class_num: int) -> tuple[list[Path], list[int]]:
    paths, labels = [], []
    for number, path, label in _list_lines(listing):
        if not 0 <= label < class_num:
            raise UserError(
                f"{printable(listing)}: line {number}: label {label} is out of the range "
                f"0..{class_num - 1}; labels count from 0, and the model has {class_num} classes"
            )
        paths.append(listing.parent / path)
        labels.append(label)
    if not paths:
        raise UserError(
            f"{printable(listing)}: the list is empty; write 'relative/path label' lines"
        )
    _check_present(listing, paths)
    return paths, labels


def _list_lines(listing: Path) -> Iterator[tuple[int, str, int]]:
    """Line number, path and label of each line that is not blank."""
    # File names are bytes: those that are not UTF-8 must come out as they are on the disk.
    with listing.open(encoding="utf-8-sig", errors="surrogateescape") as stream:
        for number, line in enumerate(stream, 1):
            if not line.strip():
                continue
            match = _LIST_LINE.fullmatch(line.strip())
            if match is None:
                raise UserError(
                    f"{printable(listing)}: line {number}: expected 'relative/path label', "
                    f"found {line.strip()[:80]!r}"
                )
            yield number, match["path"], int(match["label"])


def _check_present(listing: Path, paths: list[Path]) -> None:
    absent = [path for path in paths if not os.path.isfile(path)]  # noqa: PTH113 (NUL in a name)
    if absent:
        named = ", ".join(printable(path) for path in absent[:_NAMED_IN_ERRORS])
        more = ", …" if len(absent) > _NAMED_IN_ERRORS else ""
        raise UserError(
            f"{printable(listing)}: {len(absent)} of {len(paths)} photos are absent: "
            f"{named}{more}; paths start from the list's own folder"
        )


def _read_folders(root: Path, class_num: int) -> tuple[list[Path], list[int], list[str] | None]:
    names = sorted(
        entry.name for entry in root.iterdir() if entry.is_dir() and not entry.name.startswith(".")
    )
    if not names:
        raise UserError(
            f"{printable(root)}: neither a {LIST_NAME} nor one folder per class in it; photos need "
            f"labels, so write the list ('relative/path label' per line) or sort them into folders"
        )
    if _are_numbers(names):
        names.sort(key=int)
    paths, labels = [], []
    for label, name in zip(_class_numbers(root, names, class_num), names, strict=True):
        found = _photos_under(root / name)
        paths += found
        labels += [label] * len(found)
    if not paths:
        raise UserError(
            f"{printable(root)}: no photos in its {len(names)} class folders; "
            f"looked for {' '.join(SUFFIXES)}"
        )
    complete = len(names) == class_num
    return paths, labels, [printable(name) for name in names] if complete else None


def _class_numbers(root: Path, names: list[str], class_num: int) -> list[int]:
    """The label of each class folder; UserError where that would be a guess."""
    if len(names) == class_num:
        return list(range(class_num))
    if _are_numbers(names) and int(names[-1]) < class_num:
        return [int(name) for name in names]
    raise UserError(
        f"{printable(root)}: {len(names)} class folders, but the model has {class_num} classes, so "
        f"which is which cannot be known; name the folders by class number (0 to {class_num - 1}), "
        f"or write a {LIST_NAME}"
    )


def _are_numbers(names: list[str]) -> bool:
    return all(re.fullmatch("[0-9]+", name) for name in names)


def _photos_under(folder: Path) -> list[Path]:
    return sorted(
        Path(where, name)
        for where, _, names in os.walk(folder)
        for name in names
        if os.path.splitext(name)[1].lower() in SUFFIXES  # noqa: PTH122 (many files)
    )
