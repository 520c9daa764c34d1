"""What a Paddle Lite `.nb` file says about itself, read without Paddle Lite.

The header is a uint16 format version, the optimizer's version as char[16], and the size of the
topology as uint64. Each kernel that was chosen is a string like "conv2d/def/4/1/1" further on,
whose first number is the hardware it runs on.
"""

import collections
import re
import struct
from dataclasses import dataclass
from pathlib import Path

_HEADER = struct.Struct("<H16sQ")
_FORMAT = 2
_KERNEL = re.compile(rb"([a-z][a-z0-9_]*)/[a-zA-Z0-9_]+/(\d+)/(\d+)/(\d+)")

# Paddle Lite's TargetType.
_HARDWARE = {1: "host", 2: "x86", 3: "cuda", 4: "arm", 5: "opencl", 17: "metal"}


@dataclass(frozen=True)
class LiteFile:
    """`version` is the optimizer's; `kernels` counts kernels by hardware ("arm", "host", …)."""

    version: str
    topology_bytes: int
    kernels: dict[str, int]


def read(path: Path) -> LiteFile:
    """Read a `.nb` file; ValueError, with one sentence, where it is none or is cut short."""
    content = path.read_bytes()
    if len(content) < _HEADER.size:
        raise ValueError(f"{len(content)} bytes are no .nb file: the header alone has 26")
    form, version, topology = _HEADER.unpack_from(content)
    if form != _FORMAT:
        raise ValueError(f"format version {form} where {_FORMAT} is known: not a .nb file")
    if len(content) < _HEADER.size + topology:
        raise ValueError(
            f"cut short: {len(content)} bytes, and the topology alone takes {topology}"
        )
    kernels = collections.Counter(
        _HARDWARE.get(int(match[2]), f"hardware {int(match[2])}")
        for match in _KERNEL.finditer(content, 0, _HEADER.size + topology)
    )
    return LiteFile(version.partition(b"\0")[0].decode("latin-1"), topology, dict(kernels))
