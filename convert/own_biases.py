"""Biases that Paddle Lite can make its convolutions' own.

Paddle exports a convolution's bias as a reshape and an addition. Paddle Lite's optimizer takes an
addition into the layer before it only where a parameter is added as it is.
"""


def write_with_own_biases(source: str, output: str) -> int:
    """In a child process: add the parameters themselves, along the channels; returns how many.

    `source` and `output` are folders with an inference graph.
    """
    import paddle

    paddle.enable_static()
    executor = paddle.static.Executor(paddle.CPUPlace())
    program, feeds, fetched = paddle.static.load_inference_model(f"{source}/inference", executor)
    block = program.global_block()
    makers = {name: operator for operator in block.ops for name in operator.output_arg_names}
    reshapes = []
    for operator in block.ops:
        reshape = makers.get(operator.input("Y")[0]) if operator.type == "elementwise_add" else None
        if reshape is None or reshape.type != "reshape2":
            continue
        bias = reshape.input("X")[0]
        added = block.var(operator.input("Y")[0]).shape
        if block.var(bias).persistable and list(added) == [1, *block.var(bias).shape, 1, 1]:
            operator.desc.set_input("Y", [bias])
            operator._set_attr("axis", 1)
            reshapes.append(reshape)
    for reshape in reshapes:
        block._remove_op(block.ops.index(reshape))
    entry = [block.var(name) for name in feeds]
    paddle.static.save_inference_model(
        f"{output}/inference", entry, fetched, executor, program=program
    )
    return len(reshapes)
