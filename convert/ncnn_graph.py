"""An ONNX graph as ncnn can hold it: one image at a time, no tensor of more than four axes.

Exact: values are moved and never computed anew. The window attention of the Twins permutes six
axes, which ncnn's matrices do not have; and pnnx writes the flattening around each linear layer as
an expression of sizes, which ncnn works out at every run, so it is written down here.
"""

from collections.abc import Iterator, Sequence
from math import prod

MOST_AXES = 4


def write_prepared(source: str, output: str) -> dict[str, int]:
    """In a child process: fix the batch at 1 and the sizes, split up what is too large, and write.

    Returns how many transpositions were split up, and how many linear layers were flattened.
    """
    import onnx

    model = onnx.load(source)
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1
    del model.graph.value_info[:]
    model.graph.output[0].type.tensor_type.ClearField("shape")
    model = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)
    graph = _Graph(model.graph)
    nodes = list(model.graph.node)
    for node in nodes:
        if node.op_type == "Reshape":
            graph.reshape(node.input[0], node.output[0])
        elif node.op_type == "Transpose" and len(node.attribute[0].ints) > MOST_AXES:
            graph.transpose(node)
        elif graph.is_linear(node):
            graph.flatten(node)
        elif graph.is_bias(node):
            graph.add_bias(node)
        else:
            graph.nodes.append(node)
    del model.graph.node[:]
    model.graph.node.extend(graph.nodes)
    del model.graph.value_info[:]
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, output)
    return {"split_transposes": graph.split, "flattened_layers": graph.flattened}


def adjacent_swaps(
    shape: Sequence[int], order: Sequence[int]
) -> Iterator[tuple[int, int, int, int]]:
    """A transposition of any number of axes as steps of four.

    Each step is a shape of four axes, of which the middle two change places; between the steps
    the values are only read as another shape.
    """
    axes = list(range(len(order)))
    for place in range(len(order)):
        start = axes.index(order[place])
        if start == place:
            continue
        end = start + 1
        while end < len(axes) and axes[end] == order[place + end - start]:
            end += 1
        parts = axes[:place], axes[place:start], axes[start:end], axes[end:]
        first, between, moved, last = (prod(shape[axis] for axis in part) for part in parts)
        yield first, between, moved, last
        axes = [*parts[0], *parts[2], *parts[1], *parts[3]]


class _Graph:
    """The new nodes of a graph whose every tensor has a known shape."""

    def __init__(self, graph) -> None:
        self.nodes: list = []
        self.split = self.flattened = 0
        self._views: dict[str, str] = {}  # a reshaped tensor → the one that it is a view of
        self._products: dict[str, str] = {}  # a linear layer's result → its rows
        self._weights = {tensor.name: list(tensor.dims) for tensor in graph.initializer}
        self._graph = graph
        self._shapes = {
            value.name: [axis.dim_value for axis in value.type.tensor_type.shape.dim]
            for value in (*graph.value_info, *graph.input, *graph.output)
        }

    def reshape(self, source: str, result: str, shape: Sequence[int] | None = None) -> None:
        """Add a node that reads a tensor as another shape: the one that the result has.

        None is added for a result of too many axes, which only others of these may read.
        """
        import numpy as np
        from onnx import numpy_helper

        source = self._views[result] = self._views.get(source, source)
        sizes = np.array(self._shapes[result] if shape is None else shape, np.int64)
        if len(sizes) > MOST_AXES:
            return
        name = f"{result}/shape"
        self._graph.initializer.append(numpy_helper.from_array(sizes, name))
        self._add("Reshape", [source, name], result)

    def transpose(self, node) -> None:
        """Add a transposition in steps."""
        source, result = node.input[0], node.output[0]
        steps = adjacent_swaps(self._shapes[source], node.attribute[0].ints)
        for number, step in enumerate(steps):
            before, after = f"{result}/{number}/before", f"{result}/{number}/after"
            self.reshape(source, before, step)
            self._add("Transpose", [before], after, perm=[0, 2, 1, 3])
            source = after
        self.reshape(source, result)
        self.split += 1

    def is_linear(self, node) -> bool:
        """Is it a product of a tensor of more than two axes with a matrix of weights?"""
        return (
            node.op_type == "MatMul"
            and len(self._weights.get(node.input[1], ())) == 2
            and len(self._shapes[node.input[0]]) > 2
        )

    def flatten(self, node) -> None:
        """Add a linear layer with its input as rows."""
        source, weights = node.input
        result = node.output[0]
        inner = self._weights[weights][0]
        rows = prod(self._shapes[source]) // inner
        self.reshape(source, f"{result}/rows", (rows, inner))
        self._add("MatMul", [f"{result}/rows", weights], f"{result}/product")
        self.reshape(f"{result}/product", result)
        self._products[result] = f"{result}/product"
        self.flattened += 1

    def is_bias(self, node) -> bool:
        """Does it add a vector to what a flattened layer gives?"""
        return (
            node.op_type == "Add"
            and node.input[0] in self._products
            and len(self._weights.get(node.input[1], ())) == 1
        )

    def add_bias(self, node) -> None:
        """Add the vector to the rows, where ncnn finds that it is the layer's own."""
        product, bias = node.input
        result = node.output[0]
        self._add("Add", [self._products[product], bias], f"{result}/rows")
        self.reshape(f"{result}/rows", result)

    def _add(self, operator: str, sources: list[str], result: str, **attributes) -> None:
        from onnx import helper

        self.nodes.append(helper.make_node(operator, sources, [result], result, **attributes))
