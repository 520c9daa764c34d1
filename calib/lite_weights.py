"""Paddle's counterparts of an ONNX file's layers, known by their weights, and rounded as those."""

from collections.abc import Mapping, Sequence

import numpy as np

from calib.fake_quant import LAYERS, channel_axis

OPERATORS = ("conv2d", "depthwise_conv2d", "mul", "matmul", "matmul_v2")
_SAME = 1e-3  # of a channel's largest weight


def layer_weights(program) -> dict[str, np.ndarray]:
    """The weights of a program's layers by the parameters' names, float [channels, others]."""
    import paddle

    block, scope = program.global_block(), paddle.static.global_scope()
    found = {}
    for operator in block.ops:
        if operator.type in OPERATORS:
            for name in operator.input_arg_names:
                if block.var(name).persistable:
                    values = np.array(scope.find_var(name).get_tensor())
                    rows = values.T if values.ndim == 2 else values
                    found[name] = rows.reshape(len(rows), -1)
    return found


def round_alike(
    program, onnx_file: str, rounded: Mapping[str, np.ndarray], keep_float: Sequence[str]
) -> int:
    """Give a program's layers, in the global scope, the rounded weights of an ONNX file's.

    `rounded` by initializer; the ONNX layers in `keep_float` stay. A channel may differ by a
    factor, as a batch norm behind it has one. Returns how many were rounded.
    """
    import paddle

    scope = paddle.static.global_scope()
    waiting = _pairs(onnx_file, rounded, keep_float)
    done = 0
    for name, weight in layer_weights(program).items():
        for row, (before, after) in enumerate(waiting):
            factors = _factors(weight, before)
            if factors is None:
                continue
            tensor = scope.find_var(name).get_tensor()
            stored = np.array(tensor)
            rows = (after * factors[:, None]).astype(stored.dtype)
            rows = rows.T if stored.ndim == 2 else rows
            tensor.set(np.ascontiguousarray(rows.reshape(stored.shape)), paddle.CPUPlace())
            del waiting[row]
            done += 1
            break
    return done


def _pairs(
    onnx_file: str, rounded: Mapping[str, np.ndarray], keep_float: Sequence[str]
) -> list[tuple[np.ndarray, np.ndarray]]:
    """The weights of an ONNX file's layers, and what they are rounded to; [channels, others]."""
    import onnx
    from onnx import numpy_helper

    graph = onnx.load(onnx_file).graph
    weights = {tensor.name: tensor for tensor in graph.initializer}
    found = []
    for node in graph.node:
        if node.op_type in LAYERS and node.input[1] in rounded and node.name not in keep_float:
            before, after = numpy_helper.to_array(weights[node.input[1]]), rounded[node.input[1]]
            axis = channel_axis(node)
            rows = [np.moveaxis(one, axis, 0) for one in (before, after)]
            found.append((rows[0].reshape(len(rows[0]), -1), rows[1].reshape(len(rows[1]), -1)))
    return found


def _factors(weight: np.ndarray, other: np.ndarray) -> np.ndarray | None:
    """What each channel of `other` is to be multiplied by to be that of `weight`; None if none."""
    if weight.shape != other.shape:
        return None
    power = (other * other).sum(axis=1)
    factors = (weight * other).sum(axis=1) / np.where(power > 0, power, 1.0)
    off = np.abs(weight - factors[:, None] * other).max(axis=1)
    return factors if (off <= _SAME * np.abs(weight).max(axis=1)).all() else None
