"""Signed integers for what is never negative: a tensor is lowered until it has them all.

A runtime without zero points lays int8 around zero, and what comes out of a ReLU has half of the
integers. With c half of its range, in the place of r = ReLU(y + b) goes r - c, from -c to c:

- max(y + b, 0) - c = max(y + (b - c), -c): the bias before is lowered, and the lowest integer cuts
  off what the ReLU did, which goes. MaxPool and Concat in between let it pass.
- W r = W (r - c) + c W 1: the biases of the layers that read it get what it lacks, by the weights
  as they are rounded.

Both are exact, and cost nothing where the network runs. The second is not so where a reader pads
with zeros, which would be c: only what layers without padding read is lowered, and only where no
other operator reads it. A range (0, high) in a grid with `lowest` says that a tensor is lowered.
That signed integers can hold unsigned values with an offset is in Jacob et al., "Quantization and
Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference" (2018), 2.1.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from calib import tensors
from calib.biases import bias_of
from calib.fake_quant import LAYERS, Grid, channel_axis
from runtimes.inside.base import LOWERED

if TYPE_CHECKING:
    import onnx

Bounds = tuple[float, float]

BEHIND = LOWERED  # the name of a lowered tensor, behind that of the tensor
_PASS = frozenset(
    ("MaxPool", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose", "Identity")
)


@dataclass(frozen=True)
class Lowerable:
    """Tensors that can only be lowered together: those of one range.

    `relus` are the ReLUs' results, `between` these and what comes of them before a layer, `read`
    those of them that the layers `layers` read.
    """

    relus: tuple[str, ...]
    between: tuple[str, ...]
    read: tuple[str, ...]
    layers: tuple[str, ...]


@dataclass(frozen=True)
class Lowering:
    """What to do to a float network: leave out the ReLUs, and add to biases.

    `added` has float64 [channels] by the tensors that have the biases in them; `bounds` is the
    range, around zero, of the tensors that are lowered.
    """

    group: Lowerable
    added: Mapping[str, np.ndarray]
    bounds: Bounds


def lowerable(model: "onnx.ModelProto") -> list[Lowerable]:
    """What can be lowered in a float model if all its readers are in INT8, in the graph's order."""
    graph = _Graph(model)
    found, seen = [], set[str]()
    for node in model.graph.node:
        if node.op_type == "Relu" and node.output[0] not in seen:
            group = graph.group(node.output[0])
            if group:
                seen.update(group.relus)
                found.append(group)
    return found


def lowerings(
    model: "onnx.ModelProto",
    ranges: Mapping[str, Bounds],
    grid: Grid,
    keep_float: Sequence[str] = (),
) -> list[Lowering]:
    """What of a float model these ranges lower where some layers stay in float."""
    from onnx import numpy_helper

    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    graph, found = _Graph(model), []
    for group in lowerable(model) if grid.lowest is not None else ():
        known = all(name in ranges and grid.lowers(ranges[name]) for name in group.read)
        if not known or not set(keep_float).isdisjoint(group.layers):
            continue
        scale, zero = (float(value) for value in grid.of_range(ranges[group.read[0]]))
        half, added = -zero * scale, {}
        for relu in group.relus:
            layer = graph.layer_before(relu)
            assert layer  # as each of a group's has
            added[graph.bias(layer)[1]] = np.full(graph.channels(layer), -half)
        for name in group.layers:
            layer = graph.layers[name]
            weight = grid.rounded(numpy_helper.to_array(weights[layer.input[1]]), layer)
            axis = channel_axis(layer) % weight.ndim
            others = tuple(row for row in range(weight.ndim) if row != axis)
            added[graph.bias(layer)[1]] = half * weight.sum(others, dtype=np.float64)
        found.append(Lowering(group, added, (-127 * scale, 127 * scale)))
    return found


