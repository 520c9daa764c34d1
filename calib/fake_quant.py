"""Beside a layer of a float ONNX graph, its fake-quantized copy: as INT8 would compute it.

The copy reads the layer's own float input, so that what it shows is this layer's error alone.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

LAYERS = ("Conv", "Gemm", "MatMul")  # what does nearly all the arithmetic


@dataclass(frozen=True)
class Grid:
    """The integers of a target: int8 activations around zero or uint8 ones, and weights of
    -limit…limit, with a scale per output channel, or `per_group` of a grouped convolution.

    `lowest` is where int8 activations are cut off, -127 or -128, if tensors that are never negative
    are to be lowered (see `calib.lowering`): a range that begins at zero is then one from there on.
    """

    symmetric: bool
    weight_limit: int
    per_group: bool = False
    lowest: int | None = None

    @property
    def weight_bits(self) -> int:
        """8, or 7 where a CPU without VNNI would saturate."""
        return round(math.log2(2 * self.weight_limit + 1))

    def lowers(self, bounds: tuple[float, float]) -> bool:
        """Whether a tensor with this range is lowered."""
        return self.lowest is not None and bounds[0] == 0 < bounds[1]

    def of_range(self, bounds: tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
        """The scale and the zero point of a tensor with this range."""
        low, high = min(bounds[0], 0.0), max(bounds[1], 0.0)
        if self.lowest is not None and self.lowers(bounds):
            return np.array(high / (127 - self.lowest), np.float32), np.array(self.lowest, np.int8)
        if self.symmetric:
            scale = max(-low, high) / 127
            return np.array(scale or 1.0, np.float32), np.array(0, np.int8)
        scale = (high - low) / 255 or 1.0
        return np.array(scale, np.float32), np.array(round(-low / scale), np.uint8)

    def rounded(self, weight: np.ndarray, node) -> np.ndarray:
        """A layer's weights as INT8 has them, scaled by their largest magnitude."""
        scale = self.weight_scales(weight, node)
        return (np.rint(weight / scale) * scale).astype(np.float32)

    def weight_scales(self, weight: np.ndarray, node) -> np.ndarray:
        """The scales of `rounded`, one per channel, in a shape that multiplies the weights."""
        axis = channel_axis(node) % weight.ndim
        others = tuple(row for row in range(weight.ndim) if row != axis)
        scale = np.abs(weight).max(others, keepdims=True) / self.weight_limit
        if self.per_group and group_count(node) > 1:
            groups = scale.reshape(group_count(node), -1)
            groups[:] = groups.max(axis=1, keepdims=True)
        scale[scale == 0] = 1.0
        return scale


class FakeQuantGraph:
    """Adds fake-quantized layers to a copy of a model, whose initializers by name are `weights`."""

    def __init__(self, model, ranges: Mapping[str, tuple[float, float]], grid: Grid):
        import onnx
        from onnx import numpy_helper

        self.model = onnx.ModelProto()
        self.model.CopyFrom(model)
        self.weights = {
            tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer
        }
        self._ranges, self._grid = ranges, grid

    def possible(self, node) -> bool:
        """Whether a node is a layer: it multiplies what has a range by weights, or by such."""
        return (
            node.op_type in LAYERS
            and node.input[0] in self._ranges
            and (self.has_weights(node) or node.input[1] in self._ranges)
        )

    def has_weights(self, node) -> bool:
        """Whether a layer has weights; a product of two activations, as in attention, has none."""
        return node.input[1] in self.weights

    def channels(self, node) -> int:
        """How many outputs a layer with weights has."""
        return self.weights[node.input[1]].shape[channel_axis(node)]

    def add(self, node, shift: np.ndarray | None = None) -> str:
        """Add a layer's fake-quantized copy to the graph; returns the name of its output.

        `shift`, [channels], is what its bias gets more.
        """
        import onnx

        name = f"{node.name}/fake"
        fake_output = onnx.NodeProto()
        fake_output.CopyFrom(node)
        fake_output.name = name
        fake_output.output[0] = f"{name}/out"
        fake_output.input[0] = self._add_rounding(node.input[0], f"{name}/first")
        if self.has_weights(node):
            weight = self._grid.rounded(self.weights[node.input[1]], node)
            self.constant(f"{name}/weight", weight)
            fake_output.input[1] = f"{name}/weight"
        else:
            fake_output.input[1] = self._add_rounding(node.input[1], f"{name}/second")
        self.model.graph.node.append(fake_output)
        if shift is None:
            return f"{name}/out"
        axes = (-1, 1, 1) if node.op_type == "Conv" else (-1,)
        self.constant(f"{name}/shift", shift.reshape(axes).astype(np.float32))
        shifted = [f"{name}/out", f"{name}/shift"]
        self.model.graph.node.append(onnx.helper.make_node("Add", shifted, [f"{name}/shifted"]))
        return f"{name}/shifted"

    def _add_rounding(self, tensor: str, name: str) -> str:
        """Round a tensor to its grid; returns the name of the result."""
        from onnx import helper

        scale, zero = self._grid.of_range(self._ranges[tensor])
        self.constant(f"{name}/scale", scale)
        self.constant(f"{name}/zero", zero)
        steps, integers, rounded = [f"{name}/scale", f"{name}/zero"], f"{name}/int", f"{name}/float"
        self.model.graph.node.extend(
            (
                helper.make_node("QuantizeLinear", [tensor, *steps], [integers]),
                helper.make_node("DequantizeLinear", [integers, *steps], [rounded]),
            )
        )
        return rounded

    def constant(self, name: str, values: np.ndarray) -> None:
        """Add an initializer."""
        from onnx import numpy_helper

        self.model.graph.initializer.append(numpy_helper.from_array(values, name))

    def session(self):
        """ONNX Runtime on the graph, which is given up: it is as large as the weights, twice."""
        import onnxruntime

        sort_nodes(self.model.graph)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        content = self.model.SerializeToString()
        del self.model
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def sort_nodes(graph) -> None:
    """Put the nodes in an order in which each comes after those that it reads from."""
    made = {name for value in (*graph.input, *graph.initializer) for name in (value.name,)}
    waiting, done = list(graph.node), []
    while waiting:
        ready = [node for node in waiting if all(not name or name in made for name in node.input)]
        made.update(name for node in ready for name in node.output)
        done += ready
        taken = set(map(id, ready))
        waiting = [node for node in waiting if id(node) not in taken]
    del graph.node[:]
    graph.node.extend(done)


def channel_axis(node) -> int:
    """The axis of a layer's weights that counts its outputs."""
    if node.op_type == "Conv":
        return 0
    transposed = any(found.name == "transB" and found.i for found in node.attribute)
    return 0 if transposed else -1


def group_count(node) -> int:
    """How many groups a layer's channels are in."""
    return next((found.i for found in node.attribute if found.name == "group"), 1)
