"""Make the ARM64 root that HOST=arm runs in, out of packages (`make setup-arm`).

    PORTAGE_ARM_ROOT=/an/arm64/root make setup-arm     interpreter and C libraries of your own

Debian's packages must have the hashes of requirements/arm-debian.txt, wheels those of
requirements/arm.txt. A root that was made from the same wheels is left alone.
"""

import os
import shutil
import sys
import time
import zipfile
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, f"{sys.path[0]}/..")
    import common.start  # noqa: F401

from common import files, machine, process
from common.cli import Exit, Parser, run
from common.console import say
from common.errors import UserError
from common.paths import given
from runtimes import debian
from runtimes.hosts.arm import (
    ARM_ROOT,
    CPUS,
    PYTHON,
    Arm,
    Cpu,
    Root,
    is_wanted,
    made_from,
    qemu,
    qemu_version,
)
from runtimes.wheels import TOOLS, fetch

_LIMIT = 1800.0
_GLIBC = 35  # as in 2.35: what the newest wheels need, and Debian 12 has
_ELSEWHERE = (
    "on a machine without Debian's packages name a root that has an ARM64 "
    f"usr/bin/python{PYTHON}: PORTAGE_ARM_ROOT=/path make setup-arm"
)
# The bits of AT_HWCAP and of AT_HWCAP2, lowest first, by the names in /proc/cpuinfo.
_HWCAP = (
    *("fp", "asimd", "evtstrm", "aes", "pmull", "sha1", "sha2", "crc32", "atomics", "fphp"),
    *("asimdhp", "cpuid", "asimdrdm", "jscvt", "fcma", "lrcpc", "dcpop", "sha3", "sm3", "sm4"),
    *("asimddp", "sha512", "sve", "asimdfhm", "dit", "uscat", "ilrcpc", "flagm", "ssbs", "sb"),
    *("paca", "pacg"),
)
_HWCAP2 = (
    *("dcpodp", "sve2", "sveaes", "svepmull", "svebitperm", "svesha3", "svesm4", "flagm2"),
    *("frint", "svei8mm", "svef32mm", "svef64mm", "svebf16", "i8mm", "bf16", "dgh", "rng", "bti"),
)
_ASK = (
    "import ctypes; ask = ctypes.CDLL(None).getauxval; ask.restype = ctypes.c_ulong; "
    "ask.argtypes = [ctypes.c_ulong]; print(ask(16), ask(26))"
)


def install(root: Root = ARM_ROOT) -> bool:
    """Make the root if it is not there as it should be. True when there was something to do.

    Raises UserError where something that it takes is absent or fails; nothing is left behind then.
    """
    qemu()
    with files.locked(root.folder.parent / ".lock"):
        if _is_as_made(root):
            return False
        with files.atomic_folder(root.folder) as scratch:
            new = Root(scratch)
            hashes = _timed("interpreter and C libraries", new.system, _fill_system, new)
            _timed("wheels", new.packages, _fill_packages, new)
            for cpu in CPUS.values():
                _make_cpu(new, cpu)
            count, size = _measure(new.folder)
            note = {"from": made_from(), "files": count + 1, "bytes": size, "debian": hashes}
            files.write_json(new.stamp, note)
    return True


def _is_as_made(root: Root) -> bool:
    """Whether a root is of what is wanted now, and has the files that it had when it was made."""
    made = files.read_json(root.stamp)
    if not is_wanted(made):
        return False
    count, size = _measure(root.folder)
    return (count, size - root.stamp.stat().st_size) == (made.get("files"), made.get("bytes"))


def _measure(folder: Path) -> tuple[int, int]:
    """The number of files below a folder, and their bytes; of links, the links' own.

    Bytecode that Python adds does not count.
    """
    count = size = 0
    for place, names, found in os.walk(folder):
        links = [name for name in names if Path(place, name).is_symlink()]
        if Path(place).name != "__pycache__":
            for name in (*found, *links):
                count += 1
                size += Path(place, name).lstat().st_size
    return count, size


