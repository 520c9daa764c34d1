"""ARM code on this machine: an ARM64 root of packages (`make setup-arm`), executed by QEMU.

The root's Python is a child like any other: QEMU translates its instructions and hands its system
calls to this machine's kernel, so that it sees the project's files and shares memory as usual.
"""

import functools
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common import files, machine, process
from common.errors import StepError, UserError
from common.paths import ROOT, given
from runtimes import debian, wheels
from runtimes.environments import MAIN, Environment, installed_version
from runtimes.hosts.base import Check, Child, Host
from runtimes.hosts.local import start_here

PYTHON = "3.11"
QEMU = "qemu-aarch64-static"
_AGAIN = "run: make setup-arm"
_DEBIAN = "Debian packages of"  # a lock file with this hash
_ROOM = 900e6  # bytes, of this machine's disk: the root, and what it is made of


@dataclass(frozen=True)
class Cpu:
    """A processor that QEMU executes: how it names itself in /proc/cpuinfo (MIDR's fields)."""

    name: str
    implementer: str
    variant: str
    part: str
    revision: str
    what: str


CPUS = {
    cpu.name: cpu
    for cpu in (
        Cpu("cortex-a76", "0x41", "0x4", "0xd0b", "1", "phones since 2018: FP16, dot product"),
        Cpu("cortex-a72", "0x41", "0x0", "0xd08", "3", "older phones, Raspberry Pi 4: neither"),
        Cpu("max", "0x00", "0x0", "0x051", "0", "all that QEMU has: SVE, BF16, matrix products"),
    )
}
DEFAULT_CPU = "cortex-a76"


@dataclass(frozen=True)
class Root:
    """The folder that `make setup-arm` makes: whole, or absent.

    `system` holds the interpreter and the C libraries, `packages` the wheels, and each CPU has a
    root of its own for QEMU, since its /proc/cpuinfo must tell of the instructions it executes.
    """

    folder: Path

    @property
    def system(self) -> Path:
        return self.folder / "system"

    @property
    def packages(self) -> Path:
        return self.folder / "lib" / f"python{PYTHON}" / "site-packages"

    @property
    def stamp(self) -> Path:
        """What it was made from, and how large it was then."""
        return self.folder / "made-from.json"

    def of(self, cpu: str) -> Path:
        """The root that QEMU shows to the code it executes on a CPU."""
        return self.folder / "cpus" / cpu

    def interpreter(self, cpu: str) -> list[str | Path]:
        """Its Python under QEMU, as a command that knows no packages but the standard ones."""
        python = self.of(cpu) / "usr" / "bin" / f"python{PYTHON}"
        # -I and -S: nothing of this machine's own Python, which the root lets show through.
        return [*self.emulator(cpu), python, "-I", "-S", "-W", "ignore"]

    def emulator(self, cpu: str) -> list[str | Path]:
        """QEMU, as a command that takes a program for ARM64 and its words."""
        return [qemu(), "-cpu", cpu, "-L", self.of(cpu)]


ARM_ROOT = Root(ROOT / ".arm" / "root")


