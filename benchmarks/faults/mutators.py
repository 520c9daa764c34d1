"""Damage to bytes: by chance, and where a format's structure makes it pay.

A mutator takes a `random.Random` and a good file's bytes, and gives other bytes. Nothing but the
generator decides, so that a seed gives the same file everywhere.
"""

import json
import random
import struct
from collections.abc import Callable, Sequence
from typing import Any

Mutator = Callable[[random.Random, bytes], bytes]

LARGEST = 1 << 22  # bytes of what a mutator makes longer

# What integers are when something overflows, or is cast, shifted or allocated.
_BOUNDARIES = (
    *(0, 1, 2, 7, 8, 127, 128, 255, 256, 32767, 32768, 65535, 65536),
    *(2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**53, 2**63 - 1, 2**63, 2**64 - 1),
)
_TEXTS = (
    *("", " ", "\0", "\n", "\x1b[2J", "\u202e", "\ud800", "a" * 5000, "../" * 9 + "etc/passwd"),
    *("/etc/passwd", "nan", "Infinity", "-0", "1e999", "%s%n", "${HOME}", "None", "true", "{}"),
)


def flip_bits(rng: random.Random, data: bytes) -> bytes:
    """A few bits, anywhere."""
    found = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 8, 64))):
        if found:
            found[rng.randrange(len(found))] ^= 1 << rng.randrange(8)
    return bytes(found)


def flip_early_bits(rng: random.Random, data: bytes) -> bytes:
    """A few bits of the first bytes, where headers are."""
    head = min(len(data), rng.choice((16, 64, 256, 1024)))
    return flip_bits(rng, data[:head]) + data[head:]


def cut(rng: random.Random, data: bytes) -> bytes:
    """Only its beginning, or only its end."""
    at = rng.randrange(len(data) + 1)
    return data[:at] if rng.random() < 0.7 else data[at:]


def splice(rng: random.Random, data: bytes) -> bytes:
    """A part of the file in another place of it, over what is there or between."""
    start, length = _part(rng, data)
    at = rng.randrange(len(data) + 1)
    after = at + length * rng.randrange(2)
    return data[:at] + data[start : start + length] + data[after:]


