"""What each way of choosing ranges keeps of a network's decisions in INT8, and what it costs.

    python benchmarks/bench_methods.py --data DIR --weights FOLDER [--model NAME …] [--splits 3]

The photos are divided in so many parts. Each part calibrates once, and the others judge: agreement
with FP32 of every method, on every integer grid and runtime that has one of its own, beside NNCF on
the same photos. What runs is what a target deploys (onnx, openvino) or what its simulation opens
(trt-t4, lite-arm). The pass over the photos and the choice by the logits are timed. With
`--in-float N` the N layers are left in float that the search for a budget puts first.
"""

import math
import sys
import tempfile
import time
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, f"{sys.path[0]}/..")
    import common.start  # noqa: F401

import os
from dataclasses import dataclass
from statistics import mean, stdev

import numpy as np

from benchmarks.arguments import add_input_arguments
from calib.chosen_ranges import ASYMMETRIC, chosen_ranges, kind_of
from calib.chosen_ranges import LOWERED as LOWERED_RANGES
from calib.photos import Calibration
from calib.placement import LOWERED, on_cpu
from calib.quant_config import LOGITS, METHODS, NNCF, QuantConfig
from calib.quantize_lite import AS_WRITTEN, quantize_lite
from calib.quantize_onnx import quantize_onnx
from calib.quantize_openvino import quantize_openvino
from calib.quantize_trt import quantize_trt
from calib.sensitivity import rank
from common import console, files
from common.cli import Exit, Parser, choice, positive, run, whole
from common.errors import UserError
from common.paths import build_root
from convert.artifact import Artifact, load
from convert.export import SESSION as PADDLE
from convert.export import export
from convert.to_onnx import SESSION as ONNX
from convert.to_onnx import to_onnx
from convert.to_openvino import SESSION as OPENVINO
from data.crops import Crops, load_crops
from data.images import ImageSet
from deploy.targets import TARGETS
from models.registry import MODELS, ModelSpec, find_model
from models.weights import find_weights
from runtimes.session_pool import NATIVE, SessionSpec, open_sessions

_MODELS = ("SqueezeNet1_0", "SqueezeNet1_1")
_FLOAT = SessionSpec(NATIVE, ONNX)
_RUN = {
    "onnx": SessionSpec(NATIVE, ONNX),
    "openvino": SessionSpec(NATIVE, OPENVINO),
    "trt-t4": SessionSpec(NATIVE, ONNX, options={"optimize": False}),
    "lite-arm": SessionSpec(NATIVE, PADDLE, options=AS_WRITTEN),
}


@dataclass(frozen=True)
class _Split:
    """A network, the part of the photos that calibrates it, and those that judge."""

    inference: Artifact
    onnx: Artifact
    ranges: Artifact
    calibrating: Crops
    judging: Crops

    def first_layers(self, target: str, method: str, count: int) -> tuple[str, ...]:
        """The layers that the search for a budget leaves in float first."""
        if not count:
            return ()
        measured = (self.onnx, self.ranges, self.calibrating, QuantConfig(method))
        effects = rank(*measured, TARGETS[target].grid(), math.inf, lambda done, total: None)
        return tuple(one.layer for one in effects[:count])

    def build(self, target: str, quant: QuantConfig) -> Artifact:
        """The INT8 file of a target, or what its simulation opens."""
        measured = (self.onnx, self.ranges, self.calibrating, quant)
        if target == "lite-arm":
            return quantize_lite(self.inference, *measured)
        writers = {"onnx": quantize_onnx, "openvino": quantize_openvino, "trt-t4": quantize_trt}
        return writers[target](*measured)

    def decisions(self, session: SessionSpec, artifact: Artifact, precision: str) -> np.ndarray:
        """The classes of the judging photos, int64 [photos]."""
        preprocess = MODELS[self.onnx.model].preprocess
        batches = self.judging.batches(session.batch, preprocess)
        with open_sessions(session, artifact.folder, precision) as sessions:
            logits = sessions(batches, lambda done, total: None, len(self.judging))
        return logits.argmax(axis=1)


def _measure(spec: ModelSpec, options, number: int) -> list[dict]:
    """The rows of one split: a method's agreement on a target in percent; and the times."""
    images = ImageSet.open(options.data)
    weights = find_weights(spec, options.weights)
    inference = export(spec, weights, 1000, spec.name)
    onnx = to_onnx(inference)
    sides = np.arange(len(images)) % options.splits == number
    calibrating, judging = (images.take(np.flatnonzero(side)) for side in (sides, ~sides))
    for part in (calibrating, judging):
        load_crops(part, spec.preprocess)  # so that decoding is not timed
    started = time.monotonic()
    ranges, crops = Calibration(calibrating).measure(onnx)
    times = {"pass": time.monotonic() - started}
    methods = options.method or (*METHODS, NNCF)
    if LOGITS in methods:
        times |= _choose(onnx, ranges, crops)
    split = _Split(inference, onnx, ranges, crops, load_crops(judging, spec.preprocess))
    expected = split.decisions(_FLOAT, onnx, "fp32")
    rows = []
    for target in options.target or _RUN:
        for method in methods:
            if method == NNCF and target != "openvino":
                continue
            kept = split.first_layers(target, method, options.in_float)
            made = split.build(target, QuantConfig(method, kept))
            found = split.decisions(_RUN[target], made, "int8")
            agree = 100 * float((found == expected).mean())
            rows.append({"target": target, "method": method, "agree": agree, "in_float": kept})
            left = f", in float: {' '.join(kept)}" if kept else ""
            console.say(
                f"  {spec.name}, part {number + 1} of {options.splits}: {target} {method} "
                f"{agree:.1f} %{left}"
            )
    return [{"model": spec.name, "part": number, "times": times, **row} for row in rows]


