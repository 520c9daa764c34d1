"""Which tensors a runtime rounds, to which integers, and the pairs that do it in an ONNX graph.

ONNX Runtime's quantizer places the pairs, QuantizeLinear and DequantizeLinear; which operators have
them is ours. Weights are quantized per output channel, symmetrically, by their largest magnitude.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from calib.fake_quant import LAYERS, Grid
from common import machine
from convert.artifact import Artifact

if TYPE_CHECKING:
    import onnx


@dataclass(frozen=True)
class Placement:
    """Where a runtime wants pairs, and of which integers.

    `operators`: the ONNX operators that compute in integers; `grid`: which integers.
    `float_outputs`: operators whose result is not quantized unless the next one asks for it.
    `optimize`: whether the runtime's optimizer runs on the result (it fuses pairs and operators).
    """

    operators: tuple[str, ...]
    grid: Grid
    float_outputs: tuple[str, ...]
    optimize: bool


# Only the layers' inputs and weights, signed: what TensorRT fuses (a pair between a layer and its
# activation would keep it from that), and what runtimes for phones round.
LAYER_INPUTS = Placement(LAYERS, Grid(symmetric=True, weight_limit=127), LAYERS, optimize=False)
# The same, and what is never negative is lowered where only layers read it.
LOWERED = replace(LAYER_INPUTS, grid=replace(LAYER_INPUTS.grid, lowest=-128))

# What ONNX Runtime has integer kernels for on CPUs, or passes integers through.
_CPU_OPERATORS = (
    *("Conv", "Gemm", "MatMul", "Relu", "MaxPool", "AveragePool", "GlobalAveragePool"),
    *("Concat", "Add", "Mul", "Reshape", "Flatten", "Transpose", "Squeeze", "Unsqueeze"),
)
# Networks with attention add to one stream from end to end, whose few large channels leave little
# for the others: rounding the sums of alt_gvt_small alone moved its logits by 14 % of their spread,
# rounding the inputs of all its layers by 8 %. Sums, LayerNorm, softmax and GELU stay in float.
_GELU = "Erf"  # tells these networks from others, with any opset
# ONNX Runtime's kernels give float results for free, and a rounding less.
_CPU_FLOAT_OUTPUTS = ("Gemm", "MatMul")


def on_cpu(onnx: Artifact) -> Placement:
    """What ONNX Runtime and OpenVINO compute of an ONNX file in integers on this CPU."""
    operators = LAYERS if _GELU in onnx.facts["operators"] else _CPU_OPERATORS
    return Placement(operators, cpu_grid(), _CPU_FLOAT_OUTPUTS, optimize=True)


def placement_of(onnx: Artifact, grid: Grid) -> Placement:
    """What is rounded of an ONNX file to look for the ranges of a runtime with these integers."""
    if not grid.symmetric:
        return on_cpu(onnx)
    return LAYER_INPUTS if grid.lowest is None else LOWERED


def cpu_grid() -> Grid:
    """The integers that this CPU multiplies without saturating."""
    return Grid(symmetric=False, weight_limit=127 if has_vnni() else 64)


def has_vnni() -> bool:
    """Whether this CPU multiplies bytes into 32 bits without an overflow on the way."""
    return bool({"avx512_vnni", "avx_vnni", "asimddp"} & set(machine.isa()))


def place_pairs(
    model: "onnx.ModelProto",
    ranges: Mapping[str, tuple[float, float]],
    placement: Placement,
    keep_float: Sequence[str] = (),
    *,
    shown: bool = True,
    behind: Sequence[str] | None = None,
) -> "onnx.ModelProto":
    """A model with pairs around its layers, but for those in `keep_float`; the nodes unsorted.

    `behind` are the nodes that come after the network's last layer (None: find them).
    `ranges` by tensor. With `shown`, weights and biases have the form that the runtime asks for;
    without, weights have only a DequantizeLinear, and biases are float in any case.
    """
    from onnxruntime.quantization import QuantType
    from onnxruntime.quantization.calibrate import TensorData
    from onnxruntime.quantization.qdq_quantizer import QDQQuantizer

    grid, symmetric = placement.grid, placement.grid.symmetric
    options: dict[str, Any] = {"OpTypesToExcludeOutputQuantization": list(placement.float_outputs)}
    if symmetric:
        # TensorRT takes no zero points, no quantized biases, and wants its weights' pairs visible.
        options |= {"ActivationSymmetric": True, "WeightSymmetric": True, "QuantizeBias": False}
        options["AddQDQPairToWeight"] = shown
    if not shown:
        options["QuantizeBias"] = False
    read = {node.input[0] for node in model.graph.node if node.op_type in LAYERS}
    if lowered := [name for name in read if name in ranges and grid.lowers(ranges[name])]:
        options["TensorQuantOverrides"] = {
            name: [dict(zip(("scale", "zero_point"), grid.of_range(ranges[name]), strict=True))]
            for name in lowered
        }
    quantizer = QDQQuantizer(
        model,
        per_channel=True,
        reduce_range=placement.grid.weight_limit < 127,
        weight_qType=QuantType.QInt8,
        activation_qType=QuantType.QInt8 if symmetric else QuantType.QUInt8,
        tensors_range={
            name: TensorData(lowest=np.float32(low), highest=np.float32(high))
            for name, (low, high) in ranges.items()
        },
        nodes_to_quantize=[],
        nodes_to_exclude=[*keep_float, *(after_last_layer(model) if behind is None else behind)],
        op_types_to_quantize=list(placement.operators),
        extra_options=options,
    )
    quantizer.quantize_model()
    return quantizer.model.model


def after_last_layer(model: "onnx.ModelProto") -> list[str]:
    """The nodes behind the last layer: rounding logits to 256 levels would decide ties at random.

    Averaging comes after a last convolution, and averages rounding out.
    """
    last = max(row for row, node in enumerate(model.graph.node) if node.op_type in LAYERS)
    return [node.name for node in model.graph.node[last + 1 :]]
