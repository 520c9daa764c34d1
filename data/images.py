"""A set of labelled photos: a PaddleClas list, one folder per class, or a built-in set."""

import hashlib
import math
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from common.errors import UserError
from data.hashes import content_hashes

LIST_NAME = "val_list.txt"
DEMO = "demo"
CIFAR10 = "cifar10"
BUILT_IN = (DEMO, CIFAR10)
_LISTS = {"train": "train_list.txt", "val": LIST_NAME}  # what a set is split into
WHOLE = "all"  # a set that is not split
_CLASSES_NAME = "classes.txt"
SUFFIXES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".webp", ".gif"),
    *(".tif", ".tiff", ".jp2", ".avif", ".ppm", ".pgm", ".pbm"),
)
_LIST_LINE = re.compile(r"(?P<path>\S.*?)[ \t]+(?P<label>-?[0-9]{1,9})", re.ASCII)
_NAMED_IN_ERRORS = 5


@dataclass
class ImageSet:
    """Photos and their labels, in order; `class_names` where the set gives names to the classes."""

    name: str
    paths: list[Path]
    labels: list[int]
    class_names: list[str] | None = None

    @classmethod
    def open(cls, source: str | Path, class_num: int | None = 1000, split: str = "val") -> Self:
        """The photos at `source`, for a model that tells `class_num` classes apart.

        `source` is a folder with `val_list.txt`, a list file itself (`relative/path label` per
        line), a folder with one folder of photos per class, or the word `demo` or `cifar10`. Class
        folders are numbered in the order of their names if there are as many as classes; fewer
        must have the class numbers for names. `classes.txt` beside a list names the classes, one
        a line.
        `class_num` None means as many as the set has: a list's largest label and one, or the
        number of class folders.
        `split` "train" asks for the photos to train on, "val" for those to judge by: a folder's
        `train_list.txt` or `val_list.txt`, or the class folders in its `train/` or `val/`. A list
        file is taken for what it is asked for. WHOLE asks for all photos of a source that does not
        say what they are for (see `splits_of`).
        """
        if split not in (*_LISTS, WHOLE):
            raise ValueError(f"split is {split!r}, not in {(*_LISTS, WHOLE)}")
        if str(source) == DEMO:
            return cls(DEMO, *_demo(class_num, split))
        name = set_name(source, split)
        if str(source) == CIFAR10:
            return cls(name, *_cifar10(class_num, split))
        source = Path(source)
        if source.is_dir():
            return cls(name, *_read_folder(source, class_num, split))
        return cls(name, *_read_list(source, class_num))

    def spread(self, count: int) -> Self:
        """A set of `count` of these photos, evenly spread (all, where there are fewer)."""
        return self.take(spread_rows(len(self), count))

    def take(self, rows: Iterable[int]) -> Self:
        """A set of the photos in these rows."""
        rows = list(rows)
        paths, labels = [self.paths[row] for row in rows], [self.labels[row] for row in rows]
        return type(self)(self.name, paths, labels, self.class_names)

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


def set_name(source: str | Path, split: str) -> str:
    """What the set is called that `ImageSet.open` makes of a source; UserError if it is none."""
    if str(source) in BUILT_IN:
        return f"{source}-{split}" if (str(source), split) == (CIFAR10, "train") else str(source)
    source = Path(source)
    if source.is_dir():
        return source.resolve().name
    if source.is_file():
        return source.name
    raise UserError(
        f"{printable(source)}: no such folder or list file; give a folder with {LIST_NAME} or "
        f"one folder per class, a list file, or the word {DEMO} or {CIFAR10}"
    )


def splits_of(source: str | Path) -> tuple[str, ...]:
    """What the photos of a source are for, so far as it says: "train", "val" or both; or WHOLE.

    A list file is whole, and so is a folder that has class folders and no `train/` beside `val/`,
    or nothing but a `train_list.txt`: what is there to train on is then to be divided.
    """
    built_in = {DEMO: ("val",), CIFAR10: ("train", "val")}
    if str(source) in built_in:
        return built_in[str(source)]
    root = Path(source)
    lists = tuple(split for split, name in _LISTS.items() if (root / name).is_file())
    if lists:
        return (WHOLE,) if lists == ("train",) else lists
    return tuple(_LISTS) if _is_divided(root) else (WHOLE,)


def judged_split(source: str | Path) -> str:
    """What to ask `ImageSet.open` for to judge by a source: its "val", or the WHOLE of it."""
    return "val" if "val" in splits_of(source) else WHOLE


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


