"""Biases that make up for what quantization shifts on average.

Rounding weights and clipping activations moves the mean of a layer's outputs, per channel; the
next layers see a shifted image. Nagel et al., "Data-Free Quantization Through Weight Equalization
and Bias Correction" (2019), section 4.2: subtract the mean error, measured on data. Here each
layer's error is measured on its float inputs, all layers in one pass, so that no error is counted
again by the layers after it (as in NNCF's "fast" correction).
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from calib.biases import bias_of
from calib.fake_quant import FakeQuantGraph, Grid
from convert.artifact import Artifact
from convert.to_onnx import FILE
from data.crops import Crops
from data.images import spread_rows
from runtimes.worker import Worker

_PHOTOS = 60  # a channel's mean settles long before a histogram's tail does
_BATCH = 4
_AXES = {"Conv": (0, 2, 3), "Gemm": (0,)}  # what the mean is taken over; MatMul: all but the last


def measure_errors(
    worker: Worker,
    onnx: Artifact,
    crops: Crops,
    ranges: Mapping[str, tuple[float, float]],
    grid: Grid,
    skip: Sequence[str],
) -> None:
    """Open a `Correction` of an ONNX file in the worker, and show it some of the photos.

    `ranges` by tensor, `skip` the layers that stay in float.
    """
    worker.open(
        Correction,
        source=str(onnx.file(FILE)),
        ranges=ranges,
        grid=asdict(grid),
        skip=skip,
    )
    rows = spread_rows(len(crops), _PHOTOS)
    for batch in crops.batches(_BATCH, onnx.preprocess, rows):
        worker.use("add", batch=batch)


class Correction:
    """In a child process: runs a float ONNX file with a fake-quantized copy beside each layer."""

    def __init__(
        self,
        source: str,
        ranges: Mapping[str, tuple[float, float]],
        grid: Mapping[str, Any],
        skip: Sequence[str],
    ):
        import onnx

        self._model = onnx.load(source)
        fake = FakeQuantGraph(self._model, ranges, Grid(**grid))
        self._weights = fake.weights
        del fake.model.graph.output[:]
        self._biases: list[str] = []
        self._results: list[str] = []  # the tensors that the biases have been added to
        nodes = self._model.graph.node
        sizes = {name: values.size for name, values in self._weights.items()}
        for node in nodes:
            if node.name not in skip and fake.possible(node) and fake.has_weights(node):
                bias, result = bias_of(nodes, sizes, node, fake.channels(node))
                if bias is not None:
                    _add_mean_error(fake, node)
                    self._biases.append(bias)
                    self._results.append(result)
        self._session = fake.session() if self._biases else None
        self._sums = [np.zeros(self._weights[bias].size) for bias in self._biases]
        self._photos = 0

    def add(self, batch: np.ndarray) -> None:
        """Measure the layers' errors on a batch float32 [N, 3, S, S]."""
        if self._session is None:
            return
        errors = self._session.run(None, {self._model.graph.input[0].name: batch})
        for total, error in zip(self._sums, errors, strict=True):
            total += error.astype(np.float64) * len(batch)  # the last batch may be smaller
        self._photos += len(batch)

    def shifts(self) -> dict[str, np.ndarray]:
        """What to add to biases, float64 [channels], by the tensor that has the bias in it."""
        means = (total / self._photos for total in self._sums)
        return dict(zip(self._results, means, strict=True))

    def by_bias(self) -> dict[str, np.ndarray]:
        """The same, by the name of the bias."""
        return dict(zip(self._biases, self.shifts().values(), strict=True))

    def write(self, output: str) -> int:
        """Write the float file with corrected biases; returns how many were corrected."""
        import onnx
        from onnx import numpy_helper

        shifts = self.by_bias()
        for tensor in self._model.graph.initializer:
            if tensor.name in shifts:
                values = self._weights[tensor.name]
                shift = shifts[tensor.name].reshape(values.shape)
                tensor.CopyFrom(
                    numpy_helper.from_array((values + shift).astype(np.float32), tensor.name)
                )
        onnx.save(self._model, output)
        return len(shifts)


def _add_mean_error(fake: FakeQuantGraph, node) -> None:
    """As an output of the graph: the mean of a layer's error, float32 [channels]."""
    from onnx import helper

    name = f"{node.name}/error"
    nodes, axes = fake.model.graph.node, _AXES.get(node.op_type, (0,))
    nodes.append(helper.make_node("Sub", [node.output[0], fake.add(node)], [name]))
    if node.op_type == "MatMul":  # of any rank: all axes but the last become one
        fake.constant(f"{name}/shape", np.array([-1, fake.channels(node)]))
        nodes.append(helper.make_node("Reshape", [name, f"{name}/shape"], [f"{name}/rows"]))
        name = f"{name}/rows"
    mean = f"{name}/mean"
    nodes.append(helper.make_node("ReduceMean", [name], [mean], axes=list(axes), keepdims=0))
    fake.model.graph.output.append(helper.make_empty_tensor_value_info(mean))
