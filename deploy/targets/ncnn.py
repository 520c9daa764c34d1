"""ncnn on this CPU; the same files run on ARM phones and boards."""

from calib.fake_quant import Grid
from calib.quantize_ncnn import GRID, quantize_ncnn
from convert.artifact import Artifact
from convert.export import KIND as INFERENCE
from convert.to_ncnn import KIND, SESSION, to_ncnn
from convert.to_onnx import KIND as ONNX
from convert.to_onnx import to_onnx
from deploy.speed.peers import default_ncnn
from deploy.targets.base import EVERY_CPU, Options, Tool
from deploy.targets.phone_cpu import PhoneCpu


class Ncnn(PhoneCpu):
    name = "ncnn"
    summary = "ncnn on phones, boards and other CPUs"
    runs_on = (
        "ncnn on this CPU, or on others (`HOST=arm`, `HOST=ssh:NAME`), one image at a time; fp16,"
        " which it computes in fp32 on x86, is simulated here"
    )
    precisions = ("fp32", "fp16", "int8")
    kinds = (INFERENCE, ONNX, KIND)
    tools = (Tool("onnxruntime"), Tool("pnnx"), Tool("ncnn"))
    hosts = EVERY_CPU
    session = SESSION
    peers = default_ncnn.PEERS
    simulates = (
        "ncnn computes in FP16 only on ARM CPUs that have it; Paddle Lite's FP16 kernels, which "
        "like ncnn's sum and transform in FP16, are simulated"
    )

    def build(self, inference: Artifact, precision: str, options: Options) -> Artifact:
        if precision == "int8":
            return quantize_ncnn(*options.measured(inference))
        if precision == "fp16":
            inference = options.fitted(inference)
        return to_ncnn(to_onnx(inference, options.opset), precision)

    def grid(self) -> Grid:
        return GRID
