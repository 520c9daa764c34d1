"""A quantized ONNX graph whose ranges can be changed, cut into sessions that follow each other.

Where a single tensor goes on, the graph is cut: what comes before a tensor need not be computed
again to see what another range of it does to the logits.
"""

import concurrent.futures
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from calib.fake_quant import LAYERS, Grid, sort_nodes
from calib.parts import Part, constant_nodes, in_parts
from runtimes.one_thread import one_thread_session

if TYPE_CHECKING:
    import onnx
    import onnxruntime

_SCALE, _ZERO = "_scale", "_zero_point"  # behind a tensor's name, as ONNX Runtime's quantizer does


@dataclass(frozen=True)
class _Segment:
    """A part's session, and the names of the scales, zero points and biases that it takes."""

    session: "onnxruntime.InferenceSession"
    takes: tuple[str, ...]


class Chain:
    """`placed` is a model with pairs (`place_pairs`, not shown), which is given up.

    `biases` are the initializers that can be changed too, `floats` the float model's activations.
    `tensors` maps each tensor that is rounded to the number of the segment that rounds it first,
    in the order of the graph; `readers` each bias to the tensor that its layer reads.
    """

    def __init__(
        self,
        placed: "onnx.ModelProto",
        grid: Grid,
        biases: Sequence[str],
        floats: Sequence[str],
        threads: int,
    ):
        sort_nodes(placed.graph)
        self._grid = grid
        self._graph = _Graph(placed, biases)
        self.readers = self._graph.readers
        parts = list(self._graph.parts(floats))
        self.tensors: dict[str, int] = {}
        for number, part in enumerate(parts):
            for name in _rounded(part.nodes):
                self.tensors.setdefault(name, number)
        layers = [sum(node.op_type in LAYERS for node in part.nodes) for part in parts]
        # By the number of layers: how much is computed from each segment on.
        self.shares = [sum(layers[row:]) / sum(layers) for row in range(len(layers))]
        self._segments = [self._graph.segment(part, grid) for part in parts]
        self._graph.forget_weights()
        self._pool = concurrent.futures.ThreadPoolExecutor(threads)

    def inputs(
        self,
        ranges: Mapping[str, tuple[float, float]],
        shifts: Mapping[str, np.ndarray],
    ) -> dict[str, np.ndarray]:
        """What `run` takes, for ranges by tensor and what is added to biases by their names."""
        given = {}
        for name in self.tensors:
            given[name + _SCALE], given[name + _ZERO] = self._grid.of_range(ranges[name])
        for name, values in self._graph.biases.items():
            shift = shifts.get(name)
            moved = values if shift is None else values + shift.reshape(values.shape)
            given[name] = moved.astype(np.float32)
        return given

    def run(
        self,
        values: list[np.ndarray],
        inputs: Mapping[str, np.ndarray],
        start: int = 0,
        stop: int | None = None,
    ) -> list[np.ndarray]:
        """What some segments make of the values of the first one's entry, one photo each."""
        segments = self._segments[start:stop]

        def one(value: np.ndarray) -> np.ndarray:
            for segment in segments:
                entry = segment.session.get_inputs()[0].name
                given = {name: inputs[name] for name in segment.takes}
                value = segment.session.run(None, {entry: value, **given})[0]
            return value

        return list(self._pool.map(one, values))


