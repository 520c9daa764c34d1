"""A stand-in for Paddle Lite's library for ARM: it computes something simple, and says so."""

import shutil
import subprocess
import tarfile
from pathlib import Path

import numpy as np

from runtimes.paddle_lite_arm.library import FILE
from runtimes.paddle_lite_arm.program import COMPILER

HERE = Path(__file__).parent
VERSION = "stand-in"


def problem() -> str | None:
    """Why it cannot be built here."""
    return None if shutil.which(COMPILER) else f"{COMPILER} is not on this machine"


def build(folder: Path, needs: Path | None = None) -> Path:
    """Fill a folder as Paddle Lite's archives are; the library may need another one."""
    include, lib = folder / "cxx" / "include", folder / "cxx" / "lib"
    for made in (include, lib):
        made.mkdir(parents=True)
    for header in HERE.glob("*.h"):
        shutil.copy(header, include)
    command = [COMPILER, "-std=c++11", "-O1", "-fPIC", "-shared", f"-Wl,-soname,{FILE}"]
    command += ["-I", str(include), "-o", str(lib / FILE), str(HERE / "library.cc")]
    command += ["-Wl,--no-as-needed", str(needs)] if needs else []
    subprocess.run(command, check=True, timeout=120)
    return folder


def packed(folder: Path, archive: Path) -> Path:
    with tarfile.open(archive, "w:gz") as opened:
        opened.add(folder, folder.name)
    return archive


def logits(batch: np.ndarray) -> np.ndarray:
    """What it computes (`library.cc`)."""
    made = np.zeros((len(batch), 1000))
    for photo, values in zip(made, batch.reshape(len(batch), -1), strict=True):
        pixels = np.arange(len(values))
        np.add.at(photo, pixels % 1000, (pixels // 1000 % 7 + 1) * values)
    return made
