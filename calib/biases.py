"""Which bias of an ONNX graph can take up what is added to a layer's result, per channel."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnx


def bias_of(
    nodes: "Sequence[onnx.NodeProto]", sizes: Mapping[str, int], layer: "onnx.NodeProto", count: int
) -> tuple[str | None, str]:
    """A layer's own bias, or that of an Add behind a MatMul; and the tensor that has it in it.

    None where there is none of `count` values, or where others use it too. `sizes` are the numbers
    of values of a graph's initializers, by name.
    """
    bias, result = None, layer.output[0]
    if layer.op_type in ("Conv", "Gemm") and len(layer.input) == 3:
        bias = layer.input[2]
    elif layer.op_type == "MatMul":
        readers = [other for other in nodes if layer.output[0] in other.input]
        if len(readers) == 1 and readers[0].op_type == "Add":
            bias = next((name for name in readers[0].input if name != layer.output[0]), None)
            result = readers[0].output[0]
    if bias is None or sizes.get(bias) != count:
        return None, result
    uses = sum(list(other.input).count(bias) for other in nodes)
    return bias if uses == 1 else None, result
