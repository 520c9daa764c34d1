"""The commands that a campaign kills: what each makes, and what is right of it afterwards."""

import csv
import json
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common import files

_MODEL, _CLASSES, _PHOTOS = "SqueezeNet1_1", 10, 30
_NET = f"build/{_MODEL}"

Done = subprocess.CompletedProcess


@dataclass(frozen=True)
class Command:
    """A command: its words, `makes` the files that are taken away before it runs, `result` what has
    to be the same after each run that ends with one of `statuses`. Where two of it may run in one
    folder it is `shared`; `again` are the words of the next run beside. `wanted` is how often a
    whole campaign kills it.
    """

    name: str
    words: tuple[str, ...]
    makes: tuple[str, ...]
    result: Callable[[Path, Done], Any]
    wanted: int
    statuses: tuple[int, ...] = (0,)
    shared: bool = False
    again: tuple[str, ...] = ()


def result_of(command: Command, folder: Path, done: Done) -> Any:
    """What a run gave, as JSON has it."""
    return json.loads(json.dumps(command.result(folder, done)))


def photos_of_its_own(folder: Path) -> None:
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


def _there(name: str) -> Callable[[Path, Done], Any]:
    return lambda folder, _: (folder / name).stat().st_size > 0


# ---- commands, in the order in which they need each other ----

_ONE = ("--model", _MODEL)
_DATA = ("--data", "photos/val_list.txt")
_JUDGED = (0, 1, 3)  # a verdict: nothing is trained, and the photos are few
_INT8 = ("--method", "minmax")

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
    )
}  # fmt: skip
