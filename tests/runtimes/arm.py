"""A stand-in for QEMU and an ARM64 root, so that what surrounds them is tested without either."""

import shlex
import sys
from pathlib import Path

from common import files
from runtimes.hosts import arm
from runtimes.hosts.arm import Root

# Executes this machine's own Python, whatever it is told to execute.
_QEMU = """#!/bin/sh
[ "$1" = --version ] && echo "qemu-aarch64 version 9.8.7" && exit
while [ "$1" != -I ]; do shift; done
exec {python} "$@"
"""


def program(path: Path, script: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(script)
    path.chmod(0o755)
    return path


def fake_qemu(folder: Path) -> Path:
    return program(folder / arm.QEMU, _QEMU.format(python=shlex.quote(sys.executable)))


def fake_system(folder: Path) -> Path:
    """What PORTAGE_ARM_ROOT may name."""
    program(folder / "usr" / "bin" / f"python{arm.PYTHON}", "not for this CPU")
    (folder / "proc").mkdir()
    return folder


def fake_root(folder: Path) -> Root:
    """A root as `make setup-arm` leaves it, with this interpreter's own packages."""
    root = Root(folder)
    for cpu in arm.CPUS:
        program(root.of(cpu) / "usr" / "bin" / f"python{arm.PYTHON}", "not for this CPU")
        cpuinfo = root.of(cpu) / "proc" / "cpuinfo"
        cpuinfo.parent.mkdir()
        cpuinfo.write_text("processor\t: 0\nFeatures\t: fp asimd asimddp\n")
    root.packages.parent.mkdir(parents=True)
    own = next(Path(place) for place in sys.path if place.endswith("site-packages"))
    root.packages.symlink_to(own)
    files.write_json(root.stamp, {"from": arm.made_from()})
    return root
