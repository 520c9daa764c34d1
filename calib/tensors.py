"""Which tensors of an ONNX graph must be looked at, and which others can be told from them.

Every float tensor that depends on the input may be asked for: by a quantizer, or by the scan for
values beyond FP16's range. Three kinds need no look of their own, and looking would cost time
twice, since a tensor that is looked at cannot be fused away:

- what only moves, drops or repeats values has its source's range. MaxPool, Slice and Split may drop
  the extremes; a quantizer gives both sides one scale anyway, since the integers pass unchanged.
- what joins tensors has exactly the values of all its sources together.
- what only a Relu reads is cut off at zero in the same kernel on every target, so its range is
  that of the Relu's output. What lies below zero may overflow without harm: it becomes zero.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from convert.work import outline

if TYPE_CHECKING:
    import onnx

_MOVES = frozenset(
    (
        *("Identity", "Dropout", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose"),
        *("Expand", "Tile", "Slice", "Split", "MaxPool", "DepthToSpace", "SpaceToDepth"),
    )
)
_JOINS = frozenset({"Concat"})
EXACT = _MOVES | _JOINS | {"Relu"}  # they give values that they were given, or zero


def observed(model: "onnx.ModelProto") -> list[str]:
    """The tensors to look at, in the order the graph computes them; the input first."""
    told = aliases(model)
    return [name for name in _activations(model) if name not in told]


def aliases(model: "onnx.ModelProto") -> dict[str, tuple[str, ...]]:
    """The other tensors: each with the observed ones that together have its values' range."""
    activations = set(_activations(model))
    readers = _readers(model)
    direct: dict[str, tuple[str, ...]] = {}
    for node in model.graph.node:
        sources = tuple(name for name in node.input if name in activations)
        if node.op_type in _MOVES and sources:
            direct |= {name: sources[:1] for name in node.output if name in activations}
        elif node.op_type in _JOINS and len(sources) == len(node.input):
            direct[node.output[0]] = sources
        elif node.op_type == "Relu" and readers.get(node.input[0]) == 1:
            direct[node.input[0]] = (node.output[0],)
    for value in model.graph.output:
        direct.pop(value.name, None)  # to be had without a detour
    return {name: _roots(name, direct) for name in _activations(model) if name in direct}


def producers(model: "onnx.ModelProto") -> dict[str, str]:
    """Each tensor's node, as it can be named to a user: its name and operator."""
    return {
        name: f"{node.name or name} ({node.op_type})"
        for node in model.graph.node
        for name in node.output
    }


def _activations(model: "onnx.ModelProto") -> list[str]:
    """The float tensors that depend on the graph's input, which comes first, in their order."""
    from onnx import TensorProto, shape_inference

    graph = shape_inference.infer_shapes(outline(model), data_prop=True).graph
    floats = {
        value.name
        for value in (*graph.input, *graph.value_info, *graph.output)
        if value.type.tensor_type.elem_type == TensorProto.FLOAT
    }
    weights = {tensor.name for tensor in model.graph.initializer}
    found = {value.name: None for value in model.graph.input if value.name not in weights}
    for node in model.graph.node:
        if any(name in found for name in node.input):
            found |= dict.fromkeys(name for name in node.output if name)
    return [name for name in found if name in floats]


def _readers(model: "onnx.ModelProto") -> dict[str, int]:
    """How many inputs of nodes, and outputs of the graph, read each tensor."""
    counts: dict[str, int] = {}
    for name in (
        *(name for node in model.graph.node for name in node.input),
        *(value.name for value in model.graph.output),
    ):
        counts[name] = counts.get(name, 0) + 1
    return counts


def _roots(name: str, direct: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """The tensors that a tensor's range is told from, through any chain; each once."""
    if name not in direct:
        return (name,)
    found = (root for source in direct[name] for root in _roots(source, direct))
    return tuple(dict.fromkeys(found))
