"""The ranges of all tensors by one method: from the histograms alone, or by what they do to logits.

The methods of `calib.methods` look at a tensor's values. "logits" looks at what the network makes
of the rounded tensor: it takes, for each tensor, the one of their ranges that turns the photos'
logits least (see `calib.logit_search`). The artifact has `ranges.json`: the ranges, each tensor's
method, and the losses. It is made once for all targets that round the same tensors alike.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from calib.logit_search import LogitSearch
from calib.placement import Placement
from calib.quant_config import LOGITS
from calib.ranges import RANGES, Ranges
from common import console, files
from convert.artifact import Artifact, Step, produce
from convert.kind import Kind
from convert.to_onnx import FILE
from data.crops import Crops
from runtimes.environments import MAIN
from runtimes.worker import Worker

SYMMETRIC = Kind("symmetric-ranges", (RANGES,), shown=RANGES)
LOWERED = Kind("lowered-ranges", (RANGES,), shown=RANGES)
ASYMMETRIC = Kind("asymmetric-ranges", (RANGES,), shown=RANGES)

_PHOTOS = 64  # half of them to choose by, half to check
_SEED = 0
# How often the network is run on a photo, in all: for each calibration photo, less what loading its
# pieces takes. The pass over them runs it once, and looks at every tensor, which is more work than
# the pairs are here: both together take no more than 5 times the time of the pass.
_RUNS, _LOADING = 5.0, 67.0


def chosen_ranges(
    onnx: Artifact,
    ranges: Artifact,
    crops: Crops,
    method: str,
    placement: Placement,
    keep_float: Sequence[str] = (),
) -> dict[str, tuple[float, float]]:
    """The (low, high) of every tensor of an ONNX file by a method, for a placement.

    `ranges` were measured on `crops`. With layers in float fewer tensors can be lowered.
    """
    measured = Ranges.load(ranges)
    if method != LOGITS:
        return measured.for_grid(method, placement.grid, keep_float)
    found = files.read_json(_choose(onnx, ranges, crops, placement).file(RANGES))
    chosen = {name: (one["low"], one["high"]) for name, one in found["tensors"].items()}
    if placement.grid.lowest is not None:
        for name in set(measured.lowered(())).difference(measured.lowered(keep_float)):
            chosen[name] = measured.range_of(name, found["tensors"][name]["method"], symmetric=True)
    return measured.for_grid(found["first"], placement.grid, keep_float) | chosen


def kind_of(placement: Placement) -> Kind:
    """What is made for a placement."""
    if not placement.grid.symmetric:
        return ASYMMETRIC
    return SYMMETRIC if placement.grid.lowest is None else LOWERED


def _choose(onnx: Artifact, ranges: Artifact, crops: Crops, placement: Placement) -> Artifact:
    """The artifact with the ranges that the search takes."""
    kind = kind_of(placement)
    step = Step(
        name="choose_ranges",
        build=onnx.build,
        kind=kind.name,
        precision="fp32",
        inputs={"onnx": onnx.key, "ranges": ranges.key, "photos": crops.sha256},
        parameters={"placement": asdict(placement)},
        tools={name: MAIN.version(name) for name in ("onnx", "onnxruntime")},
        code=(_choose,),
    )

    def make(folder: Path) -> dict:
        from calib.methods import METHODS  # here: it imports numba, and every command this file

        started = time.monotonic()
        measured = Ranges.load(ranges)
        proposals = {method: measured.for_grid(method, placement.grid) for method in METHODS}
        found = _search(onnx, crops, placement, proposals)
        tensors = {
            name: {"method": method, **_ends(proposals[method][name])}
            for name, method in found["chosen"].items()
        }
        content = {"schema": 1, "first": found["first"], "tensors": tensors}
        losses = {name: found[name] for name in ("losses", "loss", "check", "photos")}
        files.write_json(folder / RANGES, {**content, **losses})
        return {
            **onnx.inherited_facts,
            **losses,
            "first": found["first"],
            "open": found["open"],
            "changed": sum(one["method"] != found["first"] for one in tensors.values()),
            "seconds": round(time.monotonic() - started, 1),
            "peak_mib": found["peak_mib"],
        }

    return produce(step, make, shows=kind.shown)


def _search(
    onnx: Artifact, crops: Crops, placement: Placement, proposals: Mapping[str, Mapping]
) -> dict:
    """Run the search in a child, with a bar; what it found."""
    rows = np.random.default_rng(_SEED).permutation(len(crops))[:_PHOTOS]
    batch = next(crops.batches(len(rows), onnx.preprocess, rows.tolist()))
    with (
        Worker("main", f"choose_ranges of {onnx.name}") as worker,
        console.progress(f"{onnx.name}: choosing ranges by the logits", "tensors") as progress,
    ):
        worker.open(
            LogitSearch,
            source=str(onnx.file(FILE)),
            placement=placement,
            proposals=proposals,
            batch=batch,
            runs=_RUNS * len(crops) - _LOADING,
        )
        groups, losses = worker.use("begin")
        for done, group in enumerate(groups):
            progress(done, len(groups))
            worker.use("choose", group=group)
        progress(len(groups), len(groups))
        return {"losses": losses, "open": len(groups), **worker.use("finish")} | {
            "peak_mib": worker.peak_mib
        }


def _ends(bounds: tuple[float, float]) -> dict[str, float]:
    return {"low": float(bounds[0]), "high": float(bounds[1])}
