"""INT8 for TensorRT: explicit QDQ where its kernels fuse it."""

from calib.placement import LOWERED
from calib.qdq import to_qdq
from calib.quant_config import QuantConfig
from convert.artifact import Artifact
from convert.kind import Kind
from convert.to_onnx import FILE
from data.crops import Crops

KIND = Kind("trt-qdq", (FILE,), shown=FILE)


def quantize_trt(onnx: Artifact, ranges: Artifact, crops: Crops, quant: QuantConfig) -> Artifact:
    """The ONNX file with pairs that TensorRT 8 and later take, and ONNX Runtime simulates exactly.

    Signed activations without zero points, signed weights per channel, biases in float. What is
    never negative is lowered where that is exact (see `calib.lowering`).
    """
    return to_qdq(onnx, ranges, crops, quant, LOWERED, KIND)
