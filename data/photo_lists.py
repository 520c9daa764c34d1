"""Lists of photos, however they were written: `relative/path label` per line, and what is alike.

A list is read in the way that finds its photos: as the project's own form says, or with commas or
tabs, quotes, a line of headings, Windows' paths, another encoding, from another folder; with the
first way, in the order of what is plainest, that finds the most. What was understood is said.
"""

import csv
import functools
import math
import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from common.errors import UserError
from data.listed_paths import Place, is_file, places
from data.photo_files import AS_FOUND, LABELLED, SUFFIXES, Holding, Use, printable
from data.texts import Text, class_names, readings

_CLASS_LISTS = ("classes.txt", "labels.txt", "label_list.txt")  # ours, PaddleX', PaddleClas'
_SAMPLE = 40  # lines that a way is tried on
_NAMED_IN_ERRORS = 5
_MOST_FIELDS = 20
_HEADINGS = {
    *("image", "images", "img", "file", "files", "filename", "file_name", "name", "path", "photo"),
    *("image_path", "img_path", "filepath", "file_path", "image_id", "id", "index", ""),
}
_LABEL_HEADINGS = ("label", "labels", "class", "class_id", "class_name", "category", "target", "y")
_ENDING = "|".join(re.escape(suffix) for suffix in SUFFIXES)
_WAYS = (  # of a path and a label between blanks, and what to say of it
    ("", re.compile(r"(?P<path>\S.*?)[ \t]+(?P<label>-?[0-9]{1,9})", re.ASCII)),
    ("", re.compile(r"(?P<path>.+)(?P<label>)")),  # no label
    ("", re.compile(rf"(?P<path>.*?(?i:{_ENDING})[\"']?)[ \t]+(?P<label>.+)")),  # other labels
    ("labels before paths", re.compile(r"(?P<label>-?[0-9]{1,9})[ \t]+(?P<path>.+)", re.ASCII)),
)
_DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}


@dataclass(frozen=True)
class _Row:
    """A line that names a photo: its number, the path as it stands there, and the label, or ""."""

    number: int
    path: str
    label: str
    line: str


@dataclass(frozen=True)
class _Syntax:
    """What stands where in a line; `note` says it.

    `parse` gives a path and a label, "" for none, or None for a line that has not this form.
    `ambiguous`: no heading says which column is the label.
    """

    note: str
    parse: Callable[[str], tuple[str, str] | None]
    ambiguous: bool = False


def read_list(listing: Path, class_num: int | None, use: Use = LABELLED) -> Holding:
    """The photos of a list for a model of so many classes (None: as many as the labels say).

    Labels are numbers, or names: of a list of classes beside it, else in the order of the alphabet,
    as class folders are. Where no line has a label there are none. UserError where some have, where
    labels do not fit, and where photos are absent; labels that `use` does without are put aside.
    """
    reading = _best(listing)
    rows, paths, absent = reading.photos()
    if absent:
        # A few lines may be written in another way than those that the first was tried on.
        reading = _best(listing, [row.number for row in absent])
        rows, paths, absent = reading.photos()
    if absent:
        raise _absent(listing, absent, len(rows))
    if not rows:
        raise UserError(
            f"{printable(listing)}: the list is empty; write 'relative/path label' lines"
        )
    try:
        found = _labels(reading, rows, class_num, use)
    except UserError:
        if use in (LABELLED, AS_FOUND):
            raise
        found = _Labels(None)
    note = "; ".join(filter(None, (reading.note, found.note)))
    return Holding(paths, found.labels, found.names, note=note)


# ---- the way that finds the photos ----


@dataclass(frozen=True)
class _Reading:
    """A way to read a list."""

    listing: Path
    text: Text
    syntax: _Syntax
    place: Place

    @property
    def note(self) -> str:
        """What was understood, a clause; "" for the project's own form."""
        notes = (self.text.encoding, self.syntax.note, self.place.note)
        return "; ".join(filter(None, notes))

    def photos(self) -> tuple[list[_Row], list[Path], list[_Row]]:
        """The lines that name photos, their paths, and those of the lines whose photo is absent."""
        rows = list(self._rows())
        paths = [self.place.find(row.path) for row in rows]
        absent = [row for row, path in zip(rows, paths, strict=True) if not is_file(path)]
        return rows, list(map(Path, paths)), absent

    def _rows(self) -> Iterator[_Row]:
        """The lines, but headings, comments and blank ones; UserError for one that is none."""
        for place, (number, line) in enumerate(_lines(self.text)):
            if not place and _is_heading(line):
                continue
            parsed = self.syntax.parse(line)
            if parsed is None and is_file(self.place.find(_unquoted(line))):
                parsed = _unquoted(line), ""  # without a label: named later, with all of them
            if line.startswith("#") and not (parsed and is_file(self.place.find(parsed[0]))):
                continue
            if parsed is None:
                raise _malformed(self, number, line)
            yield _Row(number, *parsed, line)


