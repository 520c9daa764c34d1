"""INT8 for ONNX Runtime on CPUs."""

from calib.placement import on_cpu
from calib.qdq import to_qdq
from calib.quant_config import QuantConfig
from convert.artifact import Artifact
from convert.to_onnx import KIND
from data.crops import Crops


def quantize_onnx(onnx: Artifact, ranges: Artifact, crops: Crops, quant: QuantConfig) -> Artifact:
    """`model.onnx` in INT8: unsigned activations, signed weights per channel.

    Without VNNI the CPU adds two products in 16 bits before it widens them, and saturates: there
    the weights have seven bits ("reduce_range"), which the artifact's parameters say.
    """
    return to_qdq(onnx, ranges, crops, quant, on_cpu(onnx), KIND)