def _choose(onnx: Artifact, ranges: Artifact, crops: Crops) -> dict[str, float]:
    """Seconds that the choice takes by kind of ranges, and its memory at the peak in MiB."""
    times = {}
    for placement in (on_cpu(onnx), LOWERED):
        started = time.monotonic()
        chosen_ranges(onnx, ranges, crops, LOGITS, placement)
        kind = kind_of(placement)
        times[kind.name] = time.monotonic() - started
        made = load(kind.folder(onnx.name))
        assert made
        times[f"{kind.name} MiB"] = made.facts["peak_mib"]
    return times


def _show(rows: list[dict]) -> None:
    targets = list(dict.fromkeys(row["target"] for row in rows))
    methods = list(dict.fromkeys(row["method"] for row in rows))
    table = []
    for model in dict.fromkeys(row["model"] for row in rows):
        for method in methods:
            cells = []
            for target in targets:
                found = [
                    row["agree"]
                    for row in rows
                    if (row["model"], row["method"], row["target"]) == (model, method, target)
                ]
                spread = f" ± {stdev(found):.1f}" if len(found) > 1 else ""
                cells.append(f"{mean(found):.1f}{spread}" if found else "-")
            table.append([model, method, *cells])
    console.table(
        "Agreement with FP32 in percent, mean and standard deviation over the parts",
        ["model", "method", *(f">{target}" for target in targets)],
        table,
    )
    for model in dict.fromkeys(row["model"] for row in rows):
        times = {row["part"]: row["times"] for row in rows if row["model"] == model}
        one = mean(found["pass"] for found in times.values())
        kinds = (ASYMMETRIC, LOWERED_RANGES)
        for kind in [one for one in kinds if all(one.name in t for t in times.values())]:
            more = mean(found[kind.name] for found in times.values())
            peak = max(found[f"{kind.name} MiB"] for found in times.values())
            print(
                f"{model}: pass {one:.1f} s, {kind.name} chosen by the logits {more:.1f} s and "
                f"{peak:.0f} MiB; both {(one + more) / one:.1f} times the pass"
            )


def main() -> int:
    options = _parse()
    if options.splits < 2:
        raise UserError("one part cannot calibrate and judge: --splits 2 or more")
    if unknown := [part for part in options.part or () if not 0 <= part < options.splits]:
        raise UserError(f"there is no part {unknown[0]}: they are 0 to {options.splits - 1}")
    rows: list[dict] = []
    path = build_root() / "bench_methods.json"
    with tempfile.TemporaryDirectory(prefix="portage-bench-") as scratch:
        kept = os.environ.get("BUILD_DIR")
        os.environ["BUILD_DIR"] = str(Path(scratch))
        try:
            for number in options.part or range(options.splits):
                for model in options.model or _MODELS:
                    rows += _measure(find_model(model), options, number)
                    files.write_json(path, {"schema": 1, "rows": rows})
        finally:
            os.environ.pop("BUILD_DIR")
            if kept:
                os.environ["BUILD_DIR"] = kept
    _show(rows)
    print(f"every figure: {console.shown(path)}")
    return Exit.OK


def _parse():
    parser = Parser(prog="python benchmarks/bench_methods.py", description=__doc__)
    parser.add_argument(
        "--model",
        action="append",
        type=choice(*MODELS),
        metavar="NAME",
        help=f"repeatable (default: {' and '.join(_MODELS)})",
    )
    parser.add_argument(
        "--target",
        action="append",
        type=choice(*_RUN),
        metavar="NAME",
        help=f"repeatable (default: {', '.join(_RUN)})",
    )
    parser.add_argument(
        "--method",
        action="append",
        type=choice(*METHODS, NNCF),
        metavar="M",
        help=f"repeatable (default: {', '.join(METHODS)}, and {NNCF} for openvino)",
    )
    add_input_arguments(parser, weights="demo")
    parser.add_argument("--splits", type=positive, default=3, metavar="N", help="default: 3")
    parser.add_argument(
        "--in-float",
        type=whole(),
        default=0,
        metavar="N",
        help="layers to leave in float (default: 0)",
    )
    parser.add_argument(
        "--part",
        action="append",
        type=whole(),
        metavar="N",
        help="calibrate on this part only, from 0 on; repeatable (default: on each in turn)",
    )
    return parser.parse_args()


if __name__ == "__main__":
    run(main)
