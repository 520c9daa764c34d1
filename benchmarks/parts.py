"""What `make bench` compares: each part, its two sides, and that both did the same work."""

import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common import console, process
from common.cli import Exit
from common.errors import UserError
from common.paths import ROOT
from convert.to_onnx import DEFAULT_OPSET
from data.images import ImageSet
from data.preprocess import Preprocess
from deploy.targets.base import Target
from deploy.targets.paddle import Paddle
from models.registry import ModelSpec
from models.weights import Weights
from runtimes.environments import ENVIRONMENTS, MAIN
from runtimes.session_pool import NATIVE
from runtimes.worker import Worker

BASELINES = ROOT / "benchmarks" / "baselines"
_LIMIT = 3600.0  # seconds that any one command may take


@dataclass(frozen=True)
class Setting:
    """What both sides work on. `weights` and `photos` are None where no part needs them.

    `targets` are those that both sides make files for; `scratch` is a folder that goes away in the
    end. It holds `listing`, the photos in PaddleClas' list format, and `built`, a build folder.
    """

    spec: ModelSpec
    weights: Weights | None
    photos: ImageSet | None
    targets: tuple[Target, ...]
    scratch: Path

    @property
    def listing(self) -> Path:
        return self.scratch / "photos.txt"

    @property
    def built(self) -> Path:
        return self.scratch / "build"

    @property
    def runnable(self) -> list[Target]:
        """The targets that both sides run on this machine."""
        return [
            target
            for target in self.targets
            if target.session_spec("fp32").execution == NATIVE and _validating(target).is_file()
        ]

    @property
    def geometry(self) -> list[str]:
        """The model's resizing and cropping, as the plain scripts take it."""
        preprocess = self.spec.preprocess
        sizes = ["--resize", str(preprocess.resize_short), "--crop", str(preprocess.crop)]
        return sizes + ["--pillow"] * (preprocess.library == "pillow")

    @property
    def interpreters(self) -> list[Path]:
        """Those of the targets' tools that have another interpreter than this one."""
        wanted = {tool.environment.name for target in self.targets for tool in target.tools}
        return [ENVIRONMENTS[name].python for name in sorted(wanted - {MAIN.name})]


@dataclass(frozen=True)
class Sample:
    """One side, once: the seconds of each command, and what came out of them.

    Both sides' outcomes must be equal: otherwise they did not do the same work.
    """

    seconds: Mapping[str, float]
    outcome: Any

    @property
    def total(self) -> float:
        return sum(self.seconds.values())


@dataclass(frozen=True)
class Part:
    """One comparison. `same` says, of both sides' equal outcome, what was found to be equal."""

    name: str
    title: str
    ours: Callable[[Setting], Sample]
    plain: Callable[[Setting], Sample]
    same: Callable[[Setting, Any], str]


# ---- loader ----


def _load_ours(setting: Setting) -> Sample:
    with _scratch(setting) as cache, Worker("main", "loading photos") as worker:
        timed = worker.call(
            load_cold,
            limit=_LIMIT,
            listing=str(setting.listing),
            preprocess=setting.spec.preprocess.to_json(),
            cache=cache,
        )
    return Sample({"load_crops": timed["seconds"]}, timed["sha256"])


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
    return {"seconds": seconds, "sha256": hashlib.sha256(crops.array.data).hexdigest()}


def _load_plain(setting: Setting) -> Sample:
    _, printed = run_baseline("loader.py", setting.listing, *setting.geometry)
    return Sample({"loader.py": printed["seconds"]}, printed["sha256"])


def _same_crops(setting: Setting, digest: str) -> str:
    return "both sides give the same crops, bit for bit; ours also hashes the photos"


# ---- validate ----


def _validate_ours(setting: Setting) -> Sample:
    """One call for all targets, with no crops in the cache and no reference logits kept."""
    for kept in ("reference", "results"):
        shutil.rmtree(setting.built / setting.spec.name / kept, ignore_errors=True)
    with _scratch(setting) as cache:
        seconds, printed = run_command(
            *(sys.executable, ROOT / "deploy" / "validate.py", "--model", setting.spec.name),
            *("--name", setting.spec.name),
            *(word for target in setting.runnable for word in ("--target", target.name)),
            *("--precision", "fp32", "--data", setting.listing, "--json"),
            XDG_CACHE_HOME=cache,
            BUILD_DIR=setting.built,
        )
    results = {item["target"]: item for item in map(json.loads, printed.splitlines())}
    right = {name: _right(item, "measured") for name, item in results.items()}
    # What ours runs on every photo of Paddle's is the reference, which has oneDNN's kernels as
    # the plain script has by default; Paddle's own kernels check it on a few.
    most = max(results.values(), key=lambda item: item["data"]["images"])
    right[Paddle.name] = _right(most, "reference")
    return Sample({"validate.py": seconds}, right)


