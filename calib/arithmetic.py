"""A target's arithmetic, written into some of the nodes of a float ONNX graph.

What a target computes otherwise than in float is imitated in the graph's own nodes: integers by
pairs of QuantizeLinear and DequantizeLinear, narrow floats by casts there and back.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from calib.fake_quant import LAYERS, group_count, sort_nodes
from calib.placement import Placement, place_pairs
from calib.tensors import EXACT
from convert.simulate import floats_of, rounded_nodes

if TYPE_CHECKING:
    import onnx

# Pairs are computed as they stand: what is asked is what rounding does, not which kernel does it.
_AS_WRITTEN = {"session.disable_quant_qdq": "1"}
_NOTHING: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True)
class Integers:
    """INT8 as a runtime wants it: ranges by tensor, and what is added to biases, by their names.

    `products` says whether products of two activations are computed in integers, too.
    """

    placement: Placement
    ranges: Mapping[str, tuple[float, float]]
    shifts: Mapping[str, np.ndarray]
    products: bool = True

    optimize = True
    entries = _AS_WRITTEN

    def units(self, model: "onnx.ModelProto") -> dict[str, tuple[str, ...]]:
        """What can be computed in integers by itself: the layers, in order."""
        weights = {tensor.name for tensor in model.graph.initializer}
        return {
            node.name: (node.name,)
            for node in model.graph.node
            if node.op_type in LAYERS
            and node.input[0] in self.ranges
            and (node.input[1] in weights or (self.products and node.input[1] in self.ranges))
        }

    def write(
        self,
        model: "onnx.ModelProto",
        chosen: Collection[str],
        between: bool,
        behind: Collection[str],
    ) -> "onnx.ModelProto":
        """A part of a model with the chosen layers in integers, and with `between` the other
        operators that the runtime has in integers; not those `behind` the last layer."""
        from onnx import numpy_helper
        from onnxruntime.quantization.quant_utils import add_infer_metadata

        graph = model.graph
        own = [node for node in graph.node if node.name in chosen]
        weights = {tensor.name: tensor for tensor in graph.initializer}
        grouped = {
            layer.name: numpy_helper.to_array(weights[layer.input[1]])
            for layer in own
            if self.placement.grid.per_group and group_count(layer) > 1
        }
        shifted = {name for node in self._with_biases(graph, own) for name in node.input}
        for tensor in graph.initializer:
            if tensor.name in shifted and tensor.name in self.shifts:
                values = numpy_helper.to_array(tensor)
                shift = self.shifts[tensor.name].reshape(values.shape)
                moved = (values + shift).astype(np.float32)
                tensor.CopyFrom(numpy_helper.from_array(moved, tensor.name))
        others = [
            node.name
            for node in graph.node
            if node.name not in chosen and (not between or node.op_type in LAYERS)
        ]
        add_infer_metadata(model)
        placed = place_pairs(
            model, self.ranges, self.placement, others, shown=False, behind=list(behind)
        )
        for layer in own:
            if layer.name in grouped:
                self._round_by_groups(placed.graph, layer, grouped[layer.name])
        sort_nodes(placed.graph)
        return placed

    def _round_by_groups(
        self, graph: "onnx.GraphProto", layer: "onnx.NodeProto", weight: np.ndarray
    ) -> None:
        """Give a grouped convolution weights with a scale per group: the quantizer's have one per
        channel."""
        from onnx import numpy_helper

        name = f"{layer.name}/grouped"
        rounded = self.placement.grid.rounded(weight, layer)
        graph.initializer.append(numpy_helper.from_array(rounded, name))
        next(node for node in graph.node if node.name == layer.name).input[1] = name

    def _with_biases(
        self, graph: "onnx.GraphProto", layers: "list[onnx.NodeProto]"
    ) -> "list[onnx.NodeProto]":
        """The layers, and the Adds behind them, which may have their biases."""
        results = {name for layer in layers for name in layer.output}
        adds = [
            node
            for node in graph.node
            if node.op_type == "Add" and results.intersection(node.input)
        ]
        return [*layers, *adds]


@dataclass(frozen=True)
class Floats:
    """Narrower floats, "fp16" or "bf16": what a node reads, its weights and its results rounded."""

    precision: str

    optimize = False  # an optimizer takes the casts out
    entries = _NOTHING

    def units(self, model: "onnx.ModelProto") -> dict[str, tuple[str, ...]]:
        """What can be computed in them by itself, in order: each layer, and between two layers what
        computes new values, by the name of its first node."""
        found: dict[str, tuple[str, ...]] = {}
        group = ""
        for node in model.graph.node:
            if node.op_type in LAYERS:
                found[node.name], group = (node.name,), ""
            elif node.op_type not in EXACT:
                group = group or node.name
                found[group] = (*found.get(group, ()), node.name)
        return found

    def write(
        self,
        model: "onnx.ModelProto",
        chosen: Collection[str],
        between: bool,
        behind: Collection[str],
    ) -> "onnx.ModelProto":
        """A part of a model with the chosen nodes in narrow floats."""
        graph = model.graph
        nodes = rounded_nodes(
            list(graph.node), floats_of(graph), graph.output[0].name, self.precision, chosen
        )
        del graph.node[:]
        del graph.value_info[:]
        graph.node.extend(nodes)
        return model