def _malformed(reading: _Reading, number: int, line: str) -> UserError:
    return UserError(
        f"{printable(reading.listing)}: line {number}: expected 'relative/path label', found "
        f"{printable(line[:80])!r}{_hint(reading.text)}"
    )


def _best(listing: Path, among: Sequence[int] = ()) -> _Reading:
    """The plainest of the ways that find the most of a sample of a list's photos; half of the
    sample are lines with the numbers `among`, where any are given."""
    best, most = None, -1
    for text in readings(listing):
        lines = dict(_lines(text))
        if lines and _is_heading(next(iter(lines.values()))):
            lines.pop(next(iter(lines)))
        numbers = {*_spread(list(lines)), *_spread([one for one in among if one in lines])}
        sample = [lines[number] for number in sorted(numbers)]
        for syntax in _syntaxes(text):
            written = [parsed[0] for line in sample if (parsed := syntax.parse(line))]
            for place in places(listing, written):
                found = sum(is_file(place.find(path)) for path in written)
                if found > most:
                    best, most = _Reading(listing, text, syntax, place), found
                if found == len(sample):
                    break
            if most == len(sample):
                break
        if most == len(sample):
            break
    assert best, "there is at least one way"
    return best


def _spread(numbers: Sequence[int]) -> list[int]:
    count = min(_SAMPLE, len(numbers))
    return [numbers[at * len(numbers) // count] for at in range(count)]


def _lines(text: Text) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(text.lines, 1):
        if line.strip():
            yield number, line.strip()


def _is_heading(line: str) -> bool:
    """Whether a line names columns: one of paths and one of labels, or all by known names."""
    fields = {field.strip(" \"'").lower() for field in re.split(r"[,;\t| ]", line)}
    paths, labels = fields & _HEADINGS, fields & set(_LABEL_HEADINGS)
    return bool(paths - {""} and labels) or (len(fields) > 1 and fields == paths | labels)


def _syntaxes(text: Text) -> Iterator[_Syntax]:
    for note, pattern in _WAYS:
        yield _Syntax(note, functools.partial(_between_blanks, pattern))
    first = next((line for _, line in _lines(text)), "")
    for delimiter, name in _DELIMITERS.items():
        headings = [field.lower() for field in _fields(first, delimiter)]
        if not 1 < len(headings) <= _MOST_FIELDS:
            continue
        known = _is_heading(first)
        named = [at for at, heading in enumerate(headings) if known and heading in _LABEL_HEADINGS]
        for path in range(len(headings)):
            others = named or [at for at in range(len(headings)) if at != path]
            label = None if known and not named else others[0]
            yield _Syntax(
                f"{name} between path and label",
                functools.partial(_between, delimiter, path, label),
                ambiguous=not known and len(headings) > 2,
            )


def _between_blanks(pattern: re.Pattern, line: str) -> tuple[str, str] | None:
    match = pattern.fullmatch(line)
    return (_unquoted(match["path"]), _unquoted(match["label"])) if match else None


def _between(delimiter: str, path: int, label: int | None, line: str) -> tuple[str, str] | None:
    fields = _fields(line, delimiter)
    if path >= len(fields) or not fields[path]:
        return None
    return fields[path], fields[label] if label is not None and label < len(fields) else ""


def _fields(line: str, delimiter: str) -> list[str]:
    try:
        fields = next(csv.reader([line], delimiter=delimiter, skipinitialspace=True), [])
    except csv.Error:
        return []
    return [_unquoted(field) for field in fields]


def _unquoted(text: str) -> str:
    text = text.strip()
    return text[1:-1] if len(text) > 2 and text[0] == text[-1] and text[0] in "\"'" else text


# ---- what is wrong with a list ----


def _absent(listing: Path, absent: Sequence[_Row], total: int) -> UserError:
    paths = [printable(os.path.join(listing.parent, row.path)) for row in absent]  # noqa: PTH118
    named = ", ".join(paths[:_NAMED_IN_ERRORS])
    more = ", …" if len(absent) > _NAMED_IN_ERRORS else ""
    return UserError(
        f"{printable(listing)}: {len(absent)} of {total} photos are absent: {named}{more}; paths "
        "start from the list's own folder"
    )


def _hint(text: Text) -> str:
    """What a file that is no list of photos may be, a clause."""
    lines = [line for _, line in _lines(text)]
    if lines[0][:1] in "{[<":
        return " (JSON, XML and HTML are not read: write a line per photo)"
    if not any("/" in line or "." in line for line in lines):
        return " (a list of class names? give the list of photos, or their folder)"
    return ""


# ---- labels ----


@dataclass(frozen=True)
class _Labels:
    """The labels of a list's lines, if they have any, the names of the classes, if they are known,
    and what was understood, a clause."""

    labels: list[int] | None
    names: list[str] | None = None
    note: str = ""


def _labels(reading: _Reading, rows: Sequence[_Row], class_num: int | None, use: Use) -> _Labels:
    bare = [row for row in rows if not row.label]
    if len(bare) == len(rows):
        return _Labels(None)
    where = printable(reading.listing)
    if bare:
        named = ", ".join(
            f"line {row.number} ({printable(row.path)})" for row in bare[:_NAMED_IN_ERRORS]
        )
        more = ", …" if len(bare) > _NAMED_IN_ERRORS else ""
        hint = ", or take all photos without labels: LABELS=none" * (use == AS_FOUND)
        raise UserError(
            f"{where}: {len(bare)} of {len(rows)} photos have no label: {named}{more}; write it "
            f"behind the path{hint}"
        )
    if reading.syntax.ambiguous:
        raise UserError(
            f"{where}: which of its columns has the labels cannot be known; write 'relative/path "
            "label' lines, or a first line with the columns' names (path, label)"
        )
    numbers = [_number(row.label) for row in rows]
    if any(number is not None for number in numbers):
        for row, number in zip(rows, numbers, strict=True):
            _check_number(reading, row, number, class_num)
        labels = [number for number in numbers if number is not None]
        return _Labels(labels, _listed_classes(reading.listing, class_num or max(labels) + 1))
    if several := next((row for row in rows if _SEVERAL.fullmatch(row.label)), None):
        raise UserError(
            f"{where}: line {several.number}: several numbers behind the path "
            f"({printable(several.label[:40])!r}); a photo has one class here: write "
            "'relative/path label' lines"
        )
    return _by_names(reading, rows, class_num)


_SEVERAL = re.compile(r"-?[0-9.]+(?:[ \t,;]+-?[0-9.]+)+")
_NUMBER = re.compile(
    r"(-?[0-9]{1,9})(?:\.0+)?(?:[ \t,;:]+(?:#|[^\W\d]).*)?"
)  # "7", "7.0", "7 tench"


def _number(label: str) -> int | None:
    match = _NUMBER.fullmatch(label)
    return int(match[1]) if match else None


def _check_number(reading: _Reading, row: _Row, label: int | None, class_num: int | None) -> None:
    if label is None:
        raise _malformed(reading, row.number, row.line)
    if not 0 <= label < (math.inf if class_num is None else class_num):
        wrong = "is negative; labels count from 0"
        if class_num is not None:
            wrong = (
                f"is out of the range 0..{class_num - 1}; labels count from 0, and the model has "
                f"{class_num} classes"
            )
        raise UserError(f"{printable(reading.listing)}: line {row.number}: label {label} {wrong}")


def _by_names(reading: _Reading, rows: Sequence[_Row], class_num: int | None) -> _Labels:
    """Labels that are the classes' names."""
    found = {row.label for row in rows}
    listed = _listed_classes(reading.listing, class_num)
    names = listed or sorted(found)
    numbers = {name: number for number, name in enumerate(names)}
    where = printable(reading.listing)
    if class_num not in (None, len(names)):
        some = ", ".join(printable(name) for name in names[:_NAMED_IN_ERRORS])
        raise UserError(
            f"{where}: its labels are {len(names)} names ({some}, …), but the model has "
            f"{class_num} classes, so which is which cannot be known; write the classes' numbers, "
            f"or their names into {_CLASS_LISTS[0]} beside the list, one a line"
        )
    for row in rows:
        if row.label not in numbers:
            raise UserError(
                f"{where}: line {row.number}: no class {printable(row.label)!r} is in the list of "
                "classes beside it"
            )
    how = "the list of classes beside it" if listed else "the alphabet"
    return _Labels(
        [numbers[row.label] for row in rows],
        [printable(name) for name in names],
        f"names for labels, in the order of {how}",
    )


def _listed_classes(listing: Path, class_num: int | None) -> list[str] | None:
    """The names in a list of classes beside the list, if there is one for each class."""
    for name in _CLASS_LISTS:
        path = listing.with_name(name)
        if path == listing or not path.is_file():
            continue
        try:
            names = [printable(name) for name in class_names(path) if name]
        except UserError:
            if name == _CLASS_LISTS[0]:
                raise
            continue  # another file of that name
        if class_num in (None, len(names)):
            return names
    return None
