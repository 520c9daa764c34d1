"""Which layers cost the most accuracy in INT8: what each gives back in float, all others in INT8.

A first pass measures every layer's own error against the size of its output. A second one leaves
one layer at a time in float, the noisiest first, for as long as there is time, and measures what
that does to the logits and to the decisions: as NNCF's accuracy control ranks. Layers that read the
same rounded tensor err together: in SqueezeNet1_0, in signed integers, Conv.2 and Conv.3 cost 2 and
4 times what they cost with all others in float. So a third pass leaves in float, one after the
other, those that bring the logits nearest together with the ones before them.
"""

import contextlib
import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from calib.angles import directions, sines
from calib.bias_correction import measure_errors
from calib.biases import bias_of
from calib.chosen_ranges import chosen_ranges
from calib.fake_quant import FakeQuantGraph, Grid
from calib.placement import placement_of
from calib.quant_config import DEFAULT_METHOD, NNCF, QuantConfig
from common.console import Progress
from convert.artifact import Artifact
from convert.to_onnx import FILE
from data.crops import Crops
from data.images import spread_rows
from runtimes.calls import Calls, Spread, in_order
from runtimes.worker import Worker

PHOTOS = 24  # ranks need less evidence than verdicts; of 16, other layers come out
_TOGETHER = 5  # layers that are chosen one after the other
_AMONG = 10  # what turns the logits less alone is not tried


@dataclass(frozen=True)
class Effect:
    """What quantizing a layer costs.

    `noise`: its own error's power, as a share of its output's. With all other layers in INT8 it
    takes back in float: of the power of the logits' error, as a share of their spread's, `logits`;
    of the share of photos whose decision changes, `flips`. Neither is less than 0; both are None
    where time was up.
    """

    layer: str
    operator: str
    noise: float
    logits: float | None = None
    flips: float | None = None


def rank(
    onnx: Artifact,
    ranges: Artifact,
    crops: Crops,
    quant: QuantConfig,
    grid: Grid,
    seconds: float,
    progress: Progress,
    spread: Spread | None = None,
) -> list[Effect]:
    """The layers of an ONNX file: first some that do most together, each with those before it; then
    those with the largest effect on the logits alone. `spread` measures these elsewhere.

    Layers that no time was left for come last, the noisiest first. NNCF's ranges are its own: with
    its method the layers are ranked by the default's.
    """
    method = DEFAULT_METHOD if quant.method == NNCF else quant.method
    scope = chosen_ranges(onnx, ranges, crops, method, placement_of(onnx, grid))
    end = time.monotonic() + seconds
    rows = spread_rows(len(crops), PHOTOS)
    batch = next(crops.batches(len(rows), onnx.preprocess, rows))
    with Worker("main", f"sensitivity of {onnx.name}") as worker:
        measure_errors(worker, onnx, crops, scope, grid, ())
        arguments = {
            "ranges": scope,
            "grid": asdict(grid),
            "shifts": worker.use("by_bias"),
            "batch": batch,
        }
        worker.open(Switches, source=str(onnx.file(FILE)), **arguments)
        started = time.monotonic()
        found = sorted((Effect(*row) for row in worker.use("noise")), key=lambda one: -one.noise)
        calls = Calls(
            title=f"sensitivity of {onnx.name}",
            opens=Switches,
            source=onnx.file(FILE),
            arguments=arguments,
            method="effect",
            each=[{"layer": one.layer} for one in found],
            seconds=[time.monotonic() - started] * len(found),
        )
        measured: dict[int, tuple[float, float, float]] = {}
        with contextlib.closing(spread(calls) if spread else in_order(worker, calls)) as results:
            while len(measured) < len(found) and time.monotonic() <= end:
                row, effect = next(results)
                measured[row] = effect
                progress(len(measured), len(found))
        alone = {found[row].layer: turned for row, (_, _, turned) in sorted(measured.items())}
        first = together(
            lambda kept: worker.use("turned", in_float=kept),
            sorted(alone, key=lambda layer: alone[layer])[:_AMONG],
            end,
        )
        progress(len(found), len(found))
    ranked = [
        dataclasses.replace(found[row], logits=logits, flips=flips)
        for row, (logits, flips, _) in sorted(measured.items())
    ]
    ranked.sort(key=lambda one: -(one.logits or 0.0))
    ranked.sort(key=lambda one: first.index(one.layer) if one.layer in first else len(first))
    return ranked + [one for row, one in enumerate(found) if row not in measured]


def together(error: Callable[[list[str]], float], among: Sequence[str], end: float) -> list[str]:
    """Layers, each of which leaves the least error in float together with those before it.

    `error` is that of some layers in float. Nothing is tried any more at `end`, in `monotonic`
    seconds: then they are fewer.
    """
    chosen: list[str] = []
    while len(chosen) < min(_TOGETHER, len(among)):
        left: dict[str, float] = {}
        for layer in among:
            if time.monotonic() > end:
                return chosen
            if layer not in chosen:
                left[layer] = error([*chosen, layer])
        chosen.append(min(left, key=lambda layer: left[layer]))
    return chosen


