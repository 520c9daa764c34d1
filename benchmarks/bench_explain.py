"""What `make explain` costs, against ONNX Runtime's own tools for debugging quantization.

    python benchmarks/bench_explain.py [--data DIR] [--model SqueezeNet1_1] [--rounds 3]

Both sides look into the same INT8 file on the same photos, by turns, in processes of their own. The
peer (benchmarks/baselines/explain.py, onnxruntime.quantization.qdq_loss_debug) compares it with the
float ONNX file; ours with Paddle, and also gives each layer Paddle's inputs. Memory is the
proportional set size of all processes of a side, looked at ten times a second.
"""

import json
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

if __name__ == "__main__":
    sys.path.insert(0, f"{sys.path[0]}/..")
    import common.start  # noqa: F401

import psutil

from benchmarks.arguments import add_input_arguments, add_rounds_argument
from benchmarks.parts import BASELINES, run_command
from common import console, files
from common.cli import Exit, Parser, positive, run
from common.paths import ROOT, build_root

_MIB = 2**20
_LOOK = 0.1  # seconds


@dataclass(frozen=True)
class _Sample:
    """One side, once: seconds of the work and from start to end, MiB at the peak, dB by tensor."""

    work: float
    total: float
    peak_mib: float
    sqnr_db: dict[str, float]


@dataclass(frozen=True)
class _Case:
    """A model's build, and the photos, in the scratch folder."""

    model: str
    weights: str
    photos: int
    scratch: Path

    @property
    def crops(self) -> Path:
        return self.scratch / "crops.npy"


def main() -> int:
    options = _parse()
    from benchmarks.bench import describe_environment

    environment = describe_environment()  # before our own work counts as load
    samples: dict[str, list[_Sample]] = {"ours": [], "peer": []}
    with tempfile.TemporaryDirectory(prefix="portage-bench-") as scratch:
        case = _prepare(options, Path(scratch))
        for number in range(options.rounds):
            sides = (("ours", _ours), ("peer", _peer))
            for side, take in sides if number % 2 == 0 else reversed(sides):
                samples[side].append(take(case))
    ours, peer = samples["ours"][0].sqnr_db, samples["peer"][0].sqnr_db
    shared = [name for name in ours if name in peer]
    apart = max(abs(ours[name] - peer[name]) for name in shared)
    console.table(
        f"Looking into {case.model}'s INT8 file for onnx, {case.photos} photos, median of "
        f"{options.rounds}; ratios: this side over ours",
        ["side", ">tensors", ">work s", ">all s", ">peak MiB", ">work", ">all", ">memory"],
        [_row(side, taken, samples["ours"]) for side, taken in samples.items()],
    )
    print(
        f"signal-to-noise ratios of the {len(shared)} that both have: {apart:.2f} dB apart at most"
    )
    path = build_root() / "bench_explain.json"
    kept = {side: [vars(one) for one in taken] for side, taken in samples.items()}
    files.write_json(path, {"schema": 1, "samples": kept, "environment": environment})
    print(f"every timing: {console.shown(path)}")
    return Exit.OK


def _parse():
    parser = Parser(prog="python benchmarks/bench_explain.py", description=__doc__)
    parser.add_argument("--model", default="SqueezeNet1_1", metavar="NAME")
    add_input_arguments(parser, weights="random", photos="; the others calibrate")
    parser.add_argument("--photos", type=positive, default=8, metavar="N", help="default: 8")
    add_rounds_argument(parser, 3)
    return parser.parse_args()


def _prepare(options, scratch: Path) -> _Case:
    """The model's files in a build folder of the benchmark's own, and the photos for both sides."""
    import numpy as np

    from data.crops import load_crops
    from data.images import ImageSet
    from models.registry import find_model

    images = ImageSet.open(options.data)
    looked = images.spread(options.photos)
    rest = images.take([at for at, one in enumerate(images.paths) if one not in looked.paths])
    for name, part in (("looked", looked), ("rest", rest)):
        lines = [f"{path.absolute()} {label}" for path, label in zip(*_pairs(part), strict=True)]
        (scratch / f"{name}.txt").write_text("\n".join(lines) + "\n")
    case = _Case(options.model, options.weights, len(looked), scratch)
    _profile(case)  # makes the files, and the mapping
    np.save(case.crops, load_crops(looked, find_model(options.model).preprocess).array)
    return case


def _pairs(images):
    return images.paths, images.labels


def _profile(case: _Case) -> tuple[dict, float, float]:
    """What `make explain` finds, its seconds, and its memory in MiB."""
    printed, seconds, peak = _watched(
        *(ROOT / "deploy" / "explain.py", "--model", case.model, "--name", case.model),
        *("--weights", case.weights, "--target", "onnx", "--precision", "int8"),
        *("--data", case.scratch / "looked.txt", "--calib", case.scratch / "rest.txt"),
        *("--photos", case.photos, "--json"),
        BUILD_DIR=case.scratch / "build",
    )
    return printed, seconds, peak


def _ours(case: _Case) -> _Sample:
    profile, seconds, peak = _profile(case)
    found = {one["tensor"]: one["sqnr_db"] for one in profile["layers"] if "sqnr_db" in one}
    return _Sample(profile["seconds"], seconds, peak, found)


def _peer(case: _Case) -> _Sample:
    build = case.scratch / "build" / case.model / "onnx"
    files = [build / precision / "model.onnx" for precision in ("fp32", "int8")]
    printed, seconds, peak = _watched(BASELINES / "explain.py", *files, case.crops)
    return _Sample(printed["seconds"], seconds, peak, printed["sqnr_db"])


def _watched(*words: object, **environment: object) -> tuple[dict, float, float]:
    """Run a Python script; what it printed last, its seconds, and the MiB of all its processes."""
    started, peak = time.perf_counter(), 0.0
    done = threading.Event()

    def watch() -> None:
        nonlocal peak
        me = psutil.Process()
        while not done.wait(_LOOK):
            peak = max(peak, sum(_size(one) for one in me.children(recursive=True)))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        _, printed = run_command(sys.executable, *words, **environment)
    finally:
        done.set()
        watcher.join()
    return json.loads(printed.splitlines()[-1]), time.perf_counter() - started, peak


def _size(process: psutil.Process) -> float:
    try:
        return process.memory_full_info().pss / _MIB
    except psutil.Error:  # it has ended
        return 0.0


def _row(side: str, taken: Sequence[_Sample], ours: Sequence[_Sample]) -> list[str]:
    """A side's figures, and their ratios to ours."""
    fields = ("work", "total", "peak_mib")
    middle, base = ({one: _middle(of, one) for one in fields} for of in (taken, ours))
    return [
        *(side, str(len(taken[0].sqnr_db))),
        *(f"{middle['work']:.1f}", f"{middle['total']:.1f}", f"{middle['peak_mib']:.0f}"),
        *(f"{middle[one] / base[one]:.2f}" for one in fields),
    ]


def _middle(samples: Sequence[_Sample], field: str) -> float:
    return median(getattr(sample, field) for sample in samples)


if __name__ == "__main__":
    run(main)