def _timed(what: str, folder: Path, fill, root: Root):
    started = time.monotonic()
    made = fill(root)
    megabytes = _measure(folder)[1] / 1e6
    say(f"  .arm: {what}, {megabytes:.0f} MB, {time.monotonic() - started:.0f} s")
    return made


# ---- the interpreter and the C libraries ----


def _fill_system(root: Root) -> dict[str, str]:
    """Debian's packages, or a link to the user's root; the packages' sha256 by file name."""
    own = given("PORTAGE_ARM_ROOT")
    if own:
        if not (own / "usr" / "bin" / f"python{PYTHON}").exists():
            raise UserError(f"PORTAGE_ARM_ROOT={own} has no usr/bin/python{PYTHON}")
        root.system.symlink_to(own)
        return {}
    apt = root.folder / "apt"
    archives = debian.fetch(apt, _ELSEWHERE)
    for archive in archives:
        process.run(
            ["dpkg-deb", "-x", archive, root.system],
            what=f"unpacking {archive.name}",
            limit=_LIMIT,
            error=UserError,
            remedy=_ELSEWHERE,
        )
    hashes = {archive.name: files.sha256(archive) for archive in archives}
    shutil.rmtree(apt)
    return hashes


# ---- the wheels ----


def _fill_packages(root: Root) -> None:
    wheels = root.folder / "wheels"
    wheels.mkdir()
    fetch(wheels, "aarch64", PYTHON, _GLIBC)
    root.packages.mkdir(parents=True)
    for wheel in wheels.iterdir():
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(root.packages)
    shutil.rmtree(wheels)


# ---- one root for QEMU per CPU ----


def _make_cpu(root: Root, cpu: Cpu) -> None:
    """A folder with links into the system's, and /proc of its own.

    What it does not hold shows through from this machine: files, devices, memory.
    """
    folder = root.of(cpu.name)
    (folder / "proc").mkdir(parents=True)
    for entry in root.system.iterdir():
        if entry.name in ("etc", "usr") or entry.name.startswith("lib"):
            (folder / entry.name).symlink_to(f"../../system/{entry.name}")
    remedy = "give another root or another QEMU, see the README" * bool(given("PORTAGE_ARM_ROOT"))
    said = process.run(
        [*root.interpreter(cpu.name), "-c", _ASK],
        what=f"ARM64 Python under QEMU {qemu_version()} as {cpu.name}",
        limit=300,
        error=UserError,
        remedy=remedy or None,
    ).stdout
    (folder / "proc" / "cpuinfo").write_text(_cpuinfo(cpu, *map(int, said.split())))


def _cpuinfo(cpu: Cpu, hwcap: int, hwcap2: int) -> str:
    """What Linux would say of the CPU, for libraries that choose their kernels by it."""
    words = ((_HWCAP, hwcap), (_HWCAP2, hwcap2))
    features = [name for names, word in words for bit, name in enumerate(names) if word >> bit & 1]
    block = (
        "processor\t: {core}\n"
        "BogoMIPS\t: 50.00\n"
        f"Features\t: {' '.join(features)}\n"
        f"CPU implementer\t: {cpu.implementer}\n"
        "CPU architecture: 8\n"
        f"CPU variant\t: {cpu.variant}\n"
        f"CPU part\t: {cpu.part}\n"
        f"CPU revision\t: {cpu.revision}\n\n"
    )
    # No more blocks than cores: some libraries count them, and start as many threads.
    return "".join(block.format(core=core) for core in range(machine.threads()))


def main() -> int:
    Parser(prog="python runtimes/install_arm.py", description=__doc__).parse_args()
    started = time.monotonic()
    if install():
        megabytes = _measure(ARM_ROOT.folder)[1] / 1e6
        say(f"  .arm: made in {time.monotonic() - started:.0f} s, {megabytes:.0f} MB")
    versions = ", ".join(f"{name} {Arm().version(name)}" for name in TOOLS)
    say(f"  ready: ARM64 Python {PYTHON} with {versions}, on {', '.join(CPUS)}")
    return Exit.OK


if __name__ == "__main__":
    run(main)
