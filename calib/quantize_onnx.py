"""INT8 for ONNX Runtime on CPUs."""

from calib.fake_quant import LAYERS, Grid
from calib.qdq import Placement, to_qdq
from calib.quant_config import QuantConfig
from common import machine
from convert.artifact import Artifact
from convert.to_onnx import KIND
from data.crops import Crops

# What ONNX Runtime has integer kernels for on CPUs, or passes integers through.
_OPERATORS = (
    *("Conv", "Gemm", "MatMul", "Relu", "MaxPool", "AveragePool", "GlobalAveragePool"),
    *("Concat", "Add", "Mul", "Reshape", "Flatten", "Transpose", "Squeeze", "Unsqueeze"),
)
# Networks with attention add to one stream from end to end, whose few large channels leave little
# for the others: rounding the sums of alt_gvt_small alone moved its logits by 14 % of their spread,
# rounding the inputs of all its layers by 8 %. Sums, LayerNorm, softmax and GELU stay in float.
_GELU = "Erf"  # tells these networks from others, with any opset
# Its kernels give float results for free, and a rounding less.
_FLOAT_OUTPUTS = ("Gemm", "MatMul")


def quantize_onnx(onnx: Artifact, ranges: Artifact, crops: Crops, quant: QuantConfig) -> Artifact:
    """`model.onnx` in INT8: unsigned activations, signed weights per channel.

    Without VNNI the CPU adds two products in 16 bits before it widens them, and saturates: there
    the weights have seven bits ("reduce_range"), which the artifact's parameters say.
    """
    operators = LAYERS if _GELU in onnx.facts["operators"] else _OPERATORS
    placement = Placement(operators, grid(), _FLOAT_OUTPUTS, optimize=True)
    return to_qdq(onnx, ranges, crops, quant, placement, KIND)


def grid() -> Grid:
    """The integers that this CPU multiplies without saturating."""
    return Grid(symmetric=False, weight_limit=127 if has_vnni() else 64)


def has_vnni() -> bool:
    """Whether this CPU multiplies bytes into 32 bits without an overflow on the way."""
    return bool({"avx512_vnni", "avx_vnni", "asimddp"} & set(machine.isa()))