def lower(
    model: "onnx.ModelProto",
    ranges: Mapping[str, Bounds],
    grid: Grid,
    keep_float: Sequence[str] = (),
) -> dict[str, Bounds]:
    """Lower what ranges say in a float model; returns the ranges of what it then has.

    A lowered tensor has another name, since it has other values. What cannot be lowered has a range
    around zero.
    """
    from onnx import numpy_helper

    done = lowerings(model, ranges, grid, keep_float)
    biases = _Graph(model).biases()
    names: dict[str, str] = {}
    changed: dict[str, np.ndarray] = {}
    lowered = {
        name: (-bounds[1], bounds[1]) if grid.lowers(bounds) else bounds
        for name, bounds in ranges.items()
    }
    gone: set[str] = set()
    for one in done:
        names |= {name: name + BEHIND for name in one.group.between}
        lowered |= {name + BEHIND: one.bounds for name in one.group.between}
        gone.update(one.group.relus)
        for result, values in one.added.items():
            changed[biases[result]] = changed.get(biases[result], 0.0) + values
    for tensor in model.graph.initializer:
        if tensor.name in changed:
            values = numpy_helper.to_array(tensor)
            moved = values + changed[tensor.name].reshape(values.shape)
            tensor.CopyFrom(numpy_helper.from_array(moved.astype(np.float32), tensor.name))
    relus = [node for node in model.graph.node if gone.intersection(node.output)]
    names |= {node.input[0]: node.output[0] + BEHIND for node in relus}
    for node in relus:
        model.graph.node.remove(node)
    for node in model.graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
    kept = [value for value in model.graph.value_info if value.name not in names]
    del model.graph.value_info[:]
    model.graph.value_info.extend(kept)
    return lowered


class _Graph:
    """A float model's nodes by what they make and read."""

    def __init__(self, model: "onnx.ModelProto"):
        self._nodes: Sequence[onnx.NodeProto] = model.graph.node
        self._shapes = {tensor.name: tuple(tensor.dims) for tensor in model.graph.initializer}
        self._sizes = {name: int(np.prod(shape)) for name, shape in self._shapes.items()}
        self._makers = {name: node for node in self._nodes for name in node.output}
        self._readers: dict[str, list[onnx.NodeProto]] = {}
        for node in self._nodes:
            for name in node.input:
                self._readers.setdefault(name, []).append(node)
        self._results = {value.name for value in model.graph.output}
        self._roots = tensors.aliases(model)
        self.layers = {
            node.name: node
            for node in self._nodes
            if node.op_type in LAYERS and node.input[1] in self._shapes
        }
        self._biases = {
            name: bias_of(self._nodes, self._sizes, layer, self.channels(layer))
            for name, layer in self.layers.items()
        }
        # By the tensors that have a layer's bias in them.
        self._by_result = {
            result: self.layers[name] for name, (bias, result) in self._biases.items() if bias
        }

    def channels(self, layer: "onnx.NodeProto") -> int:
        return self._shapes[layer.input[1]][channel_axis(layer)]

    def bias(self, layer: "onnx.NodeProto") -> tuple[str | None, str]:
        return self._biases[layer.name]

    def biases(self) -> dict[str, str]:
        """The layers' biases by the tensors that have them in them."""
        return {result: bias for bias, result in self._biases.values() if bias}

    def layer_before(self, relu: str) -> "onnx.NodeProto | None":
        """The layer with a bias whose result a Relu, and nothing else, reads."""
        entry = self._makers[relu].input[0]
        alone = len(self._readers[entry]) == 1 and entry not in self._results
        return self._by_result.get(entry) if alone else None

    def group(self, relu: str) -> Lowerable | None:
        """What must be lowered with a Relu's result; None where it cannot be."""
        # In order, each once.
        found: tuple[dict[str, None], ...] = ({}, {}, {}, {})
        relus, between, read, layers = found
        waiting = [relu]
        while waiting:
            name = waiting.pop(0)
            if name in between:
                continue
            between[name] = None
            maker = self._makers.get(name)
            if maker is None or name in self._results:
                return None
            if maker.op_type == "Relu":
                if not self.layer_before(name):
                    return None
                relus[name] = None
            elif maker.op_type == "Concat":
                waiting += maker.input
            elif maker.op_type in _PASS:
                waiting.append(maker.input[0])
            else:
                return None
            for node in self._readers.get(name, ()):
                if node.op_type == "Concat" or (node.op_type in _PASS and node.input[0] == name):
                    waiting.append(node.output[0])
                elif node.input[0] == name and self._takes(node):
                    read[name], layers[node.name] = None, None
                else:
                    return None
        if len({self._roots.get(name, (name,)) for name in read}) != 1:
            return None  # of ranges of their own
        return Lowerable(*map(tuple, found))

    def _takes(self, node: "onnx.NodeProto") -> bool:
        """Whether a node is a layer that makes up for what its input lacks: by a bias, and without
        zeros at the edges."""
        given = {one.name: one for one in node.attribute}
        pads = "pads" in given and any(given["pads"].ints)
        automatic = "auto_pad" in given and given["auto_pad"].s not in (b"NOTSET", b"VALID")
        scaled = any(name in given and given[name].f != 1 for name in ("alpha", "beta"))
        if node.name not in self.layers or pads or automatic or scaled:
            return False
        return self._by_result.get(self.bias(node)[1]) is node
