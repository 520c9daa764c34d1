"""Text files as users have them: in UTF-8, in what Windows writes, or in no text at all."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from common.errors import UserError
from data.photo_files import image_kind, printable

_MARKS = {  # the longer ones first: one is the beginning of another
    b"\xff\xfe\0\0": "utf-32",
    b"\0\0\xfe\xff": "utf-32",
    b"\xff\xfe": "utf-16",
    b"\xfe\xff": "utf-16",
    b"\xef\xbb\xbf": "utf-8-sig",
}
_OTHERS = {  # what text that is no UTF-8 may be in, and what to call that
    "gb18030": "GBK",
    "big5": "Big5",
    "cp932": "Shift-JIS",
    "cp949": "EUC-KR",
    "cp1252": "Windows-1252",
    "cp1251": "Windows-1251",
}
_NO_TEXTS = {
    b"PK\x03\x04": "an archive or a spreadsheet",
    b"\x1f\x8b": "an archive",
    b"7z\xbc\xaf": "an archive",
    b"Rar!": "an archive",
    b"BZh": "an archive",
    b"\xfd7zXZ": "an archive",
    b"\x28\xb5\x2f\xfd": "an archive",
    b"%PDF": "a PDF",
    b"\x89HDF": "an HDF5 file",
    b"\x93NUMPY": "an array of numpy",
    b"\x80\x02": "a pickle",
    b"\x80\x04": "a pickle",
    b"\x7fELF": "a program",
    b"SQLite format": "a database",
}
_CONTROLS = re.compile(rb"[\x00-\x08\x0b\x0e-\x19\x1b-\x1f]")
_ENDS = re.compile(r"\r\n|\n|\r")
_END_OF_FILE = b"\x1a"  # as DOS wrote it


@dataclass(frozen=True)
class Text:
    """A file's lines, without their ends; `encoding` is what to call it, "" for plain UTF-8."""

    lines: list[str]
    encoding: str = ""

    @classmethod
    def of(cls, text: str, encoding: str = "") -> "Text":
        return cls(_ENDS.split(text), encoding)


def readings(path: Path) -> Iterator[Text]:
    """A text file in each of the encodings that it may be in, the likeliest first; UserError where
    it is no text.

    File names are bytes: the first reading of what is no UTF-8 keeps them as they are on the disk
    (PEP 383); the next are of other encodings. Which one is right shows in what they say.
    """
    data = path.read_bytes().removesuffix(_END_OF_FILE)
    mark = next((mark for mark in _MARKS if data.startswith(mark)), None)
    encoding = _MARKS[mark] if mark else _unmarked(data)
    if encoding not in ("utf-8", "utf-8-sig"):
        try:
            yield Text.of(data.decode(encoding).lstrip("\ufeff"), encoding[:6].upper())
        except UnicodeDecodeError:
            raise _no_text(path, data) from None
        return
    if _CONTROLS.search(data) or any(data.startswith(start) for start in _NO_TEXTS):
        raise _no_text(path, data)
    yield Text.of(data.decode("utf-8-sig", errors="surrogateescape"))
    try:
        data.decode()
    except UnicodeDecodeError:
        for other, name in _OTHERS.items():
            try:
                text = data.decode(other)
            except UnicodeDecodeError:
                continue
            yield Text.of(text, name)


def _unmarked(data: bytes) -> str:
    """The encoding of text without a mark: UTF-16 has many zeros, all on one side."""
    even, odd = data[::2].count(0), data[1::2].count(0)
    if len(data) % 2 or max(even, odd) <= len(data) / 20 or min(even, odd):
        return "utf-8"
    return "utf-16-le" if odd else "utf-16-be"


def _no_text(path: Path, data: bytes) -> UserError:
    kind = image_kind(data)
    what = next((name for start, name in _NO_TEXTS.items() if data.startswith(start)), None)
    if kind:
        what = f"a photo ({kind})"
    instead = "give the folder that it lies in" if kind else "unpack it" if what else ""
    return UserError(
        f"{printable(path)}: {what or 'no text'}, where a list of photos or names is a text file "
        f"with a line for each; {instead or 'give such a list, or a folder of photos'}"
    )


# ---- names of classes ----


def class_names(path: Path) -> list[str]:
    """The names in a list of classes, one a line, blank lines at its end left out; UserError where
    it is no text that can be read with certainty.

    "0 tench", with the classes' numbers from 0 on, is the name "tench" (PaddleClas' form).
    """
    for text in readings(path):
        lines = [line.strip() for line in text.lines]
        while lines and not lines[-1]:
            lines.pop()
        if _is_certain(text):
            return _unnumbered(lines)
    raise UserError(
        f"{printable(path)}: its encoding cannot be known for certain; save the list of class "
        "names as UTF-8"
    )


def _is_certain(text: Text) -> bool:
    """Whether text can hardly be in another encoding: UTF-8 and UTF-16 are strict, and in Chinese
    most characters are of GB 2312's first level, whose bytes two Western letters seldom are."""
    joined = "\n".join(text.lines)
    if text.encoding != _OTHERS["gb18030"]:
        return text.encoding not in _OTHERS.values() and _encodes(joined, "utf-8")
    if not _encodes(joined, "gb2312"):
        return False
    leads = [byte for byte in joined.encode("gb2312") if byte > 0x7F][::2]
    return 2 * sum(0xB0 <= lead <= 0xD7 for lead in leads) > len(leads)


def _encodes(text: str, encoding: str) -> bool:
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True


def _unnumbered(lines: list[str]) -> list[str]:
    parts = [re.fullmatch(r"([0-9]+)[\s,:;]+(\S.*)", line) for line in lines]
    numbers = [int(part[1]) for part in parts if part]
    if lines and numbers == list(range(len(lines))):
        return [part[2] for part in parts if part]
    return lines
