"""The C++ program of examples/cpp: built here, and run with packages beside Python."""

import importlib.util
import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from common import files, process
from common.errors import StepError, UserError
from common.paths import ROOT, build_root
from common.process import Completed
from common.temporary import temporary_folder
from convert.artifact import Artifact
from data.images import ImageSet
from data.stream import Stream
from deploy.packages.package import content_folder
from deploy.request.values import Cell
from deploy.verdict.drift import Comparison, measure_drift
from deploy.verdict.gates import gate, numeric_verdict
from runtimes.session_pool import NATIVE, open_sessions

SOURCE = ROOT / "examples" / "cpp"
NAME = "portage"
DEBIAN = (
    "apt-get install g++ cmake libopencv-imgcodecs-dev libopencv-imgproc-dev nlohmann-json3-dev "
    "libssl-dev"
)
_REMEDY = f"what it takes, on Debian: {DEBIAN}"
_LIMIT = 600.0  # seconds to compile in, or to check a package
_PER_PHOTO = 10.0


def built() -> Path:
    """The program, compiled where its source is newer; UserError where that cannot be done here."""
    for tool in ("cmake", os.environ.get("CXX", "c++")):
        if not shutil.which(tool):
            raise UserError(
                f"{tool}, which builds {SOURCE.relative_to(ROOT)}, is not here; {_REMEDY}"
            )
    folder = build_root() / "cpp"
    folder.mkdir(parents=True, exist_ok=True)
    with files.locked(folder.with_suffix(".lock")), temporary_folder() as scratch:
        own = {"TMPDIR": str(scratch)}  # a compiler that is killed leaves files
        process.run(
            ["cmake", "-S", SOURCE, "-B", folder, f"-DOpenVINO_DIR={_openvino() / 'cmake'}"],
            what="preparing to compile the C++ program",
            limit=_LIMIT,
            error=UserError,
            telling=_lacking,
            remedy=_REMEDY,
            environment=own,
        )
        process.run(
            ["cmake", "--build", folder],
            what="compiling the C++ program",
            limit=_LIMIT,
            error=UserError,
            telling=process.error_line,
            remedy=_REMEDY,
            environment=own,
        )
    return folder / NAME


def _openvino() -> Path:
    """Where the wheel's headers and libraries are."""
    found = importlib.util.find_spec("openvino")
    if found is None or not found.submodule_search_locations:
        raise UserError("the environment lacks openvino; remove .venv and run: make setup")
    return Path(found.submodule_search_locations[0])


def _lacking(done: Completed) -> str | None:
    """What CMake does not find, as it says it."""
    _, found, text = done.stderr.partition("CMake Error at ")
    return text.partition("\n\n\n")[0] if found else process.last_line(done)


def check(program: Path, package: Artifact, *, bench: bool) -> Completed:
    """The golden photos' verdict, which is its status (0 pass, 1 fail, 3 undecided), and what it
    printed; with `bench` also its latency."""
    folder = content_folder(package)
    return process.run(
        [program, folder, "--bench" if bench else "--check"],
        what=f"checking {folder.name} by the C++ program",
        limit=_LIMIT,
        statuses=(0, 1, 3),
    )


@dataclass(frozen=True)
class Sides:
    """The same photos by Python and by the program: how far apart, and the seconds that each took
    from opening the package to the last logit."""

    found: Comparison
    by_cpp: float
    by_python: float

    def agree(self, precision: str) -> bool:
        """Whether the program computes what Python does: always true of what is not fp32, where
        engines may differ and only labelled photos tell."""
        return gate(precision) != "numeric" or numeric_verdict(self.found).verdict == "pass"

    def sentence(self) -> str:
        images, found = self.found.images, self.found
        return (
            f"{images - found.flips:,} of {images:,} photos decided as by Python, largest relative "
            f"logit difference {found.drift.max_rel:.1e}; {images / self.by_cpp:.1f} photos a "
            f"second by C++, {images / self.by_python:.1f} by Python"
        )


def incomparable(cell: Cell) -> str | None:
    """Why Python does not run a cell natively here; None where it does."""
    target, precision = cell
    spec = target.session_spec(precision)
    return spec.reason if spec.execution != NATIVE else None


def side_by_side(program: Path, package: Artifact, cell: Cell, images: ImageSet) -> Sides:
    """Let both decide all photos of a set, with a cell that is not `incomparable`; UserError where
    a photo cannot be read."""
    (target, precision), folder = cell, content_folder(package)
    spec = target.session_spec(precision)
    start = time.monotonic()
    stream = Stream(images, package.preprocess)
    with open_sessions(spec, folder, precision) as run:
        batches = (batch for _, batch in stream.batches(range(len(images)), "by Python"))
        by_python = run(batches, lambda done, total: None, len(images))
    middle = time.monotonic()
    by_cpp = _logits(program, folder, images)
    end = time.monotonic()
    if by_cpp.shape != by_python.shape:
        raise StepError(
            f"{folder.name}: the C++ program wrote {by_cpp.size:,} logits, not {by_python.size:,}"
        )
    found = measure_drift(by_python, by_cpp, None)
    return Sides(found, by_cpp=end - middle, by_python=middle - start)


def _logits(program: Path, folder: Path, images: ImageSet) -> np.ndarray:
    """What the program writes for a set of photos: float32 [N, classes]."""

    def write(stream: IO[bytes]) -> None:
        stream.writelines(os.fsencode(path.absolute()) + b"\n" for path in images.paths)

    with temporary_folder() as place:
        file = place / "logits.bin"
        process.run(
            [program, folder, "--logits", file, "-"],
            what=f"{len(images)} photos by the C++ program",
            limit=_LIMIT + _PER_PHOTO * len(images),
            error=UserError,
            feed=write,
        )
        return np.fromfile(file, "<f4").reshape(len(images), -1)