def _right(result: dict, side: str) -> int:
    """How many photos a side of a result, "reference" or "measured", got right."""
    return round(result[side]["top1"] * result["data"]["images"])


def _validate_plain(setting: Setting) -> Sample:
    seconds, right = {}, {}
    for target in setting.runnable:
        environment = ENVIRONMENTS[target.session_spec("fp32").environment]
        seconds[target.name], printed = run_baseline(
            _validating(target).name,
            *(setting.listing, _ours(setting, setting.built, target).parent),
            *([] if environment is MAIN else [environment.python]),
            *setting.geometry,
        )
        right[target.name] = printed["right"]
    return Sample(seconds, right)


def _validating(target: Target) -> Path:
    """The plain script that validates a target's file, where there is one."""
    return BASELINES / f"validate_{target.name.replace('-', '_')}.py"


def _same_decisions(setting: Setting, right: dict[str, int]) -> str:
    assert setting.photos
    count = len(setting.photos)
    shares = ", ".join(f"{target} {100 * n / count:.1f} %" for target, n in right.items())
    return (
        f"both sides reach the same top-1: {shares}; ours also runs Paddle's own kernels on some "
        "of the photos, against the oneDNN kernels that both sides use"
    )


# ---- chain ----


def _chain_ours(setting: Setting) -> Sample:
    with _scratch(setting) as folder:
        seconds = build(setting, Path(folder))
        made = {target.name: _ours(setting, Path(folder), target) for target in setting.targets}
        return Sample({"build.py": seconds}, _whole(made))


def _ours(setting: Setting, root: Path, target: Target) -> Path:
    """The file of a target in fp32, in a build folder."""
    kind = target.kinds[-1]
    return root / setting.spec.name / kind.name / "fp32" / kind.files[0]


def build(setting: Setting, root: Path) -> float:
    """Export and convert for all targets into a build folder; returns the seconds."""
    assert setting.weights
    seconds, _ = run_command(
        *(sys.executable, ROOT / "deploy" / "build.py", "--model", setting.spec.name),
        *("--name", setting.spec.name),
        *(word for target in setting.targets for word in ("--target", target.name)),
        *("--precision", "fp32", "--weights", setting.weights.file),
        BUILD_DIR=root,
    )
    return seconds


def _chain_plain(setting: Setting) -> Sample:
    assert setting.weights
    weights = setting.weights.file.absolute()
    with _scratch(setting) as folder:
        _, seconds = run_baseline(
            *("chain.py", setting.spec.name, weights, folder, DEFAULT_OPSET), *setting.interpreters
        )
        kinds = {target.name: target.kinds[-1] for target in setting.targets}
        made = {name: Path(folder) / kind.name / kind.files[0] for name, kind in kinds.items()}
        return Sample(seconds, _whole(made))


def _whole(made: Mapping[str, Path]) -> list[str]:
    """The targets whose file is there and holds something."""
    return [name for name, path in made.items() if path.is_file() and path.stat().st_size]


def _same_files(setting: Setting, targets: list[str]) -> str:
    return (
        f"both sides made the files of {', '.join(targets)}; ours also loads each result that runs "
        "here, runs it at batch 1, 2 and 5 and compares its logits with the step before"
    )


COMPARISONS = (
    Part("loader", "load photos, cold cache", _load_ours, _load_plain, _same_crops),
    Part("validate", "validate fp32", _validate_ours, _validate_plain, _same_decisions),
    Part("chain", "export and convert fp32", _chain_ours, _chain_plain, _same_files),
)


# ---- commands ----


def _scratch(setting: Setting) -> tempfile.TemporaryDirectory:
    return tempfile.TemporaryDirectory(dir=setting.scratch)


def run_baseline(script: str, *arguments: object) -> tuple[float, dict]:
    """Run a plain script; returns its seconds from start to end and the object it printed."""
    seconds, printed = run_command(sys.executable, BASELINES / script, *arguments)
    return seconds, json.loads(printed.splitlines()[-1])


def run_command(*arguments: object, **environment: object) -> tuple[float, str]:
    """Run an interpreter on a script; returns its seconds and its standard output."""
    words = [str(argument) for argument in arguments]
    script = console.shown(Path(words[1]))
    settings = {name: str(value) for name, value in environment.items()}
    started = time.perf_counter()
    done = process.run(
        words,
        what=script,
        limit=_LIMIT,
        telling=_complaint,
        statuses=(Exit.OK, Exit.USAGE),
        environment=settings,
    )
    seconds = time.perf_counter() - started
    if done.status == Exit.USAGE:
        raise UserError(process.sentence(script, f"it {process.ending(2)}", _complaint(done)))
    return seconds, done.stdout


def _complaint(done: process.Completed) -> str:
    """The error that a failed command told, else its last line."""
    lines = f"{done.stdout}\n{done.stderr}".strip().splitlines() or ["it printed nothing"]
    telling = next((line for line in lines if line.startswith("error: ")), lines[-1])
    return telling.removeprefix("error: ")
