"""What is in `model.param`, a line per layer, and `model.bin`, their numbers one after the other.

The form is that of ncnn's `ParamDict`, `ModelBin` and its layers' `load_model`.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from common.errors import StepError

CONVOLUTION, GROUPED, LINEAR, GEMM = "Convolution", "ConvolutionDepthWise", "InnerProduct", "Gemm"
INT8_TERM = 8  # the parameter that says how a layer's integers are scaled

_MAGIC = "7767517"
_FP32, _FP16, _INT8 = 0, 0x01306B47, 0x000D4B38  # before numbers that may have several forms
_FORMS: dict[int, np.dtype] = {
    tag: np.dtype(form) for tag, form in ((_FP32, "<f4"), (_FP16, "<f2"), (_INT8, "i1"))
}
_TAGS = {form: tag for tag, form in _FORMS.items()}
_ALIGNMENT = 4  # bytes


@dataclass(frozen=True)
class Numbers:
    """Some of a layer's numbers, flat; `tagged` are those before which the file says their form."""

    values: np.ndarray
    tagged: bool


@dataclass
class Layer:
    """A line: the operator, its name, the tensors that it reads and makes; and its numbers.

    `parameters` are as they stand there, by their number. Arrays have one below -23300.
    """

    kind: str
    name: str
    inputs: list[str]
    outputs: list[str]
    parameters: dict[int, str]
    numbers: list[Numbers] = field(default_factory=list)

    def integer(self, number: int, default: int = 0) -> int:
        """A parameter that is an integer."""
        return int(self.parameters.get(number, default))


def read(graph: Path, weights: Path) -> list[Layer]:
    """The layers of a file; StepError where its numbers are not as many as its layers have."""
    layers = read_graph(graph)
    buffer, place = weights.read_bytes(), 0
    try:
        for layer in layers:
            for count, tagged in _sizes(layer):
                form = _FORMS[_FP32]
                if tagged:
                    form = _FORMS[int.from_bytes(buffer[place : place + _ALIGNMENT], "little")]
                    place += _ALIGNMENT
                values = np.frombuffer(buffer, form, count, place)
                layer.numbers.append(Numbers(values, tagged))
                place += _aligned(values.nbytes)
    except (KeyError, ValueError):
        place = -1
    if place != len(buffer):
        raise StepError(f"{weights.name} does not hold the numbers of {graph.name}'s layers")
    return layers


def read_graph(graph: Path) -> list[Layer]:
    """The layers of a `.param` file, without their numbers."""
    _, _, *lines = graph.read_text().splitlines()
    return [_layer(line) for line in lines]


def write(layers: list[Layer], graph: Path, weights: Path) -> None:
    """Write both files."""
    tensors = {name for layer in layers for name in (*layer.inputs, *layer.outputs)}
    lines = [_MAGIC, f"{len(layers)} {len(tensors)}", *map(_line, layers)]
    graph.write_text("".join(f"{line}\n" for line in lines))
    with weights.open("wb") as stream:
        for layer in layers:
            for numbers in layer.numbers:
                if numbers.tagged:
                    tag = _TAGS[numbers.values.dtype.newbyteorder("<")]
                    stream.write(tag.to_bytes(_ALIGNMENT, "little"))
                size = numbers.values.nbytes
                stream.write(numbers.values.tobytes() + bytes(_aligned(size) - size))


def _layer(line: str) -> Layer:
    kind, name, readers, makers, *words = line.split()
    inputs, outputs = int(readers), int(readers) + int(makers)
    parameters = (word.split("=") for word in words[outputs:])
    return Layer(
        kind,
        name,
        words[:inputs],
        words[inputs:outputs],
        {int(number): value for number, value in parameters},
    )


def _line(layer: Layer) -> str:
    counts = [str(len(layer.inputs)), str(len(layer.outputs))]
    words = [f"{number}={value}" for number, value in layer.parameters.items()]
    return " ".join([layer.kind, layer.name, *counts, *layer.inputs, *layer.outputs, *words])


def _sizes(layer: Layer) -> Iterator[tuple[int, bool]]:
    """How many numbers a layer has, array by array, and which arrays are tagged."""
    get = layer.integer
    if layer.kind in (CONVOLUTION, GROUPED, LINEAR):
        linear = layer.kind == LINEAR
        yield get(2 if linear else 6), True
        if get(1 if linear else 5):
            yield get(0), False
        if get(INT8_TERM):
            yield get(7, 1) if layer.kind == GROUPED else get(0), False
            yield 1, False
    elif layer.kind == GEMM:
        rows, columns, inner = get(7), get(8), get(9)
        if get(4):
            yield rows * inner, True
        if get(5):
            yield columns * inner, True
        if get(6) and get(10) != -1:
            yield (1, rows, rows, rows * columns, columns)[get(10)], True
    elif layer.kind == "LayerNorm" and get(2, 1):
        yield from [(get(0), False)] * 2
    elif layer.kind == "BatchNorm":
        yield from [(get(0), False)] * 4
    elif layer.kind == "MemoryData":
        sides = [get(number) for number in (0, 1, 11, 2)]
        yield math.prod(side for side in sides if side) if any(sides) else 0, not get(21, 1)


def _aligned(size: int) -> int:
    return -size % _ALIGNMENT + size
