"""Lists of photos: `relative/path label` per line."""

import math
import os
import re
from collections.abc import Iterator
from pathlib import Path

from common.errors import UserError
from data.photo_files import Holding, printable

_CLASSES_NAME = "classes.txt"
_LIST_LINE = re.compile(r"(?P<path>\S.*?)[ \t]+(?P<label>-?[0-9]{1,9})", re.ASCII)
_NAMED_IN_ERRORS = 5


def read_list(listing: Path, class_num: int | None) -> Holding:
    """The photos of a list for a model of so many classes (None: as many as the labels say)."""
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
    return Holding(paths, labels, _listed_classes(listing.parent, class_num or max(labels) + 1))


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
