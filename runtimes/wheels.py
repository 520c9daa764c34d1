"""The hashed wheels of requirements/arm.txt, for other interpreters than those on this machine."""

import sys
from pathlib import Path

from common import process
from common.errors import UserError
from common.paths import ROOT
from runtimes.locks import check_lock, other_file

LOCK = ROOT / "requirements" / "arm.txt"
# The packages of the lock file that a user would ask about.
TOOLS = {
    "onnxruntime": "runs ONNX files",
    "openvino": "runs OpenVINO's files",
    "ncnn": "runs ncnn's files",
    "MNN": "runs MNN's files",
    "opencv-python-headless": "runs ONNX files by OpenCV's own kernels",
}
_OLDEST_GLIBC = 17  # as in 2.17: nobody builds wheels for older ones
_LIMIT = 1800.0


def fetch(folder: Path, machine: str, python: str, glibc: int) -> None:
    """Fetch the lock file's wheels, each with a hash that is in it, into a folder.

    `machine` is a processor's name as Linux has it ("aarch64"), `python` a version of CPython
    ("3.11"), and `glibc` the number after 2. of the C library. Raises UserError where that fails.
    """
    check_lock(LOCK)
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-input", "--no-deps"]
    command += ["--disable-pip-version-check", "--only-binary=:all:", "--require-hashes"]
    command += ["--implementation=cp", f"--python-version={python}"]
    command += [f"--abi={abi}" for abi in (f"cp{python.replace('.', '')}", "abi3", "none")]
    # pip takes the platforms' names as they are: 2014 does not stand for 2.17.
    platforms = ("2014", *(f"_2_{minor}" for minor in range(_OLDEST_GLIBC, glibc + 1)))
    command += [f"--platform=manylinux{platform}_{machine}" for platform in platforms]
    process.run(
        [*command, f"--dest={folder}", f"--requirement={LOCK}"],
        what=f"pip cannot fetch the wheels of {LOCK.name}",
        limit=_LIMIT,
        error=UserError,
        telling=lambda done: other_file(done) or process.last_line(done),
        remedy="check the network and pip's settings",
    )
