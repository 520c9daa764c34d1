"""FP16 on ARM, simulated: a session that computes an ONNX file as Paddle Lite's kernels do.

Layers with weights are computed by `convert.arm_fp16`, sums in float16 and Winograd's transforms
where Paddle Lite uses them; what is between them by ONNX Runtime, a node at a time, rounded after
each. It is slow: some photos a minute, enough to see an overflow and the size of the error.
"""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import helper, numpy_helper

from convert import arm_fp16
from convert.to_onnx import FILE
from runtimes.inside.base import Tensor
from runtimes.one_thread import one_thread_session


class Session:
    """`model.onnx` of a folder; `run` takes float32 [N, 3, S, S] and gives logits float32.

    `fused` says whether biases are the convolutions' own in the `.nb` file, so that sums begin
    with them; else they are added to the rounded result.
    """

    def __init__(self, folder: str, precision: str, threads: int, fused: bool = True):
        model = onnx.shape_inference.infer_shapes(onnx.load(Path(folder) / FILE), data_prop=True)
        self._graph = model.graph
        self._opset = model.opset_import
        self._fused = fused
        self._weights = {
            tensor.name: _narrow(numpy_helper.to_array(tensor))
            for tensor in model.graph.initializer
        }
        self._steps = [(node, self._step(node)) for node in model.graph.node]
        self._last_use = {
            name: place for place, node in enumerate(model.graph.node) for name in node.input
        }

    def run(self, batch: np.ndarray) -> np.ndarray:
        logits = self._graph.output[0].name
        found = [
            value
            for photo in batch
            for node, results in self._compute(photo[None])
            for name, value in zip(node.output, results, strict=True)
            if name == logits
        ]
        return np.concatenate(found).astype(np.float32)

    def first_overflow(self, batch: np.ndarray) -> str | None:
        """The first node that gives infinity, or no number, for the first photo of a batch.

        What is below zero may overflow without harm: a ReLU makes zero of it.
        """
        for node, results in self._compute(batch[:1]):
            if any(np.isnan(value).any() or np.isposinf(value).any() for value in results):
                return f"{node.op_type} '{node.name}'"
        return None

    def tensors(self) -> list[Tensor]:
        """See `runtimes.inside.base`, as of the three methods that follow."""
        entry = self._graph.input[0].name
        found = [Tensor(entry, entry, "Input", ())]
        known = {entry}
        for node in self._graph.node:
            inputs = tuple(name for name in node.input if name in known)
            if inputs:
                known.update(node.output)
                found += [Tensor(name, node.name, node.op_type, inputs) for name in node.output]
        return found

    def ranges(self) -> dict[str, tuple[float, float]]:
        """None: nothing is rounded to integers."""
        return {}

    def values(self, batch: np.ndarray, names: list[str]) -> dict[str, np.ndarray]:
        computed = {
            name: value
            for node, results in self._compute(batch)
            for name, value in zip(node.output, results, strict=True)
        }
        computed[self._graph.input[0].name] = batch
        return {
            name: computed[name].astype(np.float32)
            for name in names
            if np.issubdtype(computed[name].dtype, np.floating)
        }

    def own(self, given: dict[str, np.ndarray], names: list[str]) -> dict[str, np.ndarray]:
        narrow = {name: _narrow(value) for name, value in given.items()}
        photo = given[self._graph.input[0].name]
        computed = {
            name: value
            for node, results in self._compute(photo, narrow)
            for name, value in zip(node.output, results, strict=True)
        }
        return {name: computed[name].astype(np.float32) for name in names}

    def environment(self) -> dict:
        return {
            "threads": 1,
            "kernels": "Paddle Lite's FP16 kernels, simulated",
            "versions": {"onnxruntime": onnxruntime.__version__},
        }

    def _compute(
        self, photo: np.ndarray, given: Mapping[str, np.ndarray] | None = None
    ) -> Iterator[tuple[onnx.NodeProto, list[np.ndarray]]]:
        """Each node and its results, for a photo float32 [1, 3, S, S].

        Values that nobody reads any more are let go. A node reads what is `given` in the place of
        what another one has made.
        """
        given = given or {}
        values = {self._graph.input[0].name: _narrow(photo)}
        for place, (node, compute) in enumerate(self._steps):
            inputs = [
                self._weights[name] if name in self._weights else values.get(name)
                for name in node.input
            ]
            with np.errstate(over="ignore", invalid="ignore"):
                results = [_narrow(value) for value in compute(*inputs)]
            values.update(zip(node.output, results, strict=True))
            values.update({name: given[name] for name in node.output if name in given})
            yield node, results
            for name in node.input:
                if self._last_use[name] == place:
                    values.pop(name, None)

    def _step(self, node: onnx.NodeProto) -> Callable:
        """What computes a node: a function of its inputs' values that gives its outputs'."""
        make = {"Conv": self._convolution, "Gemm": self._product, "MatMul": self._product}.get(
            node.op_type
        )
        return (make or self._other)(node)

    def _convolution(self, node: onnx.NodeProto) -> Callable:
        attributes = {one.name: helper.get_attribute_value(one) for one in node.attribute}
        options = {
            "groups": attributes.get("group", 1),
            "strides": attributes.get("strides", [1, 1]),
            "pads": attributes.get("pads", [0, 0, 0, 0]),
            "dilations": attributes.get("dilations", [1, 1]),
        }

        def compute(images, weights, bias=None):
            own = bias if self._fused else None
            result = np.stack([arm_fp16.convolve(one, weights, own, **options) for one in images])
            if bias is not None and own is None:
                result = result + bias[:, None, None]
            return [result]

        return compute

    def _product(self, node: onnx.NodeProto) -> Callable:
        attributes = {one.name: helper.get_attribute_value(one) for one in node.attribute}

        def compute(left, right, bias=None):
            if attributes.get("transB"):
                right = right.T
            lead = np.broadcast_shapes(left.shape[:-2], right.shape[:-2])
            lefts = np.broadcast_to(left, (*lead, *left.shape[-2:]))
            rights = np.broadcast_to(right, (*lead, *right.shape[-2:]))
            result = np.empty((*lead, left.shape[-2], right.shape[-1]), np.float16)
            for place in np.ndindex(lead):
                if left.shape[-2] == 1:
                    result[place] = arm_fp16.multiply_vector(rights[place].T, lefts[place][0])
                else:
                    result[place] = arm_fp16.multiply(lefts[place], rights[place])
            return [result if bias is None else result + bias]

        return compute

    def _other(self, node: onnx.NodeProto) -> Callable:
        """A node in ONNX Runtime, in float32."""
        session = None
        names = [name for name in node.input if name]

        def compute(*inputs):
            nonlocal session
            given = {
                name: value.astype(np.float32) if value.dtype == np.float16 else value
                for name, value in zip(node.input, inputs, strict=True)
                if name
            }
            if session is None:
                session = self._open(node, {name: given[name] for name in names})
            return session.run(None, given)

        return compute

    def _open(self, node: onnx.NodeProto, inputs: dict) -> onnxruntime.InferenceSession:
        typed = [
            helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(value.dtype), None)
            for name, value in inputs.items()
        ]
        outputs = [helper.make_empty_tensor_value_info(name) for name in node.output]
        graph = helper.make_graph([node], "node", typed, outputs)
        model = helper.make_model(graph, opset_imports=self._opset, ir_version=8)
        return one_thread_session(model.SerializeToString())


@np.errstate(over="ignore")
def _narrow(values: np.ndarray) -> np.ndarray:
    """Floats as float16, infinite beyond its range; other types as they are."""
    return values.astype(np.float16) if values.dtype == np.float32 else values
