"""How fast the toolkit is against the plain scripts and raw tools that do the same (`make bench`).

    python benchmarks/bench.py [--data DIR] [--only loader] [--rounds 3]

Both sides run by turns in the same session. A ratio is the plain side's time over ours, so above
1 means that the toolkit is faster. The plain scripts are in benchmarks/baselines/.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parents[1])
    from common import venv

    venv.enter()

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any, NamedTuple

from common import console, files, machine
from common.cli import Exit, Parser, run
from common.errors import StepError, UserError, suggest
from common.paths import ROOT, build_root
from convert.to_onnx import DEFAULT_OPSET
from data.images import ImageSet
from data.preprocess import Preprocess
from deploy.targets import TARGETS
from models.registry import ModelSpec, find_model
from models.weights import Weights, find_weights
from runtimes.environments import ENVIRONMENTS, LITE
from runtimes.worker import Worker

BASELINES = ROOT / "benchmarks" / "baselines"
_LIMIT = 3600.0  # seconds that any one command may take
_NOISY = 0.2  # a spread above this share of the median says that something else was running


class _Files(NamedTuple):
    """The file of a target: below a model's build folder, and as the raw tools leave it."""

    ours: str
    plain: str


_FILES = {
    "paddle": _Files("inference/fp32/inference.pdmodel", "inference.pdmodel"),
    "onnx": _Files("onnx/fp32/model.onnx", "model.onnx"),
    "openvino": _Files("openvino/fp32/model.xml", "model.xml"),
    "lite-x86": _Files("lite-x86/fp32/model.nb", "lite-x86.nb"),
    "lite-arm": _Files("lite-arm/fp32/model.nb", "lite-arm.nb"),
}


@dataclass(frozen=True)
class _Setting:
    """What both sides work on. `weights` and `photos` are None where no part needs them.

    `targets` are those whose tools are here; `scratch` is a folder that goes away in the end. It
    holds `listing`, the photos in PaddleClas' list format, and `built`, a build folder.
    """

    spec: ModelSpec
    weights: Weights | None
    photos: ImageSet | None
    targets: tuple[str, ...]
    scratch: Path

    @property
    def listing(self) -> Path:
        return self.scratch / "photos.txt"

    @property
    def built(self) -> Path:
        return self.scratch / "build"

    @property
    def runnable(self) -> list[str]:
        """The targets that run on this machine."""
        return [name for name in self.targets if name != "lite-arm"]

    @property
    def geometry(self) -> list[str]:
        """The model's resizing and cropping, as the plain scripts take it."""
        preprocess = self.spec.preprocess
        sizes = ["--resize", str(preprocess.resize_short), "--crop", str(preprocess.crop)]
        return sizes + ["--pillow"] * (preprocess.library == "pillow")

    @property
    def python37(self) -> list[Path]:
        """The interpreter that has Paddle Lite; nothing where it is left out."""
        return [LITE.python] if "lite-x86" in self.targets else []


@dataclass(frozen=True)
class _Sample:
    """One side, once: the seconds of each command, and what came out of them.

    Both sides' outcomes must be equal: otherwise they did not do the same work.
    """

    seconds: Mapping[str, float]
    outcome: Any

    @property
    def total(self) -> float:
        return sum(self.seconds.values())


@dataclass(frozen=True)
class _Part:
    """One comparison. `same` says, of both sides' equal outcome, what was found to be equal."""

    name: str
    title: str
    ours: Callable[[_Setting], _Sample]
    plain: Callable[[_Setting], _Sample]
    same: Callable[[_Setting, Any], str]


# ---- loader ----


def _load_ours(setting: _Setting) -> _Sample:
    with _scratch(setting) as cache, Worker("main", "loading photos") as worker:
        timed_session_spec = worker.call(
            "benchmarks.bench:load_cold",
            limit=_LIMIT,
            listing=str(setting.listing),
            preprocess=setting.spec.preprocess.to_json(),
            cache=cache,
        )
    return _Sample({"load_crops": timed_session_spec["seconds"]}, timed_session_spec["sha256"])


def load_cold(listing: str, preprocess: dict, cache: str) -> dict:
    """In a child process: load photos with an empty cache; seconds, and the crops' SHA-256."""
    import hashlib

    import cv2  # noqa: F401 (the plain script has imported it when its clock starts)

    from data.crops import load_crops

    os.environ["XDG_CACHE_HOME"] = cache
    images, wanted = ImageSet.open(listing), Preprocess.from_json(preprocess)
    started = time.perf_counter()
    crops = load_crops(images, wanted)
    seconds = time.perf_counter() - started
    return {"seconds": seconds, "sha256": hashlib.sha256(crops.array).hexdigest()}


