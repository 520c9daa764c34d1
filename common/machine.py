"""This machine: its CPU, the instructions it has, how many cores are ours."""

import os
import platform
from pathlib import Path

# The extensions that decide which arithmetic a runtime can use (Linux' names for them).
_EXTENSIONS = (
    "avx2",
    "avx512f",
    "avx512_vnni",
    "avx_vnni",
    "avx512_bf16",
    "avx512_fp16",
    "amx_tile",
    "amx_int8",
    "amx_bf16",
    "asimd",
    "asimdhp",
    "asimddp",
)


def cpu() -> str:
    """The processor's name as it gives it itself."""
    return _cpuinfo("model name") or platform.processor() or platform.machine()


def isa() -> list[str]:
    """The vector extensions present, of those that matter here."""
    flags = (_cpuinfo("flags") or _cpuinfo("Features") or "").split()
    return [name for name in _EXTENSIONS if name in flags]


def threads() -> int:
    """The number of cores that this process may use."""
    return len(os.sched_getaffinity(0))


def _cpuinfo(field: str) -> str | None:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return None
    for line in lines:
        name, _, value = line.partition(":")
        if name.strip() == field:
            return value.strip()
    return None