def repeat(rng: random.Random, data: bytes) -> bytes:
    """A part, many times."""
    start, length = _part(rng, data)
    times = min(rng.choice((2, 3, 10, 100, 1000)), max(2, LARGEST // max(1, length)))
    return data[:start] + data[start : start + length] * times + data[start + length :]


def delete(rng: random.Random, data: bytes) -> bytes:
    """Without a part."""
    start, length = _part(rng, data)
    return data[:start] + data[start + length :]


def boundary_integer(rng: random.Random, data: bytes) -> bytes:
    """An integer at the edge of its type, over any bytes, mostly early ones."""
    width = rng.choice((1, 2, 4, 8))
    if len(data) < width:
        return data
    value = rng.choice(_BOUNDARIES) % 2 ** (8 * width)
    where = len(data) if rng.random() < 0.5 else min(len(data), 512)
    at = rng.randrange(where - width + 1) if where > width else 0
    order = rng.choice(("little", "big"))
    return data[:at] + value.to_bytes(width, order) + data[at + width :]


def noise(rng: random.Random, data: bytes) -> bytes:
    """Random bytes over a part."""
    start, length = _part(rng, data)
    return data[:start] + rng.randbytes(length) + data[start + length :]


def nothing_of_it(rng: random.Random, data: bytes) -> bytes:
    """Another thing altogether: empty, zeros, noise, or the magic of another format."""
    start = rng.choice((b"", b"PK\x03\x04", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"\x80\x04"))
    return start + rng.choice((b"", bytes(1000), rng.randbytes(1000), b"{" * 1000, b"[" * 200000))


BYTES: tuple[Mutator, ...] = (
    *(flip_bits, flip_early_bits, flip_bits, flip_early_bits, cut, splice, repeat, delete),
    *(boundary_integer, boundary_integer, noise, nothing_of_it),
)


def _part(rng: random.Random, data: bytes) -> tuple[int, int]:
    """Where a part begins, and its length: short ones more often."""
    if not data:
        return 0, 0
    start = rng.randrange(len(data))
    return start, min(len(data) - start, rng.choice((1, 2, 4, 16, 64, 256, 4096)))


# ---- text ----


def lines(rng: random.Random, data: bytes) -> bytes:
    """Lines in another order, twice, without, or with other words."""
    found = data.split(b"\n")
    for _ in range(rng.choice((1, 1, 2, 5))):
        at = rng.randrange(len(found))
        what = rng.randrange(6)
        if what == 0:
            found.insert(at, found[rng.randrange(len(found))])
        elif what == 1 and len(found) > 1:
            found.pop(at)
        elif what == 2:
            rng.shuffle(found)
        else:
            words = found[at].split(b" ")
            other = rng.choice((*map(_encoded, _TEXTS), *(str(n).encode() for n in _BOUNDARIES)))
            words[rng.randrange(len(words))] = other
            found[at] = rng.choice((b" ", b" ", b"\t", b",", b"  ")).join(words)
    return b"\n".join(found)


def encoding(rng: random.Random, data: bytes) -> bytes:
    """The same text in another encoding, or with a mark that lies."""
    text = data.decode("utf-8", errors="replace")
    other = rng.choice(("utf-16", "utf-16-be", "utf-32", "gb18030", "utf-8-sig", "cp1252"))
    mark = rng.choice((b"", b"", b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf", b"\xff\xfe\0\0"))
    return mark + text.encode(other, errors="replace")


TEXT: tuple[Mutator, ...] = (lines, lines, lines, lines, encoding, *BYTES)


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", errors="surrogatepass")


# ---- JSON ----


def json_values(rng: random.Random, data: bytes) -> bytes:
    """Values of another kind, or at the edge of theirs; keys that go, come, or are twice there."""
    try:
        tree = json.loads(data)
        for _ in range(rng.choice((1, 1, 1, 2, 4))):
            tree = _changed(rng, tree)
        text = json.dumps(tree, ensure_ascii=rng.random() < 0.5)
    except (ValueError, RecursionError):  # of what was damaged before
        return flip_bits(rng, data)
    if rng.random() < 0.1:
        text = text.replace(":", ": NaN, " if rng.random() < 0.3 else ": ", 1)
    return text.encode("utf-8", errors="surrogatepass")


JSON: tuple[Mutator, ...] = (*(json_values,) * 12, *BYTES)


def _changed(rng: random.Random, tree: Any) -> Any:
    places = list(_places(tree))
    if not places or rng.random() < 0.03:
        return _other(rng, tree)
    holder, key = rng.choice(places)
    what = rng.randrange(8)
    if what == 0:
        del holder[key]
    elif what == 1 and isinstance(holder, dict):
        holder[rng.choice((*_TEXTS, f"{key}x", str(key).upper()))] = holder[key]
    elif what == 2 and isinstance(holder, list):
        holder.insert(key, holder[key])
    elif what == 3:
        other, there = rng.choice(places)
        holder[key] = json.loads(json.dumps(other[there])) if there in _keys(other) else None
    else:
        holder[key] = _other(rng, holder[key])
    return tree


def _keys(holder: Any) -> Any:
    return holder if isinstance(holder, dict) else range(len(holder))


def _places(tree: Any) -> Any:
    """Every (container, key) in a JSON value."""
    if isinstance(tree, dict | list):
        for key in list(_keys(tree)):
            yield tree, key
            yield from _places(tree[key])


def _other(rng: random.Random, value: Any) -> Any:
    """Another value in the place of one, of its kind or of none."""
    nested: Any = 0
    for _ in range(rng.choice((1, 3, 100, 900))):
        nested = [nested] if rng.random() < 0.5 else {"a": nested}
    numbers = (*_BOUNDARIES, *(-one for one in _BOUNDARIES), 0.5, -0.5, 1e308, -1e308, 5e-324)
    if isinstance(value, bool | int | float) and rng.random() < 0.6:
        return rng.choice((*numbers, value + 1, value - 1, -value, not value, 10**400))
    if isinstance(value, str) and rng.random() < 0.6:
        cuts = (value[:-1], value + value, value.upper(), f"../{value}", f"/{value}", value + "\0")
        return rng.choice((*_TEXTS, *cuts))
    return rng.choice((None, True, [], {}, [None], {"": None}, nested, *_TEXTS, *numbers))


def safetensors_header(rng: random.Random, data: bytes) -> bytes:
    """The JSON at a .safetensors file's head changed, its length right or wrong."""
    length = int.from_bytes(data[:8], "little")
    header = json_values(rng, data[8 : 8 + length])
    said = len(header) if rng.random() < 0.8 else rng.choice(_BOUNDARIES) % 2**64
    return struct.pack("<Q", said) + header + data[8 + length :]


SAFETENSORS: tuple[Mutator, ...] = (*(safetensors_header,) * 10, *BYTES)


def mutated(rng: random.Random, data: bytes, mutators: Sequence[Mutator]) -> bytes:
    """Bytes that went through one mutator, or several."""
    for _ in range(rng.choice((1, 1, 1, 1, 2, 3))):
        data = rng.choice(mutators)(rng, data)
    return data
