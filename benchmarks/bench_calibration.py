"""What calibration costs, against ONNX Runtime's own calibration of the same model and photos.

    python benchmarks/bench_calibration.py [--data DIR] [--model NAME …] [--rounds 2]

Every side runs in processes of its own, by turns in the same session: plain inference over the
photos, our one pass with the ranges of every method, and ONNX Runtime's calibration by entropy and
by percentile (benchmarks/baselines/calibrate.py), which keeps every value of every photo: a side
that would not fit into the free memory is left out and named.
"""

import functools
import os
import sys
import tempfile
import time
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, f"{sys.path[0]}/..")
    import common.start  # noqa: F401

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Any

from benchmarks.arguments import add_input_arguments, add_rounds_argument
from common import console, files
from common.cli import Exit, Parser, choice, run
from common.paths import ROOT, build_root

_PHOTOS = {"SqueezeNet1_1": 300, "VGG16": 60, "ResNeSt50": 60}
_FLAT = ("SqueezeNet1_1", 60, 600)  # the model and the numbers of photos that memory must not mind
_LIMIT = 3600.0  # seconds that any one side may take
_PEERS = ("entropy", "percentile")
_PEER_GIB = 13.0  # what the peer takes on these models, and some more
_LEFT_GIB = 2.0  # what it must leave to others


@dataclass(frozen=True)
class _Sample:
    """One side, once: seconds of the pass over the photos and of all processes, MiB at the peak."""

    work: float
    total: float
    peak_mib: float


@dataclass(frozen=True)
class _Case:
    """A model's ONNX file, and crops uint8 [N, S, S, 3] in a file; both in the scratch folder."""

    model: str
    onnx: Path
    crops: Path
    scratch: Path


def _ours(case: _Case) -> _Sample:
    """The pass, and the ranges of every tensor by every method, both kinds of grid."""
    from runtimes.worker import Worker

    started = time.perf_counter()
    with (
        tempfile.TemporaryDirectory(dir=case.scratch) as build,
        Worker("main", f"calibration of {case.model}") as worker,
    ):
        timed = worker.call(
            collect_cold,
            limit=_LIMIT,
            onnx=str(case.onnx),
            crops=str(case.crops),
            build=build,
        )
        peak_mib = worker.peak_mib + timed["peak_mib"]
    return _Sample(timed["seconds"], time.perf_counter() - started, peak_mib)


def collect_cold(onnx: str, crops: str, build: str) -> dict:
    """In a child process: collect into an empty build folder; seconds of the pass, child's MiB."""
    import numpy as np

    from calib.methods import METHODS
    from calib.ranges import Ranges, collect
    from convert.artifact import load
    from data.crops import Crops
    from models.registry import MODELS

    os.environ["BUILD_DIR"] = build
    artifact, array = load(Path(onnx)), np.load(crops, mmap_mode="r")
    assert artifact
    labels = np.zeros(len(array), np.int64)
    clock = []
    made = collect(
        artifact,
        Crops(array, labels, "the same photos", "the same photos"),
        MODELS[artifact.model].preprocess,
        lambda done, total: clock.append(time.perf_counter()),
    )
    ranges = Ranges.load(made)
    for method in METHODS:
        for symmetric in (True, False):
            ranges.all_of(method, symmetric=symmetric)
    return {"seconds": clock[-1] - clock[0], "peak_mib": made.facts["peak_mib"]}


def _theirs(case: _Case, method: str) -> _Sample:
    """Plain inference ("plain"), or ONNX Runtime's calibration by a method."""
    from benchmarks.parts import run_baseline

    model = case.onnx / "model.onnx"
    total, printed = run_baseline(
        "calibrate.py", model, case.crops, method, _free_gib() - _LEFT_GIB
    )
    return _Sample(printed["seconds"], total, printed["peak_mib"])


def _free_gib() -> float:
    import psutil

    return psutil.virtual_memory().available / 2**30


def _measure(case: _Case, rounds: int) -> dict[str, list[_Sample]]:
    """Every side of a case, by turns."""
    sides: dict[str, Callable[[], _Sample]] = {
        "plain inference": lambda: _theirs(case, "plain"),
        "ours, all methods": lambda: _ours(case),
        **{f"peer, {method}": functools.partial(_theirs, case, method) for method in _PEERS},
    }
    samples: dict[str, list[_Sample]] = {side: [] for side in sides}
    for number in range(rounds):
        for side, take in sides.items() if number % 2 == 0 else reversed(sides.items()):
            if side.startswith("peer") and _free_gib() < _PEER_GIB + _LEFT_GIB:
                console.say(
                    f"  {case.model}, {side}: left out, {_free_gib():.0f} GiB of memory are free "
                    f"and it may take {_PEER_GIB:.0f}"
                )
                continue
            taken = take()
            samples[side].append(taken)
            console.say(
                f"  {case.model}, {side}, round {number + 1} of {rounds}: {taken.work:.1f} s, with "
                f"start and end {taken.total:.1f} s, {taken.peak_mib:.0f} MiB"
            )
    return {side: taken for side, taken in samples.items() if taken}


