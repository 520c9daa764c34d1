"""Signed integers for what is never negative: a tensor is lowered until it has them all.

A runtime without zero points lays int8 around zero, and what comes out of a ReLU has half of the
integers. With c half of its range, in the place of r = ReLU(y + b) goes r - c, from -c to c:

- max(y + b, 0) - c = max(y + (b - c), -c): the bias before is lowered, and the lowest integer cuts
  off what the ReLU did, which goes. MaxPool and Concat in between let it pass.
- W r = W (r - c) + c W 1: the biases of the layers that read it get what it lacks, by the weights
  as they are rounded.

Both are exact, and cost nothing where the network runs. Two more things are exact, and cost an
operator each:

- Where a layer pads, its zeros would be c: a Pad before it writes -c, the lowest integer. It copies
  the tensor, and is there only where the layer gives four times as many channels or more, as where
  SqueezeNets expand what they squeezed.
- Where layers in float read the tensor too, the ReLU stays, and an Add lowers it for the others.

Only what nothing but layers read is lowered. A range (0, high) in a grid with `lowest` says that a
tensor is lowered.
That signed integers can hold unsigned values with an offset is in Jacob et al., "Quantization and
Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference" (2018), 2.1.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from calib import tensors
from calib.biases import bias_of
from calib.fake_quant import LAYERS, Grid, channel_axis, group_count
from runtimes.inside.base import LOWERED, lowered_name

if TYPE_CHECKING:
    import onnx

Bounds = tuple[float, float]

BEHIND = LOWERED  # behind names of what has other values than the float network's
_MORE = 4  # times as many channels as it reads gives a layer for which a copy is padded
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
    """What to do to a float network: leave out the ReLUs, add to biases, and pad with what zero is.

    `layers` are those of the group that are in INT8. `added` has float64 [channels] by the tensors
    that have the biases in them; `zero` is what zero becomes, and `bounds` the range, around zero,
    of the tensors that are lowered.
    """

    group: Lowerable
    layers: tuple[str, ...]
    added: Mapping[str, np.ndarray]
    zero: float
    bounds: Bounds

    @property
    def beside(self) -> bool:
        """Whether layers in float read the same: then the ReLUs stay, and `zero` is added to what
        the others read."""
        return len(self.layers) < len(self.group.layers)

    def name_of(self, name: str, factor: float = 1.0) -> str:
        """What a tensor is called once it is lowered, in a graph in which it is `factor` times as
        large."""
        return lowered_name(name, -self.zero * factor)


def lowerable(model: "onnx.ModelProto") -> list[Lowerable]:
    """What can be lowered in a float model for its readers in INT8, in the graph's order."""
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
        layers = tuple(name for name in group.layers if name not in keep_float)
        if not known or not layers:
            continue
        scale, lowest = (float(value) for value in grid.of_range(ranges[group.read[0]]))
        zero, added = lowest * scale, {}
        for relu in group.relus if layers == group.layers else ():
            layer = graph.layer_before(relu)
            assert layer  # as each of a group's has
            added[graph.bias(layer)[1]] = np.full(graph.channels(layer), zero)
        for name in layers:
            layer = graph.layers[name]
            weight = grid.rounded(numpy_helper.to_array(weights[layer.input[1]]), layer)
            axis = channel_axis(layer) % weight.ndim
            others = tuple(row for row in range(weight.ndim) if row != axis)
            added[graph.bias(layer)[1]] = -zero * weight.sum(others, dtype=np.float64)
        found.append(Lowering(group, layers, added, zero, (-127 * scale, 127 * scale)))
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
    graph = _Graph(model)
    biases, before = graph.biases(), graph.before_biases()
    names: dict[str, str] = {}
    changed: dict[str, np.ndarray] = {}
    lowered = {
        name: (-bounds[1], bounds[1]) if grid.lowers(bounds) else bounds
        for name, bounds in ranges.items()
    }
    gone: set[str] = set()
    for one in done:
        if not one.beside:
            names |= {name: one.name_of(name) for name in one.group.between}
            gone.update(one.group.relus)
        lowered |= {one.name_of(name): one.bounds for name in one.group.between}
        for result, values in one.added.items():
            changed[biases[result]] = changed.get(biases[result], 0.0) + values
            unbiased = before[result]
            if unbiased != result:  # it lacks what the bias makes up for
                names[unbiased] = unbiased + BEHIND
    for tensor in model.graph.initializer:
        if tensor.name in changed:
            values = numpy_helper.to_array(tensor)
            moved = values + changed[tensor.name].reshape(values.shape)
            tensor.CopyFrom(numpy_helper.from_array(moved.astype(np.float32), tensor.name))
    relus = [node for node in model.graph.node if gone.intersection(node.output)]
    names |= {node.input[0]: names[node.output[0]] for node in relus}
    for node in relus:
        model.graph.node.remove(node)
    for node in model.graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
    kept = [value for value in model.graph.value_info if value.name not in names]
    del model.graph.value_info[:]
    model.graph.value_info.extend(kept)
    for one in done:
        lowered |= dict.fromkeys(_insert(model.graph, one), one.bounds)
    return lowered


