"""ONNX Runtime on this CPU."""

from calib.fake_quant import Grid
from calib.placement import cpu_grid
from calib.quantize_onnx import quantize_onnx
from convert.artifact import Artifact
from convert.export import KIND as INFERENCE
from convert.range_fitting import FP32_SUMS
from convert.simulate import BLIND, simulate
from convert.to_fp16 import to_fp16
from convert.to_onnx import FILE, KIND, SESSION
from deploy.speed.peers import default_onnxruntime
from deploy.targets.base import EVERY_CPU, Engine, Options, Serving, Target, Tool
from runtimes.session_pool import NATIVE, SIMULATED, SessionSpec

_RUNTIME = Tool("onnxruntime")


class Onnx(Target):
    name = "onnx"
    summary = "ONNX Runtime, or any other ONNX runtime"
    runs_on = (
        "ONNX Runtime on this CPU, or on others (`HOST=arm`, `HOST=ssh:NAME`); fp16, which it "
        "computes in fp32, is simulated"
    )
    precisions = ("fp32", "fp16", "int8")
    kinds = (INFERENCE, KIND)
    tools = (_RUNTIME,)
    hosts = EVERY_CPU
    engine = Engine(_RUNTIME.package, FILE, lambda path: _RUNTIME.version)
    fits_ranges = True
    kernels = FP32_SUMS
    peers = default_onnxruntime.PEERS

    def build(self, inference: Artifact, precision: str, options: Options) -> Artifact:
        if precision == "int8":
            return quantize_onnx(*options.measured(inference))
        if precision == "fp16":
            return to_fp16(self.float_onnx(inference, precision, options))
        return self.float_onnx(inference, precision, options)

    def session_spec(self, precision: str) -> SessionSpec:
        if precision != "fp16":
            return SessionSpec(NATIVE, SESSION)
        return SessionSpec(
            SIMULATED,
            SESSION,
            reason=f"ONNX Runtime computes FP16 files in fp32 on CPUs; {BLIND}",
            options={"optimize": False},
        )

    def serving(self, precision: str) -> Serving:
        return Serving("onnxruntime")

    def grid(self) -> Grid:
        return cpu_grid()

    def simulated_artifact(
        self, artifact: Artifact, inference: Artifact, precision: str, options: Options
    ):
        return simulate(self.float_onnx(inference, precision, options), precision)
