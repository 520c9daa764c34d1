"""Damage to pickles, zips and images by their own structure: what an attacker would write."""

import io
import pickletools
import random
import struct
import warnings
import zipfile
import zlib

from benchmarks.faults.mutators import BYTES, Mutator, json_values, mutated

CANARY = "canary"  # the file that appears beside a specimen where code of its is executed

# What a pickle asks for when it is an attack; each would make the canary.
_ATTACKS = (
    ("posix", "system", f"touch {CANARY}"),
    ("os", "system", f"touch {CANARY}"),
    ("builtins", "exec", f"open('{CANARY}', 'w')"),
    ("builtins", "eval", f"open('{CANARY}', 'w')"),
    ("builtins", "open", CANARY),
    ("subprocess", "getoutput", f"touch {CANARY}"),
    ("numpy.core.multiarray", "fromfile", "/etc/passwd"),
    ("numpy", "load", "/etc/passwd"),
    ("codecs", "encode", "x"),
    ("builtins", "getattr", "x"),
    ("paddle", "load", "/etc/passwd"),
    ("importlib", "import_module", "antigravity"),
    ("collections", "OrderedDict.__init__.__globals__", "x"),
)
_LENGTHS = (0, 1, 255, 2**16, 2**24, 2**31 - 1, 2**31, 2**32 - 1, 2**40, 2**62)


# ---- pickles ----


def pickle_instructions(rng: random.Random, data: bytes) -> bytes:
    """Instructions of a pickle taken out, put twice, exchanged, or with other arguments."""
    parts = _instructions(data)
    if len(parts) < 3:
        return mutated(rng, data, BYTES)
    for _ in range(rng.choice((1, 1, 2, 4))):
        at = rng.randrange(len(parts))
        what = rng.randrange(7)
        if what == 0:
            parts.pop(at)
        elif what == 1:
            parts.insert(at, parts[at])
        elif what == 2:
            other = rng.randrange(len(parts))
            parts[at], parts[other] = parts[other], parts[at]
        elif what == 3:
            parts.insert(at, rng.choice(_OPCODES) + rng.randbytes(rng.randrange(9)))
        elif what == 4:
            parts.insert(at, _long(rng))
        elif what == 5:
            parts.insert(at, rng.choice((b"(", b"]", b"}", b"0", b"2", b")", b"\x8f")) * 3000)
        else:
            parts[at] = parts[at][:1] + rng.randbytes(max(0, len(parts[at]) - 1))
    return b"".join(parts)


def pickle_attack(rng: random.Random, data: bytes) -> bytes:
    """A call of something dangerous, before an instruction, in one of the ways that there are."""
    module, name, argument = rng.choice(_ATTACKS)
    said = f"c{module}\n{name}\n".encode()
    if rng.random() < 0.5:  # by protocol 4's way
        said = b"".join(b"\x8c" + bytes([len(one)]) + one.encode() for one in (module, name))
        said += b"\x93"
    text = b"X" + struct.pack("<I", len(argument)) + argument.encode()
    call = rng.choice((said + text + b"\x85R", b"(" + said + text + b"o", said + b")\x81"))
    if rng.random() < 0.2:
        call = f"(i{module}\n{name}\n".encode()
    parts = _instructions(data) or [data]
    at = rng.randrange(len(parts))
    tail = rng.choice((b"", b"0"))
    return b"".join([*parts[:at], call, tail, *parts[at:]])


_OPCODES = [opcode.code.encode("latin1") for opcode in pickletools.opcodes]
PICKLE: tuple[Mutator, ...] = (*(pickle_instructions,) * 8, *(pickle_attack,) * 4, *BYTES)


def _instructions(data: bytes) -> list[bytes]:
    """A pickle's instructions, as far as it is one."""
    places = []
    try:
        for _, _, place in pickletools.genops(data):
            places.append(place)
    except Exception:  # noqa: BLE001 - of a pickle that was mutated before
        places = places or [0]
    ends = [*places[1:], len(data)]
    return [data[start:end] for start, end in zip(places, ends, strict=True)]


