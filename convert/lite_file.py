"""What a Paddle Lite `.nb` file says about itself, read without Paddle Lite.

The header is a uint16 format version, the optimizer's version as char[16], and the size of the
topology as uint64. Each kernel that was chosen is a string further on, like "conv2d/def/4/5/1":
the operator, the kernel's name, and the numbers of hardware, precision and layout.
"""

import collections
import re
import struct
from dataclasses import dataclass
from pathlib import Path

_HEADER = struct.Struct("<H16sQ")
_FORMAT = 2
_KERNEL = re.compile(rb"([a-z][a-z0-9_]*)/[a-zA-Z0-9_]+/(\d+)/(\d+)/(\d+)")

# Paddle Lite's TargetType and PrecisionType.
_HARDWARE = {1: "host", 2: "x86", 3: "cuda", 4: "arm", 5: "opencl", 17: "metal"}
_PRECISIONS = {1: "fp32", 2: "int8", 3: "int32", 4: "any", 5: "fp16", 6: "bool", 7: "int64"}

# The operators that multiply by weights.
_LAYERS = {"conv2d", "depthwise_conv2d", "conv2d_transpose", "fc", "mul", "matmul", "matmul_v2"}


@dataclass(frozen=True)
class Kernel:
    """A kernel that was chosen: its hardware ("arm", "host", …) and precision ("fp16", "any", …).

    "any" moves or joins values of whatever precision.
    """

    operator: str
    hardware: str
    precision: str

    @property
    def is_layer(self) -> bool:
        return self.operator in _LAYERS


@dataclass(frozen=True)
class LiteFile:
    """`version` is the optimizer's; `chosen` are the kernels, in the file's order."""

    version: str
    topology_bytes: int
    chosen: tuple[Kernel, ...]

    @property
    def kernels(self) -> dict[str, int]:
        """How many kernels there are for each hardware."""
        return dict(collections.Counter(kernel.hardware for kernel in self.chosen))

    @property
    def precisions(self) -> dict[str, int]:
        """How many kernels compute in each precision."""
        return dict(collections.Counter(kernel.precision for kernel in self.chosen))

    @property
    def operators(self) -> dict[str, int]:
        """How many kernels there are of each operator."""
        return dict(collections.Counter(kernel.operator for kernel in self.chosen))

    @property
    def layer_precisions(self) -> dict[str, int]:
        """How many layers with weights compute in each precision."""
        return dict(collections.Counter(one.precision for one in self.chosen if one.is_layer))


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
    chosen = tuple(
        Kernel(
            match[1].decode(),
            _HARDWARE.get(int(match[2]), f"hardware {int(match[2])}"),
            _PRECISIONS.get(int(match[3]), f"precision {int(match[3])}"),
        )
        for match in _KERNEL.finditer(content, 0, _HEADER.size + topology)
    )
    return LiteFile(version.partition(b"\0")[0].decode("latin-1"), topology, chosen)