def _load_plain(setting: _Setting) -> _Sample:
    _, printed = run_baseline("loader.py", setting.listing, *setting.geometry)
    return _Sample({"loader.py": printed["seconds"]}, printed["sha256"])


def _same_crops(setting: _Setting, digest: str) -> str:
    return "both sides give the same crops, bit for bit; ours also hashes the photos"


# ---- validate ----


def _validate_ours(setting: _Setting) -> _Sample:
    """One call for all targets, with no crops in the cache and no reference logits kept."""
    for kept in ("reference", "results"):
        shutil.rmtree(setting.built / setting.spec.name / kept, ignore_errors=True)
    with _scratch(setting) as cache:
        seconds, printed = run_command(
            *(sys.executable, ROOT / "deploy" / "validate.py", "--model", setting.spec.name),
            *(word for target in setting.runnable for word in ("--target", target)),
            *("--precision", "fp32", "--data", setting.listing, "--json"),
            XDG_CACHE_HOME=cache,
            BUILD_DIR=setting.built,
        )
    results = {item["target"]: item for item in map(json.loads, printed.splitlines())}
    right = {name: _right(item, "measured") for name, item in results.items()}
    # What ours runs on every photo of Paddle's is the reference, which has oneDNN's kernels as
    # the plain script has by default; Paddle's own kernels check it on a few.
    right["paddle"] = _right(results["onnx"], "reference")
    return _Sample({"validate.py": seconds}, right)


def _right(result: dict, side: str) -> int:
    """How many photos a side of a result, "reference" or "measured", got right."""
    return round(result[side]["top1"] * result["data"]["images"])


def _validate_plain(setting: _Setting) -> _Sample:
    seconds, right = {}, {}
    for target in setting.runnable:
        lite = target == "lite-x86"
        seconds[target], printed = run_baseline(
            "validate_lite.py" if lite else f"validate_{target}.py",
            *(setting.listing, (setting.built / setting.spec.name / _FILES[target].ours).parent),
            *(setting.python37 if lite else []),
            *setting.geometry,
        )
        right[target] = printed["right"]
    return _Sample(seconds, right)


def _same_decisions(setting: _Setting, right: dict[str, int]) -> str:
    count = len(setting.photos)
    shares = ", ".join(f"{target} {100 * n / count:.1f} %" for target, n in right.items())
    return (
        f"both sides reach the same top-1: {shares}; ours also runs Paddle's own kernels on some "
        "of the photos, against the oneDNN kernels that both sides use"
    )


# ---- chain ----


def _chain_ours(setting: _Setting) -> _Sample:
    with _scratch(setting) as folder:
        seconds = _build(setting, Path(folder))
        made = {name: Path(folder) / setting.spec.name / _FILES[name].ours for name in _FILES}
        return _Sample({"build.py": seconds}, _whole(made))


def _build(setting: _Setting, root: Path) -> float:
    """Export and convert for all targets into a build folder; returns the seconds."""
    seconds, _ = run_command(
        *(sys.executable, ROOT / "deploy" / "build.py", "--model", setting.spec.name),
        *(word for target in setting.targets for word in ("--target", target)),
        *("--precision", "fp32", "--weights", setting.weights.path),
        BUILD_DIR=root,
    )
    return seconds


def _chain_plain(setting: _Setting) -> _Sample:
    weights = setting.weights.path.absolute()
    with _scratch(setting) as folder:
        _, seconds = run_baseline(
            *("chain.py", setting.spec.name, weights, folder, DEFAULT_OPSET), *setting.python37
        )
        made = {name: Path(folder) / _FILES[name].plain for name in _FILES}
        return _Sample(seconds, _whole(made))


def _whole(made: Mapping[str, Path]) -> list[str]:
    """The targets whose file is there and holds something."""
    return [name for name, path in made.items() if path.is_file() and path.stat().st_size]


def _same_files(setting: _Setting, targets: list[str]) -> str:
    return (
        f"both sides made the files of {', '.join(targets)}; ours also loads each result that runs "
        "here, runs it at batch 1, 2 and 5 and compares its logits with the step before"
    )


