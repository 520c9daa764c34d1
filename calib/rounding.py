"""Weights rounded together: each channel's errors make up for each other in the layer's outputs.

The nearest integer is the best for one weight alone. A layer's inputs are not independent, though:
neighbours in a photo are nearly alike, so that what rounding adds to one weight another can take
back. Frantar et al., "GPTQ: Accurate Post-Training Quantization for Generative Pre-trained
Transformers" (2022), round one weight after the other, and move those that are left by what the
second moments of the inputs say (after Hassibi & Stork, "Second order derivatives for network
pruning: Optimal Brain Surgeon", 1993). The inputs are those of the float network.

The grid stays as it is: the largest weight of each channel keeps its value, so that every tool
that scales by it finds the same integers.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from calib.fake_quant import LAYERS, Grid, channel_axis, group_count
from common import console
from convert.artifact import Artifact, Step, produce
from convert.kind import Kind
from convert.to_onnx import FILE
from data.crops import Crops
from data.images import spread_rows
from runtimes.environments import MAIN
from runtimes.one_thread import one_thread_session
from runtimes.worker import Worker

if TYPE_CHECKING:
    import onnx

WEIGHTS = "weights.npz"
KIND = Kind("rounded-weights", (WEIGHTS,), shown=WEIGHTS)
_GROUPED = Kind("rounded-group-weights", (WEIGHTS,), shown=WEIGHTS)

_PHOTOS = 32
_SAMPLES = 8192  # places of a layer's input, over all photos
_LARGEST = 2304  # inputs of one output (3 x 3 of 256 channels): time grows with the third power
_ROOM = 256 << 20  # bytes of second moments that are held at a time
_DAMPING = 0.01  # of the mean second moment, added to each: what few photos say is not trusted
_BLOCK = 64  # weights of an output that are rounded before the others are moved


def round_weights(onnx: Artifact, crops: Crops, grid: Grid) -> Artifact:
    """`weights.npz`: the layers' weights of an ONNX file on a grid, by the initializers' names.

    Each float32 and of its shape in the file. Layers without weights are not in it, nor those
    whose outputs have more than 2,304 inputs: their weights go to the nearest integer.
    """
    kind = _GROUPED if grid.per_group else KIND
    step = Step(
        name="round_weights",
        build=onnx.build,
        kind=kind.name,
        precision="int8",
        inputs={"onnx": onnx.key, "photos": crops.sha256},
        parameters={"weight_limit": grid.weight_limit, "per_group": grid.per_group},
        tools={name: MAIN.version(name) for name in ("onnx", "onnxruntime")},
        code=(round_weights,),
    )

    def make(folder: Path) -> dict:
        rows = spread_rows(len(crops), _PHOTOS)
        with (
            Worker("main", f"round_weights of {onnx.name}") as worker,
            console.progress(f"{onnx.name}: rounding weights", "layers") as progress,
        ):
            worker.open(
                Rounding,
                source=str(onnx.file(FILE)),
                grid=asdict(grid),
                batch=next(crops.batches(len(rows), onnx.preprocess, rows)),
            )
            parts = worker.use("parts")
            total, done = sum(map(len, parts)), 0
            for part in parts:
                progress(done, total)
                worker.use("round_part", layers=part)
                done += len(part)
            progress(done, total)
            facts = worker.use("write", output=str(folder / WEIGHTS))
            peak_mib = worker.peak_mib
        return {**onnx.inherited_facts, **facts, "peak_mib": peak_mib}

    return produce(step, make, shows=kind.shown)


def read_rounded(path: str) -> dict[str, np.ndarray]:
    """What `round_weights` wrote."""
    with np.load(path) as found:
        return dict(found)


def put_rounded(
    model: "onnx.ModelProto", rounded: Mapping[str, np.ndarray], keep_float: Sequence[str] = ()
) -> None:
    """Replace the weights of a model's layers, but for those in `keep_float`, by rounded ones."""
    from onnx import numpy_helper

    kept = {node.input[1] for node in model.graph.node if node.name in keep_float}
    for tensor in model.graph.initializer:
        if tensor.name in rounded and tensor.name not in kept:
            tensor.CopyFrom(numpy_helper.from_array(rounded[tensor.name], tensor.name))