class _Graph:
    """The nodes and constants of a model with pairs."""

    def __init__(self, placed: "onnx.ModelProto", biases: Sequence[str]):
        from onnx import numpy_helper

        graph = placed.graph
        self._opsets, self._version = list(placed.opset_import), placed.ir_version
        self._constants = {tensor.name: tensor for tensor in graph.initializer}
        self._entry, self._logits = graph.input[0].name, graph.output[0].name
        reached, self._nodes, self._apart = {self._entry}, [], []
        for node in graph.node:
            weight = node.op_type == "DequantizeLinear" and node.input[0] in self._constants
            if reached.intersection(node.input):
                self._nodes.append(node)
                reached.update(node.output)
            elif weight:
                self._unpack(node)
            else:
                self._apart.append(node)
        self._rounded = set(_rounded(self._nodes))
        self.readers = self._find_readers(biases)
        self.biases = {name: numpy_helper.to_array(self._constants[name]) for name in self.readers}

    def _unpack(self, node: "onnx.NodeProto") -> None:
        """Replace a weight's integers and their DequantizeLinear by the floats that it gives."""
        from onnx import numpy_helper

        integers, scale, *zero = (numpy_helper.to_array(self._constants[x]) for x in node.input)
        axis = next((found.i for found in node.attribute if found.name == "axis"), 1)
        shape = [1] * integers.ndim
        if scale.ndim:
            shape[axis] = -1
            scale = scale.reshape(shape)
        centred = integers.astype(np.float32)
        if zero and zero[0].any():
            centred -= zero[0].astype(np.float32).reshape(shape if zero[0].ndim else ())
        del self._constants[node.input[0]]
        weight = (centred * scale).astype(np.float32)
        self._constants[node.output[0]] = numpy_helper.from_array(weight, node.output[0])

    def _find_readers(self, biases: Sequence[str]) -> dict[str, str]:
        """The rounded tensor behind each bias' layer; an Add has that of the layer before it."""
        makers = {name: node for node in self._nodes for name in node.output}
        wanted, found = set(biases) & self._constants.keys(), {}
        for node in self._nodes:
            for name in wanted.intersection(node.input):
                layer = node
                if node.op_type == "Add":
                    layer = next(makers[x] for x in node.input if x in makers)
                maker = makers.get(layer.input[0])
                if layer.op_type in LAYERS and maker and maker.op_type == "DequantizeLinear":
                    found[name] = maker.input[1].removesuffix(_SCALE)
        return found

    def parts(self, floats: Sequence[str]) -> Iterator[Part]:
        """The nodes, cut where one float tensor goes on, each part with a layer or more."""
        known = set(floats)

        def may_end(tensor: str, node: "onnx.NodeProto") -> bool:
            return tensor in known or node.op_type == "DequantizeLinear"

        yield from in_parts(self._nodes, self._entry, self._logits, may_end)

    def segment(self, part: Part, grid: Grid) -> _Segment:
        """A session of a part."""
        from onnx import TensorProto, helper

        nodes = [*constant_nodes(part.nodes, self._apart), *part.nodes]
        read = dict.fromkeys(name for node in nodes for name in node.input)
        integers = TensorProto.INT8 if grid.symmetric else TensorProto.UINT8
        takes = {name: TensorProto.FLOAT for name in read if name in self.biases}
        for name in _rounded(part.nodes):
            takes[name + _SCALE], takes[name + _ZERO] = TensorProto.FLOAT, integers
        inputs = {part.entry: TensorProto.FLOAT} | takes
        constants = [
            self._constants[name] for name in read if name in self._constants and name not in takes
        ]
        graph = helper.make_graph(
            nodes,
            part.result,
            [helper.make_tensor_value_info(name, kind, None) for name, kind in inputs.items()],
            [helper.make_tensor_value_info(part.result, TensorProto.FLOAT, None)],
            constants,
        )
        model = helper.make_model(graph, opset_imports=self._opsets, ir_version=self._version)
        # Pairs are computed as they stand: integer kernels would want constant scales.
        session = one_thread_session(model.SerializeToString(), {"session.disable_quant_qdq": "1"})
        return _Segment(session, tuple(takes))

    def forget_weights(self) -> None:
        """The sessions have them now."""
        self._constants.clear()


def _rounded(nodes: "Sequence[onnx.NodeProto]") -> Iterator[str]:
    """The tensors that QuantizeLinear nodes have scales of, each once, in the nodes' order."""
    scales = (node.input[1] for node in nodes if node.op_type == "QuantizeLinear")
    yield from dict.fromkeys(name.removesuffix(_SCALE) for name in scales)
