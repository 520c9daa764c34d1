"""An ONNX graph cut into parts that follow each other, each wherever a single tensor goes on.

What comes before a tensor need not be computed again to see what becomes of another value of it.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from calib.fake_quant import LAYERS

if TYPE_CHECKING:
    import onnx


@dataclass(frozen=True)
class Part:
    """Nodes that follow each other, from the tensor `entry` to the tensor `result`."""

    nodes: "list[onnx.NodeProto]"
    entry: str
    result: str


def in_parts(
    nodes: "Sequence[onnx.NodeProto]",
    entry: str,
    result: str,
    may_end: "Callable[[str, onnx.NodeProto], bool]",
) -> Iterator[Part]:
    """Sorted nodes that depend on `entry`, in parts with a layer or more each.

    `may_end` says whether one may end with a tensor, which is made by this node.
    """
    last = {name: row for row, node in enumerate(nodes) for name in node.input}
    last[result] = len(nodes)
    live, part, start = {entry}, [], entry
    for row, node in enumerate(nodes):
        part.append(node)
        live.update(node.output)
        live = {name for name in live if last.get(name, -1) > row}
        if row + 1 == len(nodes):
            yield Part(part, start, result)
        elif len(live) == 1 and any(one.op_type in LAYERS for one in part):
            (tensor,) = live
            if may_end(tensor, node):
                yield Part(part, start, tensor)
                part, start = [], tensor


def split_constants(
    graph: "onnx.GraphProto",
) -> "tuple[list[onnx.NodeProto], list[onnx.NodeProto]]":
    """A sorted graph's nodes that depend on its input, and those that depend on constants only."""
    reached, depending, others = {graph.input[0].name}, [], []
    for node in graph.node:
        if reached.intersection(node.input):
            depending.append(node)
            reached.update(node.output)
        else:
            others.append(node)
    return depending, others


def constant_nodes(
    nodes: "Sequence[onnx.NodeProto]", others: "Sequence[onnx.NodeProto]"
) -> "list[onnx.NodeProto]":
    """Those of `others`, sorted, that some nodes need the results of."""
    needed = {name for node in nodes for name in node.input}
    found: list[onnx.NodeProto] = []
    for node in reversed(others):
        if needed.intersection(node.output):
            found.insert(0, node)
            needed.update(node.input)
    return found
