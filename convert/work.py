"""What one run of a model computes and moves, counted in its ONNX graph."""

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import onnx

_LARGE = 256  # values: larger weights are no shape that inference would want to read


def count(model: "onnx.ModelProto", batch: int = 1) -> dict[str, int]:
    """The fields of `deploy.speed.roofline.Work` for a batch.

    `multiply_adds` are those of Conv, Gemm and MatMul, each counted as one.
    """
    import onnx

    # Results are counted in elements of 4 bytes, whatever type the file stores its weights in.
    small = outline(model)
    for dimension in small.graph.input[0].type.tensor_type.shape.dim[:1]:
        dimension.dim_value = batch
    graph = onnx.shape_inference.infer_shapes(small, data_prop=True, strict_mode=True).graph
    shapes = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    for value in (*graph.input, *graph.value_info, *graph.output):
        shapes[value.name] = tuple(d.dim_value for d in value.type.tensor_type.shape.dim)
    totals = {"multiply_adds": 0, "weight_bytes": 0, "activation_bytes": 0}
    for node in graph.node:
        depth = _depth(node, shapes)
        if depth:
            elements = math.prod(shapes[node.output[0]])
            totals["multiply_adds"] += elements * depth
            totals["activation_bytes"] += 4 * elements
    totals["weight_bytes"] = sum(
        4 * math.prod(tensor.dims)
        for tensor in model.graph.initializer
        if tensor.data_type == onnx.TensorProto.FLOAT
    )
    return totals


def outline(model: "onnx.ModelProto") -> "onnx.ModelProto":
    """The model without its large weights' values: shapes are inferred from shapes alone.

    Inference copies the model through its serialised form, hundreds of megabytes of a VGG.
    """
    import onnx

    outline = onnx.ModelProto(ir_version=model.ir_version, opset_import=model.opset_import)
    graph = outline.graph
    graph.name = model.graph.name
    graph.node.extend(model.graph.node)
    graph.input.extend(model.graph.input)
    graph.output.extend(model.graph.output)
    for tensor in model.graph.initializer:
        if math.prod(tensor.dims) > _LARGE:
            graph.input.append(
                onnx.helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims)
            )
        else:
            graph.initializer.append(tensor)
    return outline


def _depth(node: Any, shapes: dict[str, tuple[int, ...]]) -> int:
    """How many multiply-adds an element of a node's result takes; 0 for nodes not counted."""
    if node.op_type == "Conv":
        return math.prod(shapes[node.input[1]][1:])  # channels of a group, kernel height and width
    if node.op_type == "Gemm":
        transposed = any(one.name == "transA" and one.i for one in node.attribute)
        return shapes[node.input[0]][0 if transposed else 1]
    if node.op_type == "MatMul":
        return shapes[node.input[0]][-1]
    return 0