# What each kind of source holds: paths, labels, and names of the classes.
_Content = tuple[list[Path], list[int], list[str] | None]


def _demo(class_num: int | None, split: str) -> _Content:
    from data.demo import demo_photos
    from data.imagenet import CLASSES

    if class_num not in (None, CLASSES):
        raise UserError(
            f"{DEMO} has photos of ImageNet's {CLASSES} classes, the model has {class_num}; name "
            "a folder with photos of the model's own classes"
        )
    if split == "train":
        raise UserError(
            f"{DEMO} has photos to judge by and none to train on; train on {CIFAR10}, or on a "
            f"folder with {_LISTS['train']} and {LIST_NAME}"
        )
    return *demo_photos(), None


def _cifar10(class_num: int | None, split: str) -> _Content:
    from data.cifar10 import CLASSES, cifar10_folder

    if class_num not in (None, len(CLASSES)):
        raise UserError(
            f"{CIFAR10} has {len(CLASSES)} classes, the model has {class_num}; give photos of the "
            f"model's own classes, or a model of {len(CLASSES)} classes (CLASSES={len(CLASSES)})"
        )
    return _read_list(cifar10_folder() / _LISTS[split], len(CLASSES))


def _read_folder(root: Path, class_num: int | None, split: str) -> _Content:
    """What a folder holds for a split: by its list, by class folders in `<split>/`, or in itself.

    Where a folder has one of the two lists only, nothing is guessed from its subfolders: their
    order need not be that of the list's labels.
    """
    lists = [name for name in _LISTS.values() if (root / name).is_file()]
    divided = _is_divided(root)
    if split == WHOLE:
        split = "train" if lists else "val"
    if _LISTS[split] in lists:
        return _read_list(root / _LISTS[split], class_num)
    if divided and not lists:
        # Both parts' folders, so that a class which one of them lacks shifts no numbers.
        names = _class_folders(*(root / name for name in _LISTS))
        return _read_class_folders(root / split, names, class_num)
    if divided or split == "train":
        raise UserError(
            f"{printable(root)}: no {_LISTS[split]} in it; write {_LISTS['train']} and {LIST_NAME} "
            "('relative/path label' per line), or sort its class folders into train/ and val/"
        )
    return _read_class_folders(root, _class_folders(root), class_num)


def _is_divided(root: Path) -> bool:
    """Whether a folder has class folders to train on and others to judge by."""
    return all((root / name).is_dir() for name in _LISTS)


def _read_list(listing: Path, class_num: int | None) -> _Content:
    paths, labels = [], []
    limit = math.inf if class_num is None else class_num
    for number, path, label in _list_lines(listing):
        if not 0 <= label < limit:
            wrong = "is negative; labels count from 0"
            if class_num is not None:
                wrong = (
                    f"is out of the range 0..{class_num - 1}; labels count from 0, and the model "
                    f"has {class_num} classes"
                )
            raise UserError(f"{printable(listing)}: line {number}: label {label} {wrong}")
        paths.append(listing.parent / path)
        labels.append(label)
    if not paths:
        raise UserError(
            f"{printable(listing)}: the list is empty; write 'relative/path label' lines"
        )
    _check_present(listing, paths)
    return paths, labels, _listed_classes(listing.parent, class_num or max(labels) + 1)


def _listed_classes(folder: Path, class_num: int) -> list[str] | None:
    """The names in `classes.txt`, if there is one for each class."""
    listing = folder / _CLASSES_NAME
    if not listing.is_file():
        return None
    with listing.open(encoding="utf-8-sig", errors="surrogateescape") as stream:
        names = [printable(line.strip()) for line in stream if line.strip()]
    return names if len(names) == class_num else None


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


def _class_folders(*roots: Path) -> list[str]:
    """The names of the class folders in any of some folders, in the order of their numbers."""
    names = sorted(
        {
            entry.name
            for root in roots
            for entry in root.iterdir()
            if entry.is_dir() and not entry.name.startswith(".")
        }
    )
    return sorted(names, key=int) if _are_numbers(names) else names


def _read_class_folders(root: Path, names: list[str], class_num: int | None) -> _Content:
    if not names:
        raise UserError(
            f"{printable(root)}: neither a {LIST_NAME} nor one folder per class in it; photos need "
            f"labels, so write the list ('relative/path label' per line) or sort them into folders"
        )
    class_num = len(names) if class_num is None else class_num
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