class Switches:
    """In a child process: a float ONNX file, each layer of which can be switched to INT8.

    `shifts`, [channels] by the biases' names, are what quantized layers have more in them.
    """

    def __init__(
        self,
        source: str,
        ranges: Mapping[str, tuple[float, float]],
        grid: Mapping[str, Any],
        shifts: Mapping[str, np.ndarray],
        batch: np.ndarray,
    ):
        import onnx

        model = onnx.load(source)
        fake = FakeQuantGraph(model, ranges, Grid(**grid))
        self._layers = [
            (node.name, node.op_type) for node in model.graph.node if fake.possible(node)
        ]
        self._entry, self._logits = model.graph.input[0].name, model.graph.output[0].name
        self._names = [name for name, _ in self._layers]
        nodes = model.graph.node
        sizes = {name: values.size for name, values in fake.weights.items()}
        for node in [node for node in fake.model.graph.node if node.name in self._names]:
            shift = None
            if fake.has_weights(node):
                bias, _ = bias_of(nodes, sizes, node, fake.channels(node))
                shift = shifts.get(bias or "")
            _add_switch(fake, node, shift)
        self._batch = batch
        self._session = fake.session()
        self._float = self._logits_of(self._names)
        self._lost = self._errors(self._logits_of([]))

    def noise(self) -> list[tuple[str, str, float]]:
        """Each layer's name, operator, and error relative to its output, in power."""
        wanted = [f"{name}/{part}" for name, _ in self._layers for part in ("error2", "out2")]
        powers = np.zeros(len(wanted))
        for photo in self._batch:
            powers += [float(x) for x in self._session.run(wanted, {self._entry: photo[None]})]
        return [
            (*layer, float(error / (output or 1.0)))
            for layer, error, output in zip(self._layers, powers[::2], powers[1::2], strict=True)
        ]

    def effect(self, layer: str) -> tuple[float, float, float]:
        """What a layer takes back in float, of the logits' error and of changed decisions; and by
        how much the logits turn then."""
        logits = self._logits_of([layer])
        left = self._errors(logits)
        error, flips = (max(lost - now, 0.0) for lost, now in zip(self._lost, left, strict=True))
        return error, flips, self._angle(logits)

    def turned(self, in_float: Sequence[str]) -> float:
        """By how much the logits turn with some layers in float, averaged over the photos."""
        return self._angle(self._logits_of(in_float))

    def _angle(self, logits: np.ndarray) -> float:
        return float(sines(directions(self._float), directions(logits)).mean())

    def _errors(self, logits: np.ndarray) -> tuple[float, float]:
        """The logits' error, and the share of changed decisions."""
        spread = self._float - self._float.mean(axis=1, keepdims=True)
        moved = float(((logits - self._float) ** 2).sum() / ((spread**2).sum() or 1.0))
        return moved, float((logits.argmax(1) != self._float.argmax(1)).mean())

    def _logits_of(self, in_float: Sequence[str]) -> np.ndarray:
        """The logits with some layers in float and all others in INT8."""
        in_int8 = [name for name in self._names if name not in in_float]
        switches = {f"{name}/switch": np.ones((), np.float32) for name in in_int8}
        return np.concatenate(
            [
                self._session.run([self._logits], {self._entry: photo[None], **switches})[0]
                for photo in self._batch
            ]
        )


def _add_switch(fake: FakeQuantGraph, node, shift: np.ndarray | None) -> None:
    """Give a layer a scalar input `<layer>/switch`: 0 for float (the default), 1 for INT8."""
    from onnx import TensorProto, helper

    graph, name, output = fake.model.graph, node.name, node.output[0]
    switch, error = f"{name}/switch", f"{name}/error"
    fake_output = fake.add(node, shift)
    node.output[0] = f"{name}/float"
    fake.constant(switch, np.zeros((), np.float32))
    graph.input.append(helper.make_tensor_value_info(switch, TensorProto.FLOAT, []))
    graph.node.extend(
        (
            helper.make_node("Sub", [fake_output, node.output[0]], [error]),
            helper.make_node("Mul", [error, switch], [f"{error}/switched"]),
            helper.make_node("Add", [node.output[0], f"{error}/switched"], [output]),
            helper.make_node("ReduceSumSquare", [error], [f"{name}/error2"], keepdims=0),
            helper.make_node("ReduceSumSquare", [node.output[0]], [f"{name}/out2"], keepdims=0),
        )
    )
    graph.output.extend(
        helper.make_empty_tensor_value_info(f"{name}/{part}") for part in ("error2", "out2")
    )
