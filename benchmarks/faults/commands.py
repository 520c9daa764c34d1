"""The commands that a campaign kills: what each makes, and what is right of it afterwards."""

import csv
import json
import re
import shutil
import subprocess
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common import files
from common.paths import ROOT
from runtimes.environments import MAIN, SERVE

_MODEL, _CLASSES, _PHOTOS = "SqueezeNet1_1", 10, 30
_NET = f"build/{_MODEL}"
_PROJECT = "project"  # a toolkit of three small packages, which a case sets up
_FEW_PACKAGES = ("idna", "packaging", "filelock")

Done = subprocess.CompletedProcess


@dataclass(frozen=True)
class Command:
    """A command: its words, `makes` the files that are taken away before it runs, `result` what has
    to be the same after each run that ends with one of `statuses`. Where two of it may run in one
    folder it is `shared`; `again` are the words of the next run beside. A server goes on until it
    was `asked` something and Ctrl-C came. `lacking` says why it cannot run here, `fetches` that it
    reads archives from registries. `wanted` is how often a whole campaign kills it.
    """

    name: str
    words: tuple[str, ...]
    makes: tuple[str, ...]
    result: Callable[[Path, Done], Any]
    wanted: int
    statuses: tuple[int, ...] = (0,)
    shared: bool = False
    again: tuple[str, ...] = ()
    asked: Callable[[str], None] | None = None
    lacking: Callable[[], str | None] = lambda: None
    fetches: bool = False

    def script(self, folder: Path) -> Path:
        """What runs: a file of the toolkit, or of the copy of it in the case's folder."""
        own = folder / self.words[0]
        return own if own.exists() else ROOT / self.words[0]


def result_of(command: Command, folder: Path, done: Done) -> Any:
    """What a run gave, as JSON has it."""
    return json.loads(json.dumps(command.result(folder, done)))


def material(base: Path) -> None:
    """What the commands need: photos, and a copy of the toolkit that is to be set up."""
    _photos_of_its_own(base / "photos")
    for room in ("common", "runtimes"):
        shutil.copytree(ROOT / room, base / _PROJECT / room,
                        ignore=shutil.ignore_patterns("__pycache__"))  # fmt: skip
    locks = base / _PROJECT / "requirements"
    locks.mkdir()
    text = (ROOT / "requirements" / MAIN.lock).read_text()
    few = [re.search(rf"^{name}==.*\n(?:    --hash.*\n)+", text, re.M) for name in _FEW_PACKAGES]
    (locks / MAIN.lock).write_text("".join(one[0].rstrip(" \\\n") + "\n" for one in few if one))
    (locks / str(MAIN.no_deps_lock)).write_text("# nothing\n")


def _photos_of_its_own(folder: Path) -> None:
    """Photos of nothing, labelled: a list that judges, and class folders that train."""
    import cv2
    import numpy as np

    rng = np.random.default_rng(0)
    lines = []
    for number in range(_PHOTOS):
        pixels = rng.integers(0, 255, (12, 12, 3), np.uint8)
        pixels = cv2.resize(pixels, (260, 240 + number), interpolation=cv2.INTER_CUBIC)
        path = folder / f"{number % _CLASSES}" / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(cv2.imencode(".jpg", pixels)[1].tobytes())
        lines.append(f"{path.relative_to(folder)} {number % _CLASSES}\n")
    (folder / "val_list.txt").write_text("".join(lines))


# ---- what is right ----


def _digests(*patterns: str) -> Callable[[Path, Done], Any]:
    """The contents of the files that these patterns find, but manifests, which have times."""

    def result(folder: Path, _: Done) -> Any:
        found = [path for one in patterns for path in sorted(folder.glob(one)) if path.is_file()]
        return {
            str(path.relative_to(folder)): files.sha256(path)
            for path in found
            if path.name != "manifest.json" and not path.name.startswith(".")
        }

    return result