def _long(rng: random.Random) -> bytes:
    """An instruction whose length is a lie: bytes, texts, numbers, the memo's, a frame's."""
    length = rng.choice(_LENGTHS)
    short, wide = struct.pack("<I", length % 2**32), struct.pack("<Q", length)
    return rng.choice(
        (
            *(code + short for code in (b"T", b"B", b"X", b"\x8b", b"j", b"r")),
            *(code + wide for code in (b"\x8d", b"\x8e", b"\x95", b"\x96")),
            b"p" + str(length).encode() + b"\n",
            b"I" + b"9" * min(length, 100000) + b"\n",
        )
    )


# ---- zips ----


def zip_entries(rng: random.Random, data: bytes) -> bytes:
    """An archive whose entries lie: names, kinds, sizes, duplicates, bombs, encryption."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = [(one.filename, archive.read(one)) for one in archive.infolist()]
    except Exception:  # noqa: BLE001 - of one that was mutated before
        return mutated(rng, data, BYTES)
    if not entries:
        return mutated(rng, data, BYTES)
    at = rng.randrange(len(entries))
    name, content = entries[at]
    what = rng.randrange(12)
    mode, method = 0o100644, zipfile.ZIP_STORED
    if what == 0:
        name = rng.choice(_BAD_NAMES).replace("NAME", name)
    elif what == 1:
        entries.append((name, rng.choice((content, b"", b"another"))))
    elif what == 2:
        mode = rng.choice((0o120777, 0o040755, 0o010644, 0o060644, 0o020644, 0o140644, 0o104755))
        content = rng.choice((b"/etc/passwd", b"../../canary", content))
    elif what == 3:
        content, method = bytes(rng.choice((1 << 20, 1 << 26))), zipfile.ZIP_DEFLATED
    elif what == 4:
        entries.pop(rng.randrange(len(entries)))
    elif what == 5:
        entries.append((rng.choice(_BAD_NAMES).replace("NAME", name), content))
    elif what == 6:
        content = json_values(rng, content)
    elif what == 7:
        method = rng.choice((zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA))
    elif what == 8:
        content = mutated(rng, content, BYTES)
    elif what == 9:
        entries += [(f"many/{number}", b"") for number in range(rng.choice((10, 3000)))]
    entries[at % len(entries)] = name, content
    found = _zip(entries, at % len(entries), mode, method)
    return _lying(rng, found) if what >= 10 or rng.random() < 0.1 else found


_BAD_NAMES = (
    *("../NAME", "../../../../tmp/NAME", "/NAME", "/etc/NAME", "a/../../NAME", "./NAME", "a//NAME"),
    *("..\\NAME", "C:\\NAME", "C:NAME", "NAME/", "NAME\0.txt", "~/NAME", ".", "..", "", "NAME/x"),
    *(
        "NAME\x1b[31m",
        "a/" * 500 + "NAME",
        "n" * 300,
        "\u202eNAME",
        "manifest.json/NAME",
        "//h/NAME",
    ),
)
ZIP: tuple[Mutator, ...] = (*(zip_entries,) * 14, *BYTES)


def _zip(entries: list[tuple[str, bytes]], at: int, mode: int, method: int) -> bytes:
    """An archive; the entry in one place has this mode and method."""
    stream = io.BytesIO()
    # Names that are twice there are meant.
    with warnings.catch_warnings(action="ignore"), zipfile.ZipFile(stream, "w") as archive:
        for place, (name, content) in enumerate(entries):
            entry = zipfile.ZipInfo("x", (1980, 1, 1, 0, 0, 0))
            entry.filename = name or "x"
            entry.create_system = 3
            entry.external_attr = (mode if place == at else 0o100644) << 16
            if place == at:
                entry.compress_type = method
            archive.writestr(entry, content)
    return stream.getvalue()


def _lying(rng: random.Random, data: bytes) -> bytes:
    """A field of a header of an archive's changed: the local one, the directory's, or the end's.

    The offsets are those of APPNOTE.TXT (PKWARE), 4.3.7, 4.3.12 and 4.3.16.
    """
    signature, fields = rng.choice(
        (
            (b"PK\x03\x04", ((6, 2), (8, 2), (14, 4), (18, 4), (22, 4), (26, 2), (28, 2))),
            (b"PK\x01\x02", ((8, 2), (10, 2), (16, 4), (20, 4), (24, 4), (28, 2), (42, 4))),
            (b"PK\x05\x06", ((8, 2), (10, 2), (12, 4), (16, 4), (20, 2))),
        )
    )
    at = data.find(signature, rng.randrange(max(1, len(data) // 2)))
    at = data.find(signature) if at < 0 else at
    if at < 0:
        return data
    offset, width = rng.choice(fields)
    value = rng.choice((0, 1, 8, 9, 12, 0x800, 2**16 - 1, 2**31, 2**32 - 1, rng.getrandbits(32)))
    lie = (value % 2 ** (8 * width)).to_bytes(width, "little")
    return data[: at + offset] + lie + data[at + offset + width :]


# ---- images ----


def png_chunks(rng: random.Random, data: bytes) -> bytes:
    """Chunks of a PNG changed, their checksums right, so that decoders read on."""
    chunks = []
    at = 8
    while at + 12 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        chunks.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + length]))
        at += 12 + length
    if not chunks:
        return mutated(rng, data, BYTES)
    place = rng.randrange(len(chunks))
    kind, content = chunks[place]
    what = rng.randrange(6)
    if what == 0:
        sizes = [rng.choice((0, 1, 2, 9000, 65535, 2**20, 2**31 - 1, 2**32 - 1)) for _ in "wh"]
        about = bytes([rng.choice((1, 2, 4, 8, 16, 99)), rng.choice((0, 2, 3, 4, 6, 9)), 0, 0])
        chunks[0] = b"IHDR", struct.pack(">II", *sizes) + about + bytes([rng.randrange(3)])
    elif what == 1:
        chunks.insert(place, chunks[rng.randrange(len(chunks))])
    elif what == 2:
        chunks.pop(place)
    elif what == 3:
        bomb = zlib.compress(bytes(rng.choice((1 << 16, 1 << 26))), 9)
        kinds = (b"iCCP", b"zTXt", b"iTXt", b"IDAT")
        chunks.insert(1, (rng.choice(kinds), rng.choice((b"a\0\0", b"")) + bomb))
    else:
        chunks[place] = kind, mutated(rng, content, BYTES)
    found = data[:8]
    for kind, content in chunks:
        check = zlib.crc32(kind + content)
        found += struct.pack(">I", len(content)) + kind + content + struct.pack(">I", check)
    return found


def jpeg_segments(rng: random.Random, data: bytes) -> bytes:
    """A segment of a JPEG changed: its frame's size, its tables, its length; or put twice."""
    places = []
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF and data[at + 1] != 0xDA:
        places.append(at)
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    if not places:
        return mutated(rng, data, BYTES)
    frames = [one for one in places if data[one + 1] in (0xC0, 0xC1, 0xC2)]
    at = rng.choice(frames or places) if rng.random() < 0.5 else rng.choice(places)
    end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    if at in frames and rng.random() < 0.6:
        sizes = struct.pack(">HH", *(rng.choice((0, 1, 8, 9000, 65500, 65535)) for _ in "hw"))
        return data[: at + 5] + sizes + data[at + 9 :]
    what = rng.randrange(3)
    if what == 0:
        return data[:at] + data[at:end] * rng.choice((2, 50)) + data[end:]
    if what == 1:
        return data[:at] + data[end:]
    return data[: at + 4] + mutated(rng, data[at + 4 : end], BYTES) + data[end:]


PNG: tuple[Mutator, ...] = (*(png_chunks,) * 12, *BYTES)
JPEG: tuple[Mutator, ...] = (*(jpeg_segments,) * 12, *BYTES)
