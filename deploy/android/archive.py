"""The APK's zip file: the same entries give the same bytes, and big files start on page borders."""

import dataclasses
import struct
import zipfile
from pathlib import Path

# Libraries are mapped into memory straight from the file: 16 KB is the largest page of a phone.
_PAGE = 16384
_WORD = 4
# What the app maps or copies whole, and what Android wants to map (resources.arsc).
_STORED = (".nb", ".onnx", ".so", ".arsc", ".png", ".jpg")
# The extra field that apksigner and zipalign read the alignment from (both in its two bytes).
_ALIGNMENT_FIELD = 0xD935
_EPOCH = (1980, 1, 1, 0, 0, 0)
_LOCAL_HEADER = 30


@dataclasses.dataclass(frozen=True)
class Entry:
    """One file of the APK: its name inside, and its content or where that lies."""

    name: str
    content: bytes | Path

    def read(self) -> bytes:
        return self.content if isinstance(self.content, bytes) else self.content.read_bytes()


def alignment(name: str) -> int:
    """On a multiple of how many bytes an uncompressed entry's content starts."""
    return _PAGE if name.endswith(".so") else _WORD


def write_archive(path: Path, entries: list[Entry]) -> None:
    """Write the entries sorted by name, with a fixed time; some stored, aligned, uncompressed."""
    with zipfile.ZipFile(path, "w") as archive:
        for entry in sorted(entries, key=lambda entry: entry.name):
            info = zipfile.ZipInfo(entry.name, _EPOCH)
            info.external_attr = 0o644 << 16
            info.create_system = 3
            if entry.name.endswith(_STORED):
                assert archive.fp, "it is open"
                start = archive.fp.tell() + _LOCAL_HEADER + len(entry.name.encode())
                info.extra = _padding(start, alignment(entry.name))
                archive.writestr(info, entry.read(), zipfile.ZIP_STORED)
            else:
                archive.writestr(info, entry.read(), zipfile.ZIP_DEFLATED, 9)


def read_archive(path: Path) -> list[Entry]:
    """The entries of a zip file."""
    with zipfile.ZipFile(path) as archive:
        return [Entry(info.filename, archive.read(info)) for info in archive.infolist()]


def sizes(path: Path) -> dict[str, int]:
    """Bytes that each part of an APK takes, compressed: libraries by ABI, packages, the rest."""
    found: dict[str, int] = {}
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            part = _part(info.filename)
            found[part] = found.get(part, 0) + info.compress_size
    lists = "lists, borders, signature"
    return found | {lists: path.stat().st_size - sum(found.values())}


def _part(name: str) -> str:
    match name.split("/"):
        case ["lib", abi, library]:
            return f"{library} ({abi})"
        case ["assets", "packages", package, *_]:
            return package
        case [code] if code.endswith(".dex"):
            return "code"
        case _:
            return "resources"


def _padding(start: int, multiple: int) -> bytes:
    """An extra field after which the content starts on a multiple; `start` is without it."""
    head = struct.pack("<H", multiple)
    zeros = -(start + 4 + len(head)) % multiple
    return struct.pack("<HH", _ALIGNMENT_FIELD, len(head) + zeros) + head + bytes(zeros)
