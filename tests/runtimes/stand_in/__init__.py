"""A stand-in for Paddle Lite's library for ARM: it computes something simple, and says so."""

import shlex
import shutil
import subprocess
import tarfile
from pathlib import Path

import numpy as np

from runtimes.hosts.arm import ARM_ROOT, DEFAULT_CPU, qemu
from runtimes.paddle_lite_arm.library import FILE
from runtimes.paddle_lite_arm.program import COMPILER
from tests.runtimes.arm import program

HERE = Path(__file__).parent
VERSION = "stand-in"
# Compiles for Linux, and puts a program that starts QEMU in the place of what it compiled.
_COMPILER = """#!/bin/sh
case "$1" in --version) echo "a stand-in for a compiler"; exit;; esac
for word; do
  shift
  case "$word" in -llog) continue;; */runner) word="$word.arm"; made="$word";; esac
  set -- "$@" "$word"
done
{compiler} "$@" || exit
cat > "${{made%.arm}}" <<'END'
#!/bin/sh
folder="${{0%/*}}"
LD_LIBRARY_PATH="$folder:{system}" exec {qemu} "$folder/runner.arm" "$@"
END
chmod 755 "${{made%.arm}}"
"""


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


def compiler(path: Path, system: Path) -> Path:
    """A compiler whose programs run on machines like this one; `system` has libraries for them."""
    emulator = [str(qemu()), "-cpu", DEFAULT_CPU, "-L", str(ARM_ROOT.of(DEFAULT_CPU))]
    script = _COMPILER.format(compiler=COMPILER, qemu=shlex.join(emulator), system=system)
    return program(path, script)


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