def _judged(precision: str) -> Callable[[Path, Done], Any]:
    """The verdicts and the drifts of the results in a precision."""

    def result(folder: Path, _: Done) -> Any:
        found = {}
        for path in sorted((folder / _NET / "results").glob(f"*{precision}*.json")):
            one = json.loads(path.read_text())
            found[path.name] = [one["verdict"], one.get("drift"), one.get("files")]
        return found

    return result


def _said(_: Path, done: Done) -> Any:
    return done.stdout.splitlines()[:1]


def _freed(folder: Path, _: Done) -> Any:
    """That no photos are left, and everything else is."""
    cache = folder / "cache" / "paddle-portage"
    return [any((cache / "crops").glob("*")), (cache / "packages").exists()]


def _evaluated(_: Path, done: Done) -> Any:
    """What `evaluate --json` found, but for its speed."""
    found = json.loads(done.stdout) if done.stdout else {}
    return {name: value for name, value in found.items() if name != "photos_per_second"}


def _adapted(folder: Path, done: Done) -> Any:
    """A checkpoint, and what its photos were, wherever they lie."""
    split = json.loads((folder / "weights/own.split.json").read_text())
    return [_digests("weights/own.pdparams")(folder, done), split | {"source": ""}]


def _trained(folder: Path, done: Done) -> Any:
    """A training's weights, and its log but for the speeds."""
    with (folder / "run/log.csv").open(newline="") as stream:
        rows = [[row["epoch"], row["loss"], row["top1"]] for row in csv.DictReader(stream)]
    return [_digests("run/last.pdparams", "run/best.pdparams")(folder, done), rows]


def _installed(folder: Path, _: Done) -> Any:
    """The packages of an environment, that it runs, and that there is no other beside it."""
    environment = folder / _PROJECT / MAIN.folder
    said = subprocess.run([environment / "bin" / "python", "-c", f"import {_FEW_PACKAGES[0]}"],
                          capture_output=True, text=True, check=False).stderr  # fmt: skip
    beside = sorted(path.name for path in (folder / _PROJECT).glob(".venv*"))
    return [said, beside, _digests(f"{_PROJECT}/.venv/lib/*/site-packages/**/*.py")(folder, _)]


def _ask_served(said: str) -> None:
    """A server answers for a model, as soon as it says that it is ready."""
    address = re.search(r"REST (\S+)", said)
    with urllib.request.urlopen(f"{address[1]}/v2/models/{_MODEL}/ready" if address else "") as it:
        it.read()


def _program_runs(folder: Path, _: Done) -> Any:
    done = subprocess.run([folder / "build/cpp/portage"], capture_output=True, check=False)
    return done.returncode


def _no_program() -> str | None:
    """Why the C++ program is not compiled here."""
    tools = [tool for tool in ("cmake", "c++") if not shutil.which(tool)]
    header = Path("/usr/include/opencv4/opencv2/imgcodecs.hpp")
    return (
        f"{', '.join(tools) or header.name} is not here" if tools or not header.exists() else None
    )


def _no_app() -> str | None:
    """Why the app is not built here."""
    tools = [tool for tool in ("javac", "keytool", "mvn", "npm") if not shutil.which(tool)]
    return f"{', '.join(tools)} is not here" if tools else None


def _there(name: str) -> Callable[[Path, Done], Any]:
    return lambda folder, _: (folder / name).stat().st_size > 0


# ---- commands, in the order in which they need each other ----

_ONE = ("--model", _MODEL)
_DATA = ("--data", "photos/val_list.txt")
_JUDGED = (0, 1, 3)  # a verdict: nothing is trained, and the photos are few
_INT8 = ("--method", "minmax")
_PORT = "18431"  # the same for the next run: it is free again

