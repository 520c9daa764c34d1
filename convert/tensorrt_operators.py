"""Whether TensorRT's ONNX parser takes a file: its opset and operators, before any build.

`operators.json` says of each version what its parser knows, and where that was read; a row holds
what came on top of the rows before it.
"""

import json
from dataclasses import dataclass
from pathlib import Path

from common.errors import StepError, UserError

_TABLE = Path(__file__).with_suffix(".json")
_STANDARD = ("", "ai.onnx")
_NAMED = 3  # of the unsupported operators


@dataclass(frozen=True)
class Parser:
    """What the ONNX parser of a TensorRT version ("8.6") knows."""

    version: str
    opset: int
    operators: frozenset[str]


def parser_of(version: str) -> Parser:
    """The newest recorded parser that is not newer than a TensorRT version ("8.6.0")."""
    found = None
    operators = set()
    for row in json.loads(_TABLE.read_text()):
        operators |= set(row["added"])
        if _number(row["version"]) <= _number(version):
            found = Parser(row["version"], row["opset"], frozenset(operators))
    if found is None:
        raise UserError(f"TensorRT {version} is too old: 8.5 and later will do")
    return found


def check(source: str, version: str) -> dict:
    """In a child process: refuse what that TensorRT's parser does not take; facts about the file.

    A newer opset raises UserError, since --opset chooses it; an unsupported operator raises
    StepError, which names the first node of each.
    """
    import onnx

    parser = parser_of(version)
    model = onnx.load(source, load_external_data=False)
    opset = max(one.version for one in model.opset_import if one.domain in _STANDARD)
    if opset > parser.opset:
        raise UserError(
            f"TensorRT {parser.version} reads ONNX opsets up to {parser.opset}, not {opset}; ask "
            f"for an older one: --opset {parser.opset}"
        )
    unknown: dict[str, list[str]] = {}
    for node in model.graph.node:
        standard = node.domain in _STANDARD
        operator = node.op_type if standard else f"{node.domain}::{node.op_type}"
        if not (standard and operator in parser.operators):
            unknown.setdefault(operator, []).append(node.name or node.output[0])
    if unknown:
        named = [
            f"{operator} (node '{nodes[0]}'{f' and {len(nodes) - 1} more' if nodes[1:] else ''})"
            for operator, nodes in list(unknown.items())[:_NAMED]
        ]
        rest = f" and {len(unknown) - _NAMED} more operators" if len(unknown) > _NAMED else ""
        raise StepError(
            f"TensorRT {parser.version}'s ONNX parser does not support {', '.join(named)}{rest}"
        )
    return {"checked_for": parser.version, "opset": opset}


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:2])
