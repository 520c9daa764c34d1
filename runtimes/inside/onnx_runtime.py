"""Inside an ONNX file, node by node: see `runtimes.inside.base`.

A layer's result that is only read through a pair of nodes, which rounds it to integers
(QuantizeLinear, DequantizeLinear) or to a narrow float (a cast and one back), is seen rounded:
kernels store it so, and the pair may do the work of a Relu, too. By itself a layer has the error of
rounding what it reads and what it makes.
"""

from collections.abc import Iterable

import numpy as np
import onnx
import onnxruntime
from google.protobuf.message import DecodeError
from onnx import TensorProto, numpy_helper

from common.errors import UserError
from runtimes.inside.base import Tensor, given_to

_FILE = "model.onnx"
_NARROW, _ROUNDED = "/narrow", "/rounded"  # what the ends of a pair for what is given are called
_PAIRS = (("QuantizeLinear", "DequantizeLinear"), ("Cast", "Cast"))
_PASSED = ("QuantizeLinear", "DequantizeLinear", "Cast")  # what rounds, and is no layer


class Inside:
    """`model.onnx` of a folder, unoptimized."""

    def __init__(self, folder: str, precision: str, threads: int, **options: object):
        self._model = _loaded(f"{folder}/{_FILE}")
        self._graph = self._model.graph
        self._threads = threads
        self._weights = {tensor.name: tensor for tensor in self._graph.initializer}
        inputs = [one.name for one in self._graph.input if one.name not in self._weights]
        if len(inputs) != 1 or len(self._graph.output) != 1:
            raise UserError(
                f"the ONNX file has {len(inputs)} inputs and {len(self._graph.output)} outputs: it "
                "takes one of each, photos and logits"
            )
        [self._entry] = inputs
        self._makers = {name: node for node in self._graph.node for name in node.output}
        self._pairs = self._rounding()
        self._stored = {name: then.output[0] for name, (_, then) in self._pairs.items()}
        self._tensors = self._visible()
        self._sessions: dict[tuple, onnxruntime.InferenceSession] = {}

    def tensors(self) -> list[Tensor]:
        return self._tensors

    def ranges(self) -> dict[str, tuple[float, float]]:
        """By the tensor's name, what its integers can hold."""
        found = {}
        for node in self._graph.node:
            if node.op_type == "QuantizeLinear" and node.input[0] not in self._weights:
                found[self._source(node.input[0])] = self._bounds(node)
        return found

    def values(self, batch: np.ndarray, names: list[str]) -> dict[str, np.ndarray]:
        wanted = [self._seen.get(name, name) for name in names]
        key = ("values", *wanted)
        if key not in self._sessions:
            self._sessions[key] = self._open(self._model, wanted)
        return dict(zip(names, self._sessions[key].run(wanted, {self._entry: batch}), strict=True))

    def own(self, given: dict[str, np.ndarray], names: list[str]) -> dict[str, np.ndarray]:
        ports = {self._port(name): value for name, value in given.items()}
        wanted = [self._made(self._port(name), ports) for name in names]
        key = ("own", *wanted, *ports)
        if key not in self._sessions:
            self._sessions[key] = self._open(self._cut(set(ports) - {self._entry}), wanted)
        session = self._sessions[key]
        taken = {one.name for one in session.get_inputs()}
        fed = {name: value for name, value in ports.items() if name in taken}
        return dict(zip(names, session.run(wanted, fed), strict=True))

    def _port(self, name: str) -> str:
        """The result of a layer that is to be seen by a name, before it is rounded."""
        return self._raw.get(name, name)

    def _made(self, port: str, given: Iterable[str]) -> str:
        """Where a layer's result is seen, rounded, in a graph where some are given."""
        if port not in given:
            return self._stored.get(port, port)
        return f"{given_to(port)}{_ROUNDED}" if port in self._pairs else given_to(port)

    def _cut(self, given: set[str]) -> onnx.ModelProto:
        """The model where nothing makes the given results: their makers make others instead, which
        are rounded as these are."""
        model = onnx.ModelProto()
        model.CopyFrom(self._model)
        graph = model.graph
        for node in graph.node:
            node.output[:] = [given_to(name) if name in given else name for name in node.output]
        for name in given:
            graph.input.append(onnx.helper.make_tensor_value_info(name, TensorProto.FLOAT, None))
            if name not in self._pairs:
                continue
            own = given_to(name)
            ends = (own, f"{own}{_NARROW}", f"{own}{_ROUNDED}")
            for node, source, end in zip(self._pairs[name], ends, ends[1:], strict=False):
                twin = graph.node.add()
                twin.CopyFrom(node)
                twin.name, twin.input[0], twin.output[0] = end, source, end
        return model

    def _open(self, model: onnx.ModelProto, wanted: list[str]) -> onnxruntime.InferenceSession:
        """A session that gives these tensors."""
        asked = onnx.ModelProto()
        asked.CopyFrom(model)
        del asked.graph.output[:], asked.graph.value_info[:]
        asked.graph.output.extend(onnx.helper.make_empty_tensor_value_info(one) for one in wanted)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self._threads
        options.log_severity_level = 3
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        return onnxruntime.InferenceSession(
            asked.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )

    def _rounding(self) -> dict[str, tuple]:
        """The results that are read through a pair of nodes only, which rounds them."""
        readers: dict[str, list] = {}
        for node in self._graph.node:
            for name in node.input:
                readers.setdefault(name, []).append(node)
        found = {}
        for name, [first, *others] in readers.items():
            then = readers.get(first.output[0], [])
            pair = (first.op_type, then[0].op_type if then else "")
            if pair in _PAIRS and not others and len(then) == 1 and name not in self._weights:
                found[name] = first, then[0]
        return found

    def _visible(self) -> list[Tensor]:
        """The float results of layers, with the input; a graph's output keeps its name."""
        kinds = self._types()
        outputs = {one.name for one in self._graph.output}
        named = {port: end for port, end in self._stored.items() if end in outputs}
        self._raw = {end: port for port, end in named.items()}
        self._seen = {named.get(port, port): end for port, end in self._stored.items()}
        depends = {self._entry}
        found = [Tensor(self._entry, self._entry, "Input", ())]
        for node in self._graph.node:
            if not depends.intersection(node.input):
                continue
            depends.update(node.output)
            if node.op_type in _PASSED:
                continue
            sources = tuple(self._source(name) for name in node.input if name in depends)
            weights = self._weight_bounds(node)
            found += [
                Tensor(named.get(name, name), node.name or name, node.op_type, sources, weights)
                for name in node.output
                if name and kinds.get(name, TensorProto.FLOAT) == TensorProto.FLOAT
            ]
        return found

    def _weight_bounds(self, node) -> tuple[float, float] | None:
        """Of the first of a node's weights, which its bias comes behind."""
        for name in node.input:
            if name in self._weights and self._weights[name].data_type == TensorProto.FLOAT:
                values = numpy_helper.to_array(self._weights[name])
                return float(values.min()), float(values.max())
        return None

    def _source(self, name: str) -> str:
        """The layer's result that a tensor is, rounded or not."""
        while name in self._makers and self._makers[name].op_type in _PASSED:
            name = self._makers[name].input[0]
        return name

    def _types(self) -> dict[str, int]:
        graph = onnx.shape_inference.infer_shapes(self._model).graph
        return {one.name: one.type.tensor_type.elem_type for one in graph.value_info}

    def _bounds(self, node) -> tuple[float, float]:
        scale = float(numpy_helper.to_array(self._weights[node.input[1]]).max())
        zero = numpy_helper.to_array(self._weights[node.input[2]]) if node.input[2:] else None
        limits = np.iinfo(zero.dtype if zero is not None else np.uint8)
        offset = int(zero.ravel()[0]) if zero is not None else 0
        return scale * (limits.min - offset), scale * (limits.max - offset)


def _loaded(path: str) -> onnx.ModelProto:
    try:
        return onnx.load(path)
    except DecodeError:
        raise UserError("the file is no ONNX file, or is cut short") from None
