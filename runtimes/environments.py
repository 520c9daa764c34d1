"""The environments that hold the foreign tools, and where their interpreters are.

Standard library only: `make setup` reads this table before anything is installed.
"""

import functools
import os
import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from common import process
from common.errors import StepError
from common.paths import ROOT, given, home
from runtimes import nvidia

SETUP = "make setup"  # makes all that have no command of their own


@dataclass(frozen=True)
class Environment:
    """A virtual environment of its own, because its packages live with no others.

    `pythons` are the CPython versions that will do, best first; `lock` is the hashed
    requirements file it is made from, `no_deps_lock` one of packages that are installed without
    what they ask for; `tools` are the packages a user would ask about, each with what it is for.
    `absent` says why the hardware that it is for is not here (None: it is). `setup` is the command
    that makes it.
    """

    name: str
    folder: str
    pythons: tuple[str, ...]
    lock: str
    tools: dict[str, str]
    required: bool
    no_deps_lock: str | None = None
    absent: Callable[[], str | None] = lambda: None
    setup: str = SETUP

    @property
    def path(self) -> Path:
        return ROOT / self.folder

    @property
    def python(self) -> Path:
        """Its interpreter, once `setup` has made it."""
        return self.path / "bin" / "python"

    @property
    def lock_path(self) -> Path:
        return ROOT / "requirements" / self.lock

    @property
    def no_deps_lock_path(self) -> Path | None:
        return ROOT / "requirements" / self.no_deps_lock if self.no_deps_lock else None

    @property
    def override(self) -> str:
        """The environment variable that names the interpreter to make it from."""
        return f"PORTAGE_PYTHON_{self.name.upper()}"

    def version(self, package: str) -> str | None:
        """The installed version of a package, read from its metadata's folder name.

        None where the package, or the whole environment, is absent. Needs no import of the
        package and works for environments of other interpreters.
        """
        return installed_version(self.path, package)

    def problem(self) -> str | None:
        """Why it cannot be used, with the command that would mend it; None when it can."""
        absent = self.absent()
        if absent:
            return absent
        if self.python.exists() and all(self.version(tool) for tool in self.tools):
            return None
        if self.path.exists():
            return f"{self.folder} is incomplete; run: {self.setup}"
        if find_interpreter(self) is None:
            return f"no {self.wanted} found; {self.advice}"
        return f"{self.folder} is not there yet; run: {self.setup}"

    @property
    def wanted(self) -> str:
        return "CPython " + " or ".join(self.pythons)

    @property
    def advice(self) -> str:
        """The command that gets a missing interpreter."""
        return (
            f"install one (uv python install {self.pythons[0]}, or pyenv install "
            f"{self.pythons[0]}), or name it: {self.override}=/path/to/python {self.setup}"
        )