def of(name: str) -> str:
    """The float network's tensor that a tensor, lowered or not, and padded or not, stands for."""
    return name.partition(BEHIND)[0]


def _insert(graph: "onnx.GraphProto", lowering: Lowering) -> list[str]:
    """Put before the layers what lowers and pads, where that is needed; the names of what is
    padded."""
    from onnx import helper, numpy_helper

    nodes: list[onnx.NodeProto] = []

    def insert(operator: str, name: str, entry: str, result: str, **given: np.ndarray) -> None:
        for what, values in given.items():
            graph.initializer.append(numpy_helper.from_array(values, f"{name}/{what}"))
        inputs = [entry, *(f"{name}/{what}" for what in given)]
        nodes.append(helper.make_node(operator, inputs, [result], name))

    lowered, padded = set[str](), []
    zero = np.array(lowering.zero, np.float32)
    for node in graph.node:
        if node.name in lowering.layers:
            if lowering.beside:
                entry, node.input[0] = node.input[0], lowering.name_of(node.input[0])
                if entry not in lowered:
                    insert("Add", f"{entry}/lower", entry, node.input[0], zero=zero)
                    lowered.add(entry)
            pads = next((one.ints for one in node.attribute if one.name == "pads"), None)
            if pads and any(pads):
                sides, entry = len(pads) // 2, node.input[0]
                ends = np.array([0, 0, *pads[:sides], 0, 0, *pads[sides:]])
                node.input[0] = f"{entry}/{node.name}{BEHIND}"
                insert("Pad", f"{node.name}/pad", entry, node.input[0], ends=ends, zero=zero)
                padded.append(node.input[0])
                pads[:] = [0] * len(pads)
        nodes.append(node)
    del graph.node[:]
    graph.node.extend(nodes)
    return padded


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

    def before_biases(self) -> dict[str, str]:
        """The layers' own results by the tensors that have their biases in them."""
        return {result: layer.output[0] for result, layer in self._by_result.items()}

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
        """Whether a node is a layer that makes up for what its input lacks, by a bias; and that is
        worth a copy of its input where it pads that."""
        given = {one.name: one for one in node.attribute}
        automatic = "auto_pad" in given and given["auto_pad"].s not in (b"NOTSET", b"VALID")
        scaled = any(name in given and given[name].f != 1 for name in ("alpha", "beta"))
        if node.name not in self.layers or automatic or scaled:
            return False
        if "pads" in given and any(given["pads"].ints):
            results, entries, *_ = self._shapes[node.input[1]]
            if results < _MORE * entries * group_count(node):
                return False
        return self._by_result.get(self.bias(node)[1]) is node