class Arm(Host):
    """An ARM64 CPU that QEMU executes."""

    name = "arm"
    emulates = True
    patience = 10.0  # emulation is 20 to 50 times slower, and limits are generous

    def __init__(self, cpu: str = DEFAULT_CPU, root: Root = ARM_ROOT):
        self.cpu = cpu
        self._root = root

    @property
    def label(self) -> str:
        return f"{self.name}-{self.cpu}"

    @property
    def model(self) -> str:
        return f"{self.cpu}, executed by QEMU {qemu_version()} on {machine.cpu()}"

    @property
    def isa(self) -> list[str]:
        return machine.isa(self._root.of(self.cpu) / "proc" / "cpuinfo")

    @property
    def cores(self) -> int:
        return machine.threads()

    def version(self, package: str) -> str | None:
        """The version of a package in the root; None where it is absent."""
        return installed_version(self._root.folder, package)

    def problem(self, environment: Environment = MAIN) -> str | None:
        if environment is not MAIN:
            return f"ARM code has no counterpart of {environment.folder}"
        if not self._root.folder.exists():
            return f"the ARM64 root is not there yet; {qemu_problem() or _AGAIN}"
        if qemu_problem():
            return qemu_problem()
        if not self._is_whole():
            return f"the ARM64 root in .arm is incomplete, or of other versions; {_AGAIN}"
        return None

    def checks(self) -> list[Check]:
        lacking = qemu_problem()
        version = "-" if lacking else qemu_version()
        found = [Check("QEMU", version, lacking)]
        free = shutil.disk_usage(ROOT).free
        small = free < _ROOM and not self._root.folder.exists()
        problem = f"free {_ROOM / 1e6:.0f} MB, for the root" if small else None
        found.append(Check("free disk", f"{free / 1e6:,.0f} MB, for {ROOT}", problem))
        made = self.problem()
        found.append(Check("ARM64 root", f"CPython {PYTHON}" if not made else "-", made))
        if not made:
            found.append(Check("processor", f"{self.model}, {self.cores} cores"))
            found.append(Check("instructions", ", ".join(self.isa)))
            tools = ", ".join(f"{name} {self.version(name)}" for name in wheels.TOOLS)
            found.append(Check("runtimes", tools))
        return found

    def command(self, words: Sequence[str | Path]) -> list[str]:
        return list(map(str, (*self._root.emulator(self.cpu), *words)))

    def start(self, environment: Environment, settings: Mapping[str, str]) -> Child:
        return start_here(self._root.interpreter(self.cpu), settings, [self._root.packages])

    def _is_whole(self) -> bool:
        return (
            is_wanted(files.read_json(self._root.stamp))
            and (self._root.of(self.cpu) / "usr" / "bin" / f"python{PYTHON}").exists()
            and bool(self.isa)
            and all(map(self.version, wheels.TOOLS))
        )


def made_from() -> dict[str, str]:
    """What a root is made from now."""
    system = given("PORTAGE_ARM_ROOT")
    return {
        "wheels": files.sha256(wheels.LOCK),
        "system": str(system) if system else f"{_DEBIAN} {files.sha256(debian.LOCK)}",
    }


def is_wanted(made: Any) -> bool:
    """Whether a root with this note is of what a root is made from now.

    PORTAGE_ARM_ROOT need be given once only: without it, the system that is there stays.
    """
    if not isinstance(made, dict) or not isinstance(made.get("from"), dict):
        return False
    wanted = made_from()
    system = made["from"].get("system", "")
    if not given("PORTAGE_ARM_ROOT") and not str(system).startswith(_DEBIAN):
        wanted["system"] = system
    return made["from"] == wanted


def qemu() -> Path:
    """QEMU's user-mode emulator of ARM64; UserError where there is none."""
    named = given("PORTAGE_QEMU")
    found = named or shutil.which(QEMU)
    if not found or not os.access(found, os.X_OK):
        raise UserError(qemu_problem())
    return Path(found)


def qemu_problem() -> str | None:
    """Why QEMU cannot be used, with what would mend it; None when it can."""
    named = given("PORTAGE_QEMU")
    if named and not os.access(named, os.X_OK):
        return f"PORTAGE_QEMU={named} is no program"
    if named or shutil.which(QEMU):
        return None
    return (
        f"{QEMU}, which executes ARM code, is not on this machine; install it (Debian: apt-get "
        "install qemu-user-static), or name it: PORTAGE_QEMU=/path/to/qemu-aarch64"
    )


@functools.cache
def qemu_version() -> str:
    """The version of QEMU; "unknown" where it does not tell."""
    try:
        said = process.run([qemu(), "--version"], what="asking QEMU", limit=30).stdout
    except StepError:
        said = ""
    found = re.search(r"version (\d[\d.]*)", said)
    return found[1] if found else "unknown"