@dataclass(frozen=True)
class _Layer:
    """A layer with weights: its node, their shape in the file, and themselves, float32 [groups,
    outputs of a group, inputs of each]."""

    node: Any
    shape: tuple[int, ...]
    weight: np.ndarray

    def as_stored(self, weight: np.ndarray) -> np.ndarray:
        """Weights in the shape that they have in the file."""
        flat = weight.reshape(-1, weight.shape[2])
        if channel_axis(self.node) % len(self.shape):
            flat = flat.T
        return np.ascontiguousarray(flat).reshape(self.shape)

    @property
    def bytes(self) -> int:
        groups, _, inputs = self.weight.shape
        return 4 * groups * inputs * inputs

    def rows(self, values: np.ndarray, most: int, rng: np.random.Generator) -> np.ndarray:
        """What its outputs are sums of at up to `most` places, float32 [groups, places, inputs].

        `values` is its input on one photo.
        """
        if self.node.op_type != "Conv":
            wide = values.reshape(-1, values.shape[-1])
            return wide[_some(len(wide), most, rng)][None]
        return self._patches(values[0], most, rng)

    def _patches(self, image: np.ndarray, most: int, rng: np.random.Generator) -> np.ndarray:
        found = {one.name: list(one.ints) for one in self.node.attribute if one.ints}
        kernel = self.shape[2:]
        strides, dilations = (found.get(name, [1, 1]) for name in ("strides", "dilations"))
        top, left, bottom, right = found.get("pads", [0] * 4)
        padded = np.pad(image, ((0, 0), (top, bottom), (left, right)))
        spans = tuple((k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True))
        windows = np.lib.stride_tricks.sliding_window_view(padded, spans, axis=(1, 2))
        windows = windows[:, :: strides[0], :: strides[1], :: dilations[0], :: dilations[1]]
        height, width = windows.shape[1:3]
        places = _some(height * width, most, rng)
        chosen = windows[:, places // width, places % width]  # [channels, places, *kernel]
        groups = len(self.weight)
        split = chosen.reshape(groups, -1, len(places), math.prod(kernel))
        return np.ascontiguousarray(split.transpose(0, 2, 1, 3)).reshape(groups, len(places), -1)


class Rounding:
    """In a child process: a float ONNX file, and photos, float32 [n, 3, S, S]."""

    def __init__(self, source: str, grid: Mapping[str, Any], batch: np.ndarray):
        import onnx
        from onnx import numpy_helper

        self._grid, self._batch = Grid(**grid), batch
        self._model = onnx.load(source)
        self._entry = self._model.graph.input[0].name
        initializers = {one.name: one for one in self._model.graph.initializer}
        self._layers: dict[str, _Layer] = {}
        self._left = 0
        for node in self._model.graph.node:
            if node.op_type not in LAYERS or node.input[1] not in initializers:
                continue
            weight = numpy_helper.to_array(initializers[node.input[1]])
            uses = [one for one in self._model.graph.node if node.input[1] in one.input]
            rank = 4 if node.op_type == "Conv" else 2
            if weight.ndim == rank and len(uses) == 1:
                layer = _Layer(node, weight.shape, by_group(weight, node))
                if layer.weight.shape[2] <= _LARGEST:
                    self._layers[node.name] = layer
                    continue
            self._left += 1
        self._rounded: dict[str, np.ndarray] = {}

    def parts(self) -> list[list[str]]:
        """The layers, in parts whose second moments have room together."""
        found: list[list[str]] = []
        room = 0
        for name, layer in self._layers.items():
            room -= layer.bytes
            if room < 0 or not found:
                found.append([])
                room = _ROOM - layer.bytes
            found[-1].append(name)
        return found

    def round_part(self, layers: list[str]) -> None:
        """Round the weights of some layers."""
        for name, moments in self._moments(layers).items():
            layer = self._layers[name]
            weight = layer.as_stored(layer.weight)
            scales = np.broadcast_to(self._grid.weight_scales(weight, layer.node), weight.shape)
            scales = by_group(scales, layer.node)[..., :1]
            rounded = round_together(layer.weight, scales, moments, self._grid.weight_limit)
            self._rounded[layer.node.input[1]] = layer.as_stored(rounded)

    def write(self, output: str) -> dict[str, int]:
        """Write all that was rounded; how many layers that were, and how many were not."""
        np.savez(output, **self._rounded)  # type: ignore[arg-type] # none is called allow_pickle
        return {"layers_rounded": len(self._rounded), "layers_nearest": self._left}

    def _moments(self, layers: list[str]) -> dict[str, np.ndarray]:
        """The second moments of what each output of a layer sums, float32 [groups, k, k]."""
        import onnx

        sources = list(dict.fromkeys(self._layers[name].node.input[0] for name in layers))
        looked_at = [name for name in sources if name != self._entry]
        graph = self._model.graph
        ends = list(graph.output)
        del graph.output[:]
        graph.output.extend(onnx.helper.make_empty_tensor_value_info(name) for name in looked_at)
        session = one_thread_session(self._model.SerializeToString()) if looked_at else None
        del graph.output[:]
        graph.output.extend(ends)
        rng = np.random.default_rng(0)
        found: dict[str, np.ndarray] = {}
        most = max(_SAMPLES // len(self._batch), 1)
        for photo in self._batch[:, None]:
            values = {self._entry: photo}
            if session:
                given = session.run(looked_at, {self._entry: photo})
                values |= dict(zip(looked_at, given, strict=True))
            for name in layers:
                layer = self._layers[name]
                rows = layer.rows(values[layer.node.input[0]], most, rng)
                moments = rows.transpose(0, 2, 1) @ rows
                found[name] = found[name] + moments if name in found else moments
        return found


def round_together(
    weight: np.ndarray, scales: np.ndarray, moments: np.ndarray, limit: int
) -> np.ndarray:
    """Weights on the grid of their scales, so that the outputs differ least from the float ones.

    `weight` [groups, outputs, k], `scales` [groups, outputs, 1], `moments` [groups, k, k]: the
    sums over places of the products of two inputs. An output that the nearest integers serve
    better has those.
    """
    nearest = np.clip(np.rint(weight / scales), -limit, limit) * scales
    damped = moments.astype(np.float64)
    diagonal = np.einsum("gkk->gk", damped)
    diagonal += np.maximum(_DAMPING * diagonal.mean(axis=1, keepdims=True), 1e-12)
    order = np.argsort(-diagonal, axis=1)
    back = np.argsort(order, axis=1)
    groups = np.arange(len(weight))[:, None]
    sorted_moments = damped[groups[..., None], order[:, :, None], order[:, None, :]]
    upper = np.linalg.cholesky(np.linalg.inv(sorted_moments)).transpose(0, 2, 1)
    left = np.take_along_axis(weight.astype(np.float64), order[:, None, :], axis=2)
    steps = left / scales
    ends = np.abs(steps) >= np.maximum(np.abs(steps).max(axis=2, keepdims=True), limit - 0.5)
    done = np.empty_like(left)
    for start, stop in _blocks(left.shape[2]):
        errors = np.empty((*left.shape[:2], stop - start))
        for k in range(start, stop):
            values = np.clip(np.rint(left[..., k] / scales[..., 0]), -limit, limit)
            values = np.where(ends[..., k], np.rint(steps[..., k]), values)
            done[..., k] = values * scales[..., 0]
            error = (left[..., k] - done[..., k]) / upper[:, k, k, None]
            errors[..., k - start] = error
            left[..., k + 1 : stop] -= error[..., None] * upper[:, None, k, k + 1 : stop]
        left[..., stop:] -= errors @ upper[:, start:stop, stop:]
    together = np.take_along_axis(done, back[:, None, :], axis=2)
    better = _power(together - weight, damped) < _power(nearest - weight, damped)
    return np.where(better[..., None], together, nearest).astype(np.float32)


def _blocks(count: int) -> Iterator[tuple[int, int]]:
    for start in range(0, count, _BLOCK):
        yield start, min(start + _BLOCK, count)


def _power(errors: np.ndarray, moments: np.ndarray) -> np.ndarray:
    """What errors of weights [groups, outputs, k] do to the outputs, in power, per output."""
    return ((errors @ moments) * errors).sum(axis=2)


def _some(count: int, most: int, rng: np.random.Generator) -> np.ndarray:
    return rng.permutation(count)[:most] if count > most else np.arange(count)


def by_group(weight: np.ndarray, node) -> np.ndarray:
    """A layer's weights as [groups, outputs of a group, inputs of each]."""
    if channel_axis(node) % weight.ndim:
        weight = weight.T
    groups = group_count(node)
    return np.ascontiguousarray(weight.reshape(groups, weight.shape[0] // groups, -1))