def _rows(model: str, photos: int, samples: dict[str, list[_Sample]]) -> list[list[str]]:
    """A row per side; its ratios compare it with our side."""
    ours = samples["ours, all methods"]
    rows = []
    for side, taken in samples.items():
        work, total, peak = (_middle(taken, field) for field in ("work", "total", "peak_mib"))
        times = [sample.work for sample in taken]
        rows.append(
            [
                *(model, str(photos), side),
                *(f"{work:.1f}", f"{100 * (max(times) - min(times)) / work:.0f}", f"{total:.1f}"),
                f"{peak:.0f}",
                *(f"{work / _middle(ours, 'work'):.2f}", f"{total / _middle(ours, 'total'):.2f}"),
                f"{peak / _middle(ours, 'peak_mib'):.2f}",
            ]
        )
    return rows


def _middle(samples: list[_Sample], field: str) -> float:
    return median(getattr(sample, field) for sample in samples)


def main() -> int:
    options = _parse()
    from benchmarks.bench import describe_environment

    environment = describe_environment()  # before our own work counts as load
    rows: list[list[str]] = []
    kept: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="portage-bench-") as scratch:
        for model in options.model or _PHOTOS:
            case = _prepare(model, _PHOTOS[model], options, Path(scratch))
            samples = _measure(case, options.rounds)
            rows += _rows(model, _PHOTOS[model], samples)
            kept[model] = {side: [vars(item) for item in taken] for side, taken in samples.items()}
            if model == _FLAT[0]:
                flat = {}
                for photos in _FLAT[1:]:
                    taken = _ours(_prepare(model, photos, options, Path(scratch)))
                    flat[photos] = taken.peak_mib
                    console.say(f"  {model}, ours, {photos} photos: {taken.peak_mib:.0f} MiB")
    console.table(
        f"Calibration, median of {options.rounds}; ratios: this side over ours",
        [
            *("model", ">photos", "side", ">pass s", ">spread %", ">all s", ">peak MiB"),
            *(">pass", ">all", ">memory"),
        ],
        rows,
    )
    if _FLAT[0] in kept:
        print(
            f"{_FLAT[0]}, ours: "
            + ", ".join(f"{peak:.0f} MiB at {photos} photos" for photos, peak in flat.items())
        )
        kept["flat"] = flat
    path = build_root() / "bench_calibration.json"
    files.write_json(path, {"schema": 1, "samples": kept, "environment": environment})
    print(f"every timing: {console.shown(path)}")
    return Exit.OK


def _parse():
    parser = Parser(prog="python benchmarks/bench_calibration.py", description=__doc__)
    parser.add_argument(
        "--model",
        action="append",
        type=choice(*_PHOTOS),
        metavar="NAME",
        help=", ".join(_PHOTOS),
    )
    add_input_arguments(parser, weights="random", photos="; repeated where there are too few")
    add_rounds_argument(parser, 2)
    return parser.parse_args()


def _prepare(model: str, photos: int, options, scratch: Path) -> _Case:
    """The model's ONNX file, in a build folder of the benchmark's own, and the photos' crops."""
    import numpy as np

    from benchmarks.parts import run_command
    from convert.artifact import load
    from convert.to_onnx import KIND
    from data.crops import load_crops
    from data.images import ImageSet
    from deploy.targets.onnx import Onnx
    from models.registry import find_model

    folder = scratch / "build" / model / KIND.name / "fp32"
    if load(folder) is None:
        run_command(
            *(sys.executable, ROOT / "deploy" / "build.py", "--model", model),
            *("--name", model),
            *("--target", Onnx.name, "--precision", "fp32", "--weights", options.weights),
            BUILD_DIR=scratch / "build",
        )
    images = ImageSet.open(options.data).spread(photos)
    array = load_crops(images, find_model(model).preprocess).array
    rows = np.arange(photos) % len(array)
    crops = scratch / f"{model}-{photos}.npy"
    np.save(crops, array[rows])
    return _Case(model, folder, crops, scratch)


if __name__ == "__main__":
    run(main)
