"""Changes to one of Paddle's graphs in INT8, asked for by the names of its ONNX file."""

import collections
from collections.abc import Mapping

import numpy as np

from calib.lowering import BEHIND, Lowering

OPERATORS = ["conv2d", "depthwise_conv2d", "mul", "matmul", "matmul_v2"]  # layers
_BIASES = {"elementwise_add": "Y", "batch_norm": "Bias"}  # the operators with one, and its input
_RELU = "relu"


def correct_biases(
    program, shifts: Mapping[str, np.ndarray], names: Mapping[str, tuple[str, float]]
) -> int:
    """Shift the biases, in the global scope, of tensors with a counterpart; returns how many.

    `shifts` has float64 [channels] by the ONNX file's tensors that have the biases in them, `names`
    by the graph's tensors the ONNX file's, and what they are those times.
    """
    import paddle

    biases = _biases(program, names)
    found = [name for name in shifts if name in biases]
    for name in found:
        bias, factor = biases[name]
        tensor = paddle.static.global_scope().find_var(bias).get_tensor()
        values = np.array(tensor)
        values += (factor * shifts[name]).reshape(values.shape).astype(values.dtype)
        tensor.set(values, paddle.CPUPlace())
    return len(found)


def _biases(program, names: Mapping[str, tuple[str, float]]) -> dict[str, tuple[str, float]]:
    """By the ONNX file's tensors, the bias that is in the graph's tensor, and that one's factor.

    A bias is what an addition or a batch norm adds, and what no other operator reads.
    """
    block = program.global_block()
    readers = collections.Counter(
        name for operator in block.ops for name in operator.input_arg_names
    )
    makers = {name: operator for operator in block.ops for name in operator.output_arg_names}
    found = {}
    for name, (counterpart, factor) in names.items():
        if name not in makers or makers[name].type not in _BIASES:
            continue
        bias = makers[name].input(_BIASES[makers[name].type])[0]
        if bias in makers and makers[bias].type == "reshape2":
            bias = makers[bias].input("X")[0]
        if block.var(bias).persistable and readers[bias] == 1:
            found[counterpart] = bias, factor
    return found


def lower(program, lowering: Lowering, names: dict[str, tuple[str, float]]) -> dict[str, float]:
    """Lower tensors of the graph (see `calib.lowering`); returns the magnitudes of what is lowered.

    Where the graph has other operators there than the ONNX file, nothing is done: what its signed
    integers then hold of a range from zero on is half of them. Lowered tensors get other names,
    which `names` then has.
    """
    block, group = program.global_block(), lowering.group
    relus = {
        operator.output("Out")[0]: operator
        for operator in block.ops
        if operator.type == _RELU and _known_as(operator.output("Out")[0], names) in group.between
    }
    lowered = [name for name, (counterpart, _) in names.items() if counterpart in group.between]
    readers = [
        operator
        for operator in block.ops
        if operator.type in OPERATORS and set(lowered).intersection(operator.input_arg_names)
    ]
    layers = [one for one in readers if lowering.added.keys() & _results(block, one, names)]
    found, wanted = (relus, readers, layers), (group.relus, group.layers, lowering.layers)
    as_many = list(map(len, found)) == list(map(len, wanted))
    if not as_many or not lowering.added.keys() <= _biases(program, names).keys():
        return {}
    correct_biases(program, lowering.added, names)
    _hide_unbiased(block, lowering, names)
    if not lowering.beside:
        _rename(block, relus, {one: lowering.name_of(one, names[one][1]) for one in lowered}, names)
    for layer in layers:
        (name,) = (one for one in layer.input_arg_names if not block.var(one).persistable)
        zero = lowering.zero * names[name][1]
        if lowering.beside:
            there = lowering.name_of(name, names[name][1])
            _insert(block, layer, "scale", name, there, names, scale=1.0, bias=zero)
            name = there
        ends = layer.attr("paddings") if layer.has_attr("paddings") else []
        if any(ends):
            sides = ends if len(ends) == 4 else [end for end in ends for _ in range(2)]
            padded = f"{name}/{layer.output_arg_names[0]}{BEHIND}"
            given = {"paddings": [0, 0, 0, 0, *sides], "pad_value": zero}
            _insert(block, layer, "pad", name, padded, names, **given)
            layer._set_attr("paddings", [0] * len(ends))
    return {
        name: lowering.bounds[1] * factor
        for name, (counterpart, factor) in names.items()
        if counterpart in group.between and BEHIND in name
    }


def _results(block, layer, names: Mapping[str, tuple[str, float]]) -> set[str]:
    """What of the ONNX file's tensors a layer's result is, before and after its bias."""
    (result,) = layer.output_arg_names
    biased = [
        name
        for operator in block.ops
        if operator.type in _BIASES and result in operator.input_arg_names
        for name in operator.output_arg_names
    ]
    return {names[name][0] for name in (result, *biased) if name in names}


def _hide_unbiased(block, lowering: Lowering, names: dict[str, tuple[str, float]]) -> None:
    """Give what layers make before the biases that were changed other names, too: it lacks what
    these make up for."""
    new = {}
    for layer in block.ops:
        if layer.type in OPERATORS and lowering.added.keys() & _results(block, layer, names):
            (result,) = layer.output_arg_names
            if _known_as(result, names) not in lowering.added and BEHIND not in result:
                new[result] = result + BEHIND
                names.pop(result, None)
    _rename(block, {}, new, names)


def _rename(block, relus, new: Mapping[str, str], names: dict[str, tuple[str, float]]) -> None:
    """Leave out ReLUs, and give what is lowered then, and what it is made of, new names."""
    for name in new:
        block.create_var(name=new[name], dtype=block.var(name).dtype, shape=block.var(name).shape)
        if name in names:
            names[new[name]] = names.pop(name)
    entries = {operator.input("X")[0]: new[name] for name, operator in relus.items()}
    for place in reversed(range(len(block.ops))):
        if block.ops[place].type == _RELU and block.ops[place].output("Out")[0] in relus:
            block._remove_op(place)
    for operator in block.ops:
        for name in set(operator.input_arg_names).intersection(new):
            operator._rename_input(name, new[name])
        for name in set(operator.output_arg_names):
            if name in new or name in entries:
                operator._rename_output(name, new.get(name) or entries[name])


def _insert(
    block,
    layer,
    operator: str,
    name: str,
    result: str,
    names: dict[str, tuple[str, float]],
    **given,
) -> None:
    """Put an operator, with attributes, between a layer and a tensor that it reads, but once."""
    if not block.has_var(result):
        place = next(row for row, one in enumerate(block.ops) if one is layer)
        block.create_var(name=result, dtype=block.var(name).dtype)
        block._insert_op(
            place, type=operator, inputs={"X": [name]}, outputs={"Out": [result]}, attrs=given
        )
        names[result] = names[name]
    layer._rename_input(name, result)


def _known_as(name: str, names: Mapping[str, tuple[str, float]]) -> str:
    return names[name][0] if name in names else ""