COMMANDS: dict[str, Command] = {
    one.name: one
    for one in (
        Command(
            "export",
            ("convert/export.py", *_ONE, "--weights", "random", "--classes", str(_CLASSES)),
            ("build/*",), _digests(f"{_NET}/inference/fp32/*"), 12, shared=True,
        ),
        Command(
            "convert", ("deploy/build.py", *_ONE, "--target", "openvino", "--precision", "fp32"),
            (f"{_NET}/onnx", f"{_NET}/openvino"),
            _digests(f"{_NET}/onnx/fp32/*", f"{_NET}/openvino/fp32/*"), 12, shared=True,
        ),
        Command(
            "validate",
            ("deploy/validate.py", *_ONE, "--target", "onnx", "--precision", "fp32", *_DATA),
            (f"{_NET}/results/*fp32*", f"{_NET}/reference", f"{_NET}/onnx", "cache/*"),
            _judged("fp32"), 12, _JUDGED, shared=True,
        ),
        Command(
            "calibrate", ("deploy/calibrate.py", *_ONE, "--target", "onnx", *_DATA, *_INT8),
            (f"{_NET}/ranges", f"{_NET}/results/*int8*", f"{_NET}/calibration",
             f"{_NET}/onnx/int8"),
            _judged("int8"), 12, _JUDGED, shared=True,
        ),
        Command(
            "matrix",
            ("deploy/matrix.py", *_ONE, "--target", "onnx", "--target", "openvino", "--precision",
             "fp32", *_DATA),
            (f"{_NET}/results/*fp32*", f"{_NET}/onnx/fp32", f"{_NET}/openvino", "build/matrix*"),
            _judged("fp32"), 8, _JUDGED,
        ),
        Command(
            "benchmark",
            ("deploy/benchmark.py", *_ONE, "--target", "onnx", "--precision", "fp32", "--batch",
             "1", "--limit", "1"),
            (f"{_NET}/latency",), _there(f"{_NET}/latency/onnx-fp32.json"), 8,
        ),
        Command(
            "evaluate", ("deploy/evaluate.py", *_ONE, *_DATA, "--json"), ("cache/*",),
            _evaluated, 6,
        ),
        Command(
            "explain",
            ("deploy/explain.py", *_ONE, "--target", "onnx", "--precision", "fp32", *_DATA),
            (f"{_NET}/explain", "cache/*"), _said, 8, (0, 1, 3),
        ),
        Command(
            "package",
            ("deploy/package.py", *_ONE, "--target", "onnx", "--precision", "fp32", "--photos", "4",
             *_DATA),
            (f"{_NET}/package",), _digests(f"{_NET}/package/*/*.zip"), 8, shared=True,
        ),
        Command(
            "verify",
            ("deploy/verify.py", "--package",
             f"{_NET}/package/onnx-fp32/{_MODEL}-onnx-fp32.zip"),
            (), _said, 6, (3,),
        ),
        Command(
            "report", ("deploy/report.py", *_ONE, "--also", "csv,json"), ("build/report*",),
            _there("build/report.html"), 6,
        ),
        Command(
            "adapt",
            ("training/adapt.py", *_ONE, *_DATA, "--init", "random", "--out",
             "weights/own.pdparams"),
            ("weights/*", "cache/*"), _adapted, 8,
        ),
        Command(
            "train",
            ("training/train.py", *_ONE, *_DATA, "--epochs", "2", "--batch", "5",
             "--limit-steps", "2", "--out", "run"),
            ("run",), _trained, 6, again=("--resume",),
        ),
        Command("clean-cache", ("deploy/clean_cache.py",), (), _freed, 4),
        Command(
            "serve", ("deploy/serve.py", *_ONE, "--port", _PORT), (f"{_NET}/onnx",),
            _digests(f"{_NET}/onnx/fp32/*"), 10, asked=_ask_served, lacking=SERVE.problem,
        ),
        Command(
            "setup", (f"{_PROJECT}/runtimes/install.py", "--only", MAIN.name),
            (f"{_PROJECT}/.venv",), _installed, 8,
        ),
        Command(
            "cpp", ("deploy/cpp.py",), ("build/cpp*",), _program_runs, 3, lacking=_no_program
        ),
        Command(
            "apk", ("deploy/apk.py", *_ONE, "--target", "opencv", "--photos", "4", *_DATA),
            ("build/apk*", f"{_NET}/package/opencv*"), _digests("build/apk/*.apk"), 4,
            lacking=_no_app, fetches=True,
        ),
    )
}  # fmt: skip
