"""This machine: its CPU, the instructions it has, how many cores are ours."""

import os
import platform
from collections.abc import Iterable
from pathlib import Path

_CORES = Path("/sys/devices/system/cpu")
_CPUINFO = Path("/proc/cpuinfo")

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
    "i8mm",
    "bf16",
    "sve",
)


def cpu() -> str:
    """The processor's name as it gives it itself."""
    return _cpuinfo("model name") or platform.processor() or platform.machine()


def isa(cpuinfo: Path = _CPUINFO) -> list[str]:
    """The vector extensions present, of those that matter here."""
    return isa_in(_text(cpuinfo))


def isa_in(cpuinfo: str) -> list[str]:
    """The same, by the text of a machine's /proc/cpuinfo."""
    flags = " ".join((values_in(cpuinfo, "flags") or values_in(cpuinfo, "Features"))[:1]).split()
    return [name for name in _EXTENSIONS if name in flags]


def threads() -> int:
    """The number of cores that this process may use."""
    return len(os.sched_getaffinity(0))


def let_mkl_use_avx2() -> None:
    """Make Paddle's MKL as fast on an AMD CPU as it can be; before Paddle is imported.

    It is one of 2019, which takes its slowest kernels on CPUs other than Intel's unless told not to
    (5 stands for AVX2): the Twins run in half the time.
    """
    if _cpuinfo("vendor_id") == "AuthenticAMD" and "avx2" in isa():
        os.environ.setdefault("MKL_DEBUG_CPU_TYPE", "5")


def clocks_mhz(cores: Iterable[int]) -> list[float]:
    """The clock of each core now; empty where the system does not tell.

    A virtual machine's kernel often knows the nominal clock only.
    """
    try:
        texts = [(_CORES / f"cpu{core}/cpufreq/scaling_cur_freq").read_text() for core in cores]
        return [int(text) / 1000 for text in texts]
    except OSError:
        clocks = [float(value) for value in _cpuinfo_values("cpu MHz")]
        return [clocks[core] for core in cores if core < len(clocks)]


def governor() -> str | None:
    """What sets the first core's clock ("performance", "powersave", …); None where unknown."""
    try:
        return (_CORES / "cpu0/cpufreq/scaling_governor").read_text().strip()
    except OSError:
        return None


def boot() -> str | None:
    """An identity of the system's last start; None where there is none."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return None


def busy_seconds(cores: Iterable[int]) -> float:
    """How long these cores have worked since the start, for anybody, stolen time included."""
    wanted = {f"cpu{core}" for core in cores}
    ticks = 0
    for line in Path("/proc/stat").read_text().splitlines():
        name, *fields = line.split()
        if name in wanted:
            user, nice, system, _idle, _waiting, irq, softirq, stolen = map(int, fields[:8])
            ticks += user + nice + system + irq + softirq + stolen
    return ticks / os.sysconf("SC_CLK_TCK")


def values_in(cpuinfo: str, field: str) -> list[str]:
    """The values of a field in the text of /proc/cpuinfo, one for each core that has it."""
    pairs = (line.partition(":") for line in cpuinfo.splitlines())
    return [value.strip() for name, _, value in pairs if name.strip() == field]


def _cpuinfo(field: str) -> str | None:
    return next(iter(_cpuinfo_values(field)), None)


def _cpuinfo_values(field: str) -> list[str]:
    return values_in(_text(_CPUINFO), field)


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
