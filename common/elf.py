"""What a native library says of itself: its ABI, its page alignment, what it needs.

The layout is the System V ABI's ELF format; Android's libraries are all little-endian.
"""

import dataclasses
import struct
from pathlib import Path

_ABIS = {183: "arm64-v8a", 40: "armeabi-v7a", 62: "x86_64", 3: "x86"}
_LOAD, _DYNAMIC = 1, 2
_NEEDED, _STRINGS = 1, 5


@dataclasses.dataclass(frozen=True)
class Library:
    """`page` is the largest page size, in bytes, that the library can be loaded with."""

    abi: str
    page: int
    needed: tuple[str, ...]


def read_library(content: bytes | Path) -> Library | None:
    """The facts of a shared library, or None where the bytes are not one for Android."""
    data = content if isinstance(content, bytes) else content.read_bytes()
    try:
        return _parse(data)
    except (struct.error, ValueError, IndexError):
        return None


def _parse(data: bytes) -> Library | None:
    if data[:4] != b"\x7fELF" or data[5] != 1:
        return None
    wide = data[4] == 2
    kind, machine = struct.unpack_from("<HH", data, 16)
    if kind != 3 or machine not in _ABIS:
        return None
    table = struct.unpack_from("<Q" if wide else "<I", data, 32 if wide else 28)[0]
    size, count = struct.unpack_from("<HH", data, 54 if wide else 42)
    headers = [_program_header(data, table + size * i, wide) for i in range(count)]
    loads = [header for header in headers if header[0] == _LOAD]
    needed: list[str] = []
    for header in headers:
        if header[0] == _DYNAMIC:
            needed = _needed(data, header, loads, wide)
    return Library(_ABIS[machine], min(header[4] for header in loads), tuple(needed))


def _program_header(data: bytes, at: int, wide: bool) -> tuple[int, int, int, int, int]:
    """(type, offset in the file, address, bytes in the file, alignment)."""
    if wide:
        kind, _, offset, address, _, size, _, align = struct.unpack_from("<IIQQQQQQ", data, at)
    else:
        kind, offset, address, _, size, _, _, align = struct.unpack_from("<8I", data, at)
    return kind, offset, address, size, align


def _needed(data: bytes, dynamic: tuple, loads: list[tuple], wide: bool) -> list[str]:
    """The names of the libraries that this one is linked to."""
    form = "<qQ" if wide else "<iI"
    _, offset, _, size, _ = dynamic
    tags = list(struct.iter_unpack(form, data[offset : offset + size]))
    strings = next(value for tag, value in tags if tag == _STRINGS)
    for _, start, address, length, _ in loads:
        if address <= strings < address + length:
            strings += start - address
            break
    names = [strings + value for tag, value in tags if tag == _NEEDED]
    return [data[at : data.index(b"\0", at)].decode() for at in names]