_COMPARISONS = (
    _Part("loader", "load photos, cold cache", _load_ours, _load_plain, _same_crops),
    _Part("validate", "validate fp32", _validate_ours, _validate_plain, _same_decisions),
    _Part("chain", "export and convert fp32", _chain_ours, _chain_plain, _same_files),
)
_PARTS = {part.name: part for part in _COMPARISONS}


# ---- commands ----


def _scratch(setting: _Setting) -> tempfile.TemporaryDirectory:
    return tempfile.TemporaryDirectory(dir=setting.scratch)


def run_baseline(script: str, *arguments: object) -> tuple[float, dict]:
    """Run a plain script; returns its seconds from start to end and the object it printed."""
    seconds, printed = run_command(sys.executable, BASELINES / script, *arguments)
    return seconds, json.loads(printed.splitlines()[-1])


def run_command(*words: object, **environment: object) -> tuple[float, str]:
    """Run an interpreter on a script; returns its seconds and its standard output."""
    script = console.shown(Path(words[1]))
    settings = {name: str(value) for name, value in environment.items()}
    started = time.perf_counter()
    try:
        done = subprocess.run(
            [str(word) for word in words],
            capture_output=True,
            text=True,
            timeout=_LIMIT,
            env=os.environ | settings,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise StepError(f"{script}: no end within {_LIMIT:.0f} s") from None
    seconds = time.perf_counter() - started
    if done.returncode:
        kind = UserError if done.returncode == Exit.USAGE else StepError
        raise kind(f"{script} ended with status {done.returncode}: {_last_line(done)}")
    return seconds, done.stdout


def _last_line(done: subprocess.CompletedProcess) -> str:
    """The most telling line that a failed command printed, at most 300 characters."""
    lines = f"{done.stdout}\n{done.stderr}".strip().splitlines() or ["it printed nothing"]
    telling = next((line for line in lines if line.startswith("error: ")), lines[-1])
    return telling.removeprefix("error: ")[:300]


# ---- the measurement ----


def _measure(part: _Part, setting: _Setting, rounds: int) -> dict:
    """Run both sides by turns; returns the part's entry in `bench.json`."""
    samples = {"ours": [], "plain": []}
    for number in range(rounds):
        sides = [("ours", part.ours), ("plain", part.plain)]
        # Who goes first alternates too: the first pays for whatever went cold in between.
        for side, take in sides if number % 2 == 0 else reversed(sides):
            samples[side].append(take(setting))
        ours, plain = samples["ours"][-1], samples["plain"][-1]
        if ours.outcome != plain.outcome:
            raise StepError(
                f"{part.name}: the two sides did not do the same: ours gives {ours.outcome}, the "
                f"plain side {plain.outcome}"
            )
        console.say(
            f"  {part.name}, round {number + 1} of {rounds}: ours {ours.total:.2f} s, "
            f"plain {plain.total:.2f} s"
        )
    summaries = {side: _summary(taken) for side, taken in samples.items()}
    return {
        "part": part.name,
        **summaries,
        "ratio": summaries["plain"]["median_s"] / summaries["ours"]["median_s"],
        "noisy": any(summary["spread"] > _NOISY for summary in summaries.values()),
        "outcome": samples["ours"][-1].outcome,
    }


def _summary(samples: list[_Sample]) -> dict:
    """Median in seconds, spread ((largest - smallest) / median), and every single timing."""
    totals = [sample.total for sample in samples]
    middle = median(totals)
    return {
        "median_s": middle,
        "spread": (max(totals) - min(totals)) / middle,
        "rounds_s": [dict(sample.seconds) for sample in samples],
    }


def _show(setting: _Setting, measured: list[dict], rounds: int) -> None:
    count = f", {len(setting.photos)} photos ({setting.photos.name})" if setting.photos else ""
    console.table(
        f"{setting.spec.name}{count}, median of {rounds}",
        ["what", ">ours", ">spread", ">plain", ">spread", ">ratio (plain / ours)", ""],
        [_row(setting, entry) for entry in measured],
    )
    for entry in measured:
        print(f"{entry['part']}: {_PARTS[entry['part']].same(setting, entry['outcome'])}")


def _row(setting: _Setting, entry: dict) -> list[str]:
    cells = []
    for side in ("ours", "plain"):
        cells.append(_speed(setting, entry["part"], entry[side]["median_s"]))
        cells.append(f"{100 * entry[side]['spread']:.0f} %")
    noisy = "[yellow]noisy[/yellow]" if entry["noisy"] else ""
    return [_PARTS[entry["part"]].title, *cells, f"{entry['ratio']:.2f}", noisy]


def _speed(setting: _Setting, part: str, seconds: float) -> str:
    if part == "loader":
        return f"{len(setting.photos) / seconds:.0f} photos/s"
    return f"{seconds:.1f} s"


def describe_environment() -> dict:
    """This machine and the tools' versions, as they stand beside the timings."""
    return {
        "cpu": machine.cpu(),
        "isa": machine.isa(),
        "threads": machine.threads(),
        "load": os.getloadavg()[0],
        "versions": {
            name: {tool: environment.version(tool) for tool in environment.tools}
            for name, environment in ENVIRONMENTS.items()
        },
    }


def main() -> int:
    options = _parse()
    spec = find_model(options.model)
    parts = [part for part in _COMPARISONS if part.name in (options.only or _PARTS)]
    environment = describe_environment()  # before our own work counts as load
    with tempfile.TemporaryDirectory(prefix="portage-bench-") as scratch:
        setting = _prepare(spec, {part.name for part in parts}, options, Path(scratch))
        measured = [_measure(part, setting, options.rounds) for part in parts]
    _show(setting, measured, options.rounds)
    facts = {"schema": 1, "model": spec.name, "rounds": options.rounds, "parts": measured}
    path = build_root() / "bench.json"
    files.write_json(path, {**facts, **_inputs(setting), "environment": environment})
    print(f"every timing: {console.shown(path)}")
    return Exit.OK


def _inputs(setting: _Setting) -> dict:
    """The weights and the photos of both sides, null where no part needed them."""
    weights, photos = setting.weights, setting.photos
    named = (
        {"name": photos.name, "images": len(photos), "sha256": photos.sha256} if photos else None
    )
    return {"weights": weights.label if weights else None, "data": named}


def _parse():
    parser = Parser(prog="python benchmarks/bench.py", description=__doc__)
    parser.add_argument("--model", default="SqueezeNet1_1", metavar="NAME")
    parser.add_argument(
        "--data",
        default="demo",
        metavar="DIR",
        help="a folder with val_list.txt, one folder per class, or demo (default)",
    )
    parser.add_argument(
        "--weights",
        default="demo",
        metavar="W",
        help="a .pdparams file, a folder of them, official or demo (default)",
    )
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="default: 3")
    parser.add_argument(
        "--only", action="append", metavar="PART", help=f"{', '.join(_PARTS)}; repeatable"
    )
    options = parser.parse_args()
    for name in options.only or ():
        if name not in _PARTS:
            raise UserError(f"unknown part '{name}': {suggest(name, _PARTS)}")
    if options.rounds < 1:
        raise UserError(f"--rounds {options.rounds}: at least one round is needed")
    return options


