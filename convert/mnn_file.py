"""What is in a `.mnn` file, a FlatBuffer by the schema of MNN 3."""

from collections.abc import Iterator
from pathlib import Path

from flatbuffers.number_types import Uint8Flags
from flatbuffers.table import Table

# Fields by their place in the schema's tables.
_NET_OPERATORS = 3
_OPERATOR_KIND, _OPERATOR_MAIN, _OPERATOR_NAME = 1, 2, 3
_CONVOLUTION = 9  # the kind of an operator with a Convolution2D: fully connected layers, too
_CONVOLUTION_INTEGERS = 4


def int8_layers(path: Path) -> list[str]:
    """The names of the layers with weights that compute in integers, in the graph's order."""
    buffer = path.read_bytes()
    net = Table(buffer, int.from_bytes(buffer[:4], "little"))
    return [
        operator.String(operator.Pos + _offset(operator, _OPERATOR_NAME)).decode()
        for operator in _tables(net, _NET_OPERATORS)
        if _is_convolution(operator) and _offset(_main(operator), _CONVOLUTION_INTEGERS)
    ]


def _is_convolution(operator: Table) -> bool:
    kind = _offset(operator, _OPERATOR_KIND)
    return bool(kind) and operator.Get(Uint8Flags, operator.Pos + kind) == _CONVOLUTION


def _main(operator: Table) -> Table:
    return Table(
        operator.Bytes, operator.Indirect(operator.Pos + _offset(operator, _OPERATOR_MAIN))
    )


def _offset(table: Table, field: int) -> int:
    """Where a field is, from the table's start; 0 where it is absent."""
    return table.Offset(4 + 2 * field)


def _tables(table: Table, field: int) -> Iterator[Table]:
    """The tables of a field that is a vector of them."""
    place = _offset(table, field)
    start = table.Vector(place)
    for row in range(table.VectorLen(place)):
        yield Table(table.Bytes, table.Indirect(start + 4 * row))
