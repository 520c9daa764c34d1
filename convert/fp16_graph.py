"""An ONNX file whose arithmetic is float16, for parsers that take a precision from the file only.

TensorRT 11 and TensorRT-RTX have no flag for FP16. Input and logits stay float32. Weights are
rounded as IEEE says, to infinity too: converters that clamp them hide an overflow.
"""


def write_fp16(source: str, output: str) -> None:
    """In a child process: make every float32 value of an ONNX file float16, and write."""
    import numpy as np
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    model = onnx.load(source)
    graph = model.graph

    def narrowed(tensor):
        with np.errstate(over="ignore"):
            values = numpy_helper.to_array(tensor).astype(np.float16)
        return numpy_helper.from_array(values, tensor.name)

    for tensor in graph.initializer:
        if tensor.data_type == TensorProto.FLOAT:
            tensor.CopyFrom(narrowed(tensor))
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.TENSOR:
                if attribute.t.data_type == TensorProto.FLOAT:
                    attribute.t.CopyFrom(narrowed(attribute.t))
            elif node.op_type == "Cast" and attribute.i == TensorProto.FLOAT:
                attribute.i = TensorProto.FLOAT16

    entry, logits = graph.input[0].name, graph.output[0].name
    narrow = {entry: f"{entry}/fp16", logits: f"{logits}/fp16"}
    for node in graph.node:
        node.input[:] = [narrow.get(name, name) for name in node.input]
        node.output[:] = [narrow.get(name, name) for name in node.output]
    first = helper.make_node("Cast", [entry], [narrow[entry]], "first", to=TensorProto.FLOAT16)
    last = helper.make_node("Cast", [narrow[logits]], [logits], "last", to=TensorProto.FLOAT)
    nodes = [first, *graph.node, last]
    del graph.node[:]
    del graph.value_info[:]  # they say float32
    graph.node.extend(nodes)
    onnx.save(model, output)