def _prepare(spec: ModelSpec, parts: set[str], options, scratch: Path) -> _Setting:
    """Open everything that the parts need, so that no measurement waits for it or fails on it."""
    photos = ImageSet.open(options.data) if parts & {"loader", "validate"} else None
    weights = _find_weights(spec, options.weights) if parts & {"validate", "chain"} else None
    setting = _Setting(spec, weights, photos, _targets(), scratch)
    if photos:
        for path in photos.paths:  # so that neither side waits for the disk
            path.read_bytes()
        with setting.listing.open("w", encoding="utf-8", errors="surrogateescape") as listing:
            for path, label in zip(photos.paths, photos.labels, strict=True):
                listing.write(f"{path.absolute()} {label}\n")
    if weights:
        console.say("  an untimed build first, so that both sides find the libraries in memory")
        _build(setting, setting.built)
    return setting


def _find_weights(spec: ModelSpec, wanted: str) -> Weights:
    weights = find_weights(spec, wanted)
    if weights.path is None or weights.path.suffix != ".pdparams":
        raise UserError(f"--weights {wanted}: the plain export script reads .pdparams files only")
    return weights


def _targets() -> tuple[str, ...]:
    present = []
    for name in _FILES:
        problem = TARGETS[name].problem()
        if problem:
            console.say(f"  {name} is left out on both sides: {problem}")
        else:
            present.append(name)
    return tuple(present)


if __name__ == "__main__":
    run(main)
