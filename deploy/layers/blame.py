"""What each layer of a target's file costs: only it in the target's arithmetic, and all but it.

That is simulated in the float network's own nodes (`calib.one_by_one`), since no file has one layer
alone in INT8 that was not made for it; the file itself is run on the same photos beside.
"""

import contextlib
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from calib.arithmetic import Floats, Integers
from calib.bias_correction import measure_errors
from calib.chosen_ranges import chosen_ranges
from calib.one_by_one import Arithmetic, OneByOne, begun
from calib.placement import placement_of
from calib.qdq import layer_names
from calib.quant_config import DEFAULT_METHOD, NNCF
from common import console, machine
from common.errors import UserError
from convert.artifact import Artifact
from convert.to_onnx import FILE
from data.images import spread_rows
from deploy.layers.costs import Cost, Costs, Errors
from deploy.layers.deployed import Deployed
from deploy.layers.keeping import about
from deploy.request.values import FP16, INT8
from deploy.targets.base import Target
from deploy.verdict.judging_photos import Part
from runtimes.calls import Calls, Spread, in_order
from runtimes.worker import Worker

PRECISIONS = (INT8, FP16, "bf16")
PHOTOS = 128  # for trying lists of layers; blame alone takes as many of them as its time allows
_MOST = 32  # to blame each layer by
_SECONDS = 120.0  # for blaming all layers


class Blamed:
    """A network in a child process, whose layers are blamed one by one (see `OneByOne`): there, or
    as `spread` says. `arguments` are what it was opened with."""

    def __init__(
        self,
        worker: Worker,
        part: Part,
        arguments: Mapping[str, Any],
        spread: Spread | None,
    ):
        self._worker, self._arguments, self._spread = worker, arguments, spread
        self.part = part
        self.in_float = tuple(arguments["in_float"])
        self.left_out = 0

    def costs(self, title: str) -> tuple[Part, Errors, list[Cost]]:
        """The photos that they were measured on, the errors of all layers together, and each
        layer's."""
        units, rows = self._worker.use("begin", seconds=_SECONDS, at_most=_MOST)
        self.left_out = self._worker.use("count") - len(units)
        everything = Errors(**self._worker.use("everything"))
        calls = self._calls(title, units, rows)
        found: list[Cost | None] = [None] * len(units)
        results = self._spread(calls) if self._spread else in_order(self._worker, calls)
        with console.progress(title, "layers") as progress:
            progress(0, len(units))
            for done, (number, (alone, without)) in enumerate(results, 1):
                layer, operator = units[number]
                found[number] = Cost(
                    layer=layer,
                    operator=operator,
                    alone=Errors(**alone),
                    without=Errors(**without),
                )
                progress(done, len(units))
        few = Part(self.part.images, self.part.crops, [self.part.rows[row] for row in rows])
        return few, everything, [cost for cost in found if cost]

    def _calls(self, title: str, units: Sequence[tuple[str, str]], rows: Sequence[int]) -> Calls:
        own = {name: value for name, value in self._arguments.items() if name != "source"}
        few = np.ascontiguousarray(own["batch"][list(rows)])
        return Calls(
            title=title,
            opens=begun,
            source=Path(self._arguments["source"]),
            arguments={**own, "batch": few, "names": [layer for layer, _ in units]},
            method="blame",
            each=[{"number": number} for number in range(len(units))],
            seconds=self._worker.use("seconds"),
        )

    def keeping(self, layers: Sequence[str]) -> tuple[Errors, int]:
        """The errors with these layers in float, and on how many photos."""
        found, photos = self._worker.use("keeping", kept=list(layers))
        return Errors(**found), photos

    @property
    def peak_mib(self) -> int:
        return self._worker.peak_mib


@contextlib.contextmanager
def open_blamed(deployed: Deployed, spread: Spread | None = None) -> Iterator[Blamed]:
    """Open the float network that a file computes, with the file's arithmetic beside it; `spread`
    does the blaming elsewhere."""
    options = deployed.chosen
    onnx = deployed.target.float_onnx(deployed.graph, deployed.precision, options)
    rows = spread_rows(len(deployed.photos.crops), PHOTOS)
    whole = deployed.photos.parts(None)[0]
    part = Part(whole.images, whole.crops, rows)
    batch = next(part.crops.batches(len(rows), onnx.preprocess, rows))
    with Worker("main", f"blame of {onnx.name}") as worker:
        arithmetic: Arithmetic = Floats(deployed.precision)
        in_float: list[str] = []
        if deployed.precision == INT8:
            layers = worker.call(layer_names, source=str(onnx.file(FILE)))
            in_float = [*deployed.quant.keep_float, *deployed.target.in_float(layers)]
            arithmetic = _integers(worker, deployed, onnx)
        arguments = {
            "source": str(onnx.file(FILE)),
            "arithmetic": arithmetic,
            "batch": batch,
            "in_float": in_float,
            "threads": machine.threads(),
        }
        worker.open(OneByOne, **arguments)
        yield Blamed(worker, part, arguments, spread)


def check(target: Target, precision: str) -> None:
    """Raise UserError where there is no arithmetic to blame."""
    if precision not in PRECISIONS:
        raise UserError(
            f"{target.name} in {precision} computes as Paddle does, so that no layer costs "
            f"anything; blame is of {', '.join(PRECISIONS)}: PRECISION={PRECISIONS[0]}"
        )


def _integers(worker: Worker, deployed: Deployed, onnx: Artifact) -> Integers:
    """The INT8 of a target, by the ranges and biases that its file was made with.

    NNCF's ranges are its own: with its method those of the default stand in for them.
    """
    target, method = deployed.target, deployed.quant.method
    placement = target.placement(onnx)
    ranges, crops = deployed.calibration.measure(onnx)
    own = DEFAULT_METHOD if method == NNCF else method
    scope = chosen_ranges(
        *(onnx, ranges, crops, own, placement_of(onnx, placement.grid)),
        keep_float=deployed.quant.keep_float,
    )
    measure_errors(worker, onnx, crops, scope, placement.grid, ())
    return Integers(placement, scope, worker.use("by_bias"), target.products_in_int8)


def blame(deployed: Deployed, blamed: Blamed) -> Costs:
    """The costs of a file's layers."""
    started = time.monotonic()
    graph, target = deployed.graph, deployed.target
    title = f"{graph.name} on {target.name} {deployed.precision}: blame"
    part, everything, costs = blamed.costs(title)
    seconds = time.monotonic() - started
    able = part
    if deployed.session_spec.photos:
        rows = part.rows[: deployed.session_spec.photos]
        able = Part(part.images, part.crops, rows)
    reference = deployed.photos.reference([able])
    return Costs(
        **about(
            graph, target, deployed.precision, deployed.session_spec, part.crops, len(part.crops)
        ),
        files=target.digests(deployed.built),
        photos=len(part),
        in_float=blamed.in_float,
        everything=everything,
        file=Errors.of(reference, np.asarray(deployed.logits(able))),
        file_photos=len(able),
        costs=tuple(costs),
        left_out=blamed.left_out,
        seconds=round(seconds, 1),
        peak_mib=blamed.peak_mib,
    )
