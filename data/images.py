"""A set of photos, with labels or without: a list, class folders, a folder, or a built-in set."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from common.console import say_once
from common.errors import UserError
from data.hashes import content_hashes
from data.photo_files import printable
from data.photo_folders import (
    HOW_TO_LABEL,
    LABELLED,
    LIST_NAME,
    LISTS,
    UNLABELLED,
    WHOLE,
    Holding,
    Use,
    is_divided,
    read_folder,
)
from data.photo_lists import read_list
from data.video import frames_of, is_video

DEMO = "demo"
CIFAR10 = "cifar10"
BUILT_IN = (DEMO, CIFAR10)


@dataclass
class ImageSet:
    """Photos in order, and their labels, or None where they have none; `class_names` where the set
    gives names to the classes. `left_out` is what could not be taken, and why: whoever reads the
    photos refuses that, or counts it where the user said to go on without.
    """

    name: str
    paths: list[Path]
    labels: list[int] | None
    class_names: list[str] | None = None
    left_out: dict[Path, str] = field(default_factory=dict)

    @classmethod
    def open(
        cls,
        source: str | Path,
        class_num: int | None = 1000,
        split: str = "val",
        labels: Use = LABELLED,
    ) -> Self:
        """The photos at `source`, for a model that tells `class_num` classes apart.

        `source` is a folder with `val_list.txt`, a list file itself (see `data.photo_lists`), a
        folder with one folder of photos per class, a folder of photos or a video, which have no
        labels then, or the word `demo` or `cifar10`. Class folders are numbered in the order of
        their names if there are as many as classes; fewer must have the class numbers for names.
        `classes.txt` beside a list names the classes, one a line.
        `class_num` None means as many as the set has: a list's largest label and one, or the
        number of class folders.
        `split` "train" asks for the photos to train on, "val" for those to judge by: a folder's
        `train_list.txt` or `val_list.txt`, or what is in its `train/` or `val/`. A list file is
        taken for what it is asked for. WHOLE asks for all photos of a source that does not say
        what they are for (see `splits_of`).
        `labels` says whether the photos need any; UNLABELLED takes all photos in a folder, however
        deep. A set without labels says so in a line.
        """
        if split not in (*LISTS, WHOLE):
            raise ValueError(f"split is {split!r}, not in {(*LISTS, WHOLE)}")
        name = set_name(source, split)
        found = _content(source, class_num, split, labels)
        if labels == UNLABELLED:
            found.labels = found.class_names = None
        if found.labels is None:
            if labels == LABELLED:
                raise UserError(
                    f"{name}: its {len(found.paths)} photos have no labels, which this needs; "
                    f"{HOW_TO_LABEL}"
                )
            say_once(f"  {name}: {len(found.paths)} photos without labels{found.in_brackets}")
        elif found.note:
            classes = len(set(found.labels))
            say_once(f"  {name}: {len(found.paths)} photos of {classes} classes{found.in_brackets}")
        return cls(name, found.paths, found.labels, found.class_names, found.left_out)

    def spread(self, count: int) -> Self:
        """A set of `count` of these photos, evenly spread (all, where there are fewer)."""
        return self.take(spread_rows(len(self), count))

    def take(self, rows: Iterable[int]) -> Self:
        """A set of the photos in these rows."""
        rows = list(rows)
        paths = [self.paths[row] for row in rows]
        labels = None if self.labels is None else [self.labels[row] for row in rows]
        return type(self)(self.name, paths, labels, self.class_names, self.left_out)

    def __len__(self) -> int:
        return len(self.paths)

    @property
    def truth(self) -> list[int]:
        """The labels of a set that was opened as LABELLED."""
        if self.labels is None:
            raise ValueError(f"the photos of {self.name} have no labels")
        return self.labels

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
        return printable(source.resolve().name)
    if source.is_file():
        return printable(source.name)
    there = "no such folder or list file"
    if source.exists():
        there = "neither a folder nor a file (what is in a pipe has to be written into one)"
    raise UserError(
        f"{printable(source)}: {there}; give a folder with {LIST_NAME} or "
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
    lists = tuple(split for split, name in LISTS.items() if (root / name).is_file())
    if lists:
        return (WHOLE,) if lists == ("train",) else lists
    return tuple(LISTS) if is_divided(root) else (WHOLE,)


def judged_split(source: str | Path) -> str:
    """What to ask `ImageSet.open` for to judge by a source: its "val", or the WHOLE of it."""
    return "val" if "val" in splits_of(source) else WHOLE


def spread_rows(total: int, count: int | None) -> list[int]:
    """`count` places out of `total`, evenly spread; all of them for None, or if count is more."""
    count = total if count is None else min(count, total)
    return [index * total // count for index in range(count)]


def identity(hashes: list[str], labels: list[int] | None) -> str:
    """The SHA-256 over photos' hashes and labels, or over the hashes alone."""
    if labels is None:
        lines = [f"{digest}\n" for digest in hashes]
    else:
        lines = [f"{digest} {label}\n" for digest, label in zip(hashes, labels, strict=True)]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


# ---- what each kind of source holds ----


def _content(source: str | Path, class_num: int | None, split: str, use: Use) -> Holding:
    if use == UNLABELLED:
        class_num = None  # no label can be one too many
    if str(source) == DEMO:
        return _demo(class_num, split)
    if str(source) == CIFAR10:
        return _cifar10(class_num, split)
    if Path(source).is_dir():
        return read_folder(Path(source), class_num, split, use)
    if is_video(Path(source)):
        return _video(Path(source), use)
    return read_list(Path(source), class_num, use)


def _video(path: Path, use: Use) -> Holding:
    if use == LABELLED:
        raise UserError(
            f"{printable(path)}: the frames of a video have no labels, which this needs; write "
            f"them as photos, and {HOW_TO_LABEL}"
        )
    return frames_of(path)


def _demo(class_num: int | None, split: str) -> Holding:
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
            f"folder with {LISTS['train']} and {LIST_NAME}"
        )
    return Holding(*demo_photos())


def _cifar10(class_num: int | None, split: str) -> Holding:
    from data.cifar10 import CLASSES, cifar10_folder

    if class_num not in (None, len(CLASSES)):
        raise UserError(
            f"{CIFAR10} has {len(CLASSES)} classes, the model has {class_num}; give photos of the "
            f"model's own classes, or a model of {len(CLASSES)} classes (CLASSES={len(CLASSES)})"
        )
    return read_list(cifar10_folder() / LISTS[split], len(CLASSES))