MAIN = Environment(
    name="main",
    folder=".venv",
    pythons=("3.11", "3.12"),
    lock="toolkit.txt",
    no_deps_lock="toolkit-no-deps.txt",
    tools={
        "paddlepaddle": "networks, inference graphs, reference runtime",
        "paddle2onnx": "inference graph to ONNX",
        "onnx": "ONNX files and their checker",
        "onnxsim": "simplifies ONNX graphs",
        "onnxslim": "simplifies ONNX graphs further",
        "onnxruntime": "runs ONNX files, simulates other hardware",
        "openvino": "ONNX to OpenVINO, and its runtime",
        "nncf": "OpenVINO's own calibration",
        "MNN": "ONNX to MNN, and its runtime",
        "pnnx": "ONNX to ncnn",
        "ncnn": "runs ncnn files",
        "tensorrt_rtx_cu13": "parses and builds where no GPU is",
        "opencv-python-headless": "decoding, bilinear resizing; runs ONNX files",
        "pillow": "bicubic resizing (Twins)",
    },
    required=True,
)
LITE = Environment(
    name="lite",
    folder=".venv-lite",
    pythons=("3.7",),
    lock="lite.txt",
    tools={"paddlelite": "converter and x86 runtime", "numpy": "Paddle Lite's arrays (< 2)"},
    required=False,  # wheels exist for CPython 3.7 and older only, which not everybody has
)
TRT = Environment(
    name="trt",
    folder=".venv-trt",
    pythons=("3.10",),
    lock="trt.txt",
    tools={"tensorrt": "builds and runs engines on a GPU"},
    required=False,  # 3.4 GB, of use only where a GPU is
    absent=nvidia.missing,
)
SERVE = Environment(
    name="serve",
    folder=".venv-serve",
    pythons=("3.11", "3.12"),
    lock="serve.txt",
    no_deps_lock="serve-no-deps.txt",
    tools={
        "nvidia-pytriton": "Triton, the server",
        "tritonclient": "asks any server of KServe v2",
        "numpy": "Triton's arrays (< 2)",
    },
    required=False,  # 0.7 GB, of use only to who serves
    setup="make setup-serve",
)
RAY = Environment(
    name="ray",
    folder=".venv-ray",
    pythons=("3.11", "3.12"),
    lock="ray.txt",
    tools={"ray": "many machines: the matrix' cells as jobs of a cluster"},
    required=False,  # 0.3 GB, of use only to who has a cluster
    setup="make setup-ray",
)
AUDIT = Environment(
    name="audit",
    folder=".venv-audit",
    pythons=("3.11", "3.12"),
    lock="audit.txt",
    tools={"pip-audit": "known vulnerabilities of what the lock files name"},
    required=False,  # it says nothing where its service cannot be reached
    setup="make audit",
)
ENVIRONMENTS = {one.name: one for one in (MAIN, LITE, TRT, SERVE, RAY, AUDIT)}


def find_interpreter(environment: Environment) -> Path | None:
    """An interpreter of a version that the environment takes.

    Looked for in the environment variable `environment.override`, then for each version
    on the path, among pyenv's versions and among uv's.
    """
    named = os.environ.get(environment.override)
    if named:
        return Path(named) if python_version(Path(named)) in environment.pythons else None
    for version in environment.pythons:
        for candidate in _candidates(version):
            if python_version(candidate) == version:
                return candidate
    return None


def _candidates(version: str) -> list[Path]:
    on_path = shutil.which(f"python{version}")
    pyenv = (given("PYENV_ROOT") or home() / ".pyenv") / "versions"
    found = [Path(on_path)] if on_path else []
    found += sorted(pyenv.glob(f"{version}.*/bin/python"), reverse=True)
    if shutil.which("uv"):
        known = _ask(["uv", "python", "find", "--no-project", version])
        found += [Path(known)] if known else []
    return found


def python_version(python: Path) -> str | None:
    """An interpreter's "major.minor", or None where it does not run as CPython.

    It is started to find out: a pyenv shim exists for versions that are not active.
    """
    question = "import sys; print(sys.implementation.name, '%d.%d' % sys.version_info[:2])"
    implementation, _, version = (_ask([python, "-c", question]) or "").partition(" ")
    return version if implementation == "cpython" else None


def _ask(command: Sequence[str | Path]) -> str | None:
    """What a program answers; None where it is absent, fails or hangs."""
    try:
        return process.run(command, what="asking", limit=30).stdout.strip()
    except StepError:
        return None


def installed_version(folder: Path, package: str) -> str | None:
    """The version of a package in a folder that Python is installed in; None where absent."""
    return _installed(folder).get(_canonical(package))


def _canonical(package: str) -> str:
    return re.sub(r"[-_.]+", "-", package).lower()


@functools.lru_cache
def _installed(folder: Path) -> dict[str, str]:
    found = {}
    for metadata in folder.glob("lib/python*/site-packages/*.dist-info"):
        name, _, version = metadata.name.removesuffix(".dist-info").rpartition("-")
        found[_canonical(name)] = version
    return found
