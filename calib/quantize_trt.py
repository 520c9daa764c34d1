"""INT8 for TensorRT: explicit QDQ where its kernels fuse it."""

from calib.fake_quant import LAYERS, Grid
from calib.qdq import Placement, to_qdq
from calib.quant_config import QuantConfig
from convert.artifact import Artifact
from convert.kind import Kind
from convert.to_onnx import FILE
from data.crops import Crops

KIND = Kind("trt-qdq", (FILE,), shown=FILE)

GRID = Grid(symmetric=True, weight_limit=127)

# Only the layers' inputs and weights: a pair between a layer and its activation would keep
# TensorRT from fusing the two.
_PLACEMENT = Placement(LAYERS, GRID, LAYERS, optimize=False)


def quantize_trt(onnx: Artifact, ranges: Artifact, crops: Crops, quant: QuantConfig) -> Artifact:
    """The ONNX file with pairs that TensorRT 8 and later take, and ONNX Runtime simulates exactly.

    Signed activations without zero points, signed weights per channel, biases in float.
    """
    return to_qdq(onnx, ranges, crops, quant, _PLACEMENT, KIND)
