"""ONNX Runtime on this CPU."""

from calib.quantize_onnx import grid, quantize_onnx
from calib.twins import Grid
from convert.artifact import Artifact
from convert.simulate import simulate
from convert.to_half import to_half
from convert.to_onnx import SESSION, to_onnx
from deploy.targets.base import NATIVE, SIMULATED, Options, Plan, Target


class Onnx(Target):
    name = "onnx"
    summary = "ONNX Runtime, or any other ONNX runtime"
    precisions = ("fp32", "fp16", "int8")
    steps = ("export", "to_onnx")
    hardware = "this CPU"

    def build(self, inference: Artifact, precision: str, options: Options) -> Artifact:
        if precision == "int8":
            return quantize_onnx(*options.measured(inference))
        onnx = to_onnx(inference, options.opset)
        return to_half(onnx) if precision == "fp16" else onnx

    def plan(self, precision: str) -> Plan:
        if precision != "fp16":
            return Plan(NATIVE, SESSION)
        return Plan(
            SIMULATED,
            SESSION,
            reason="ONNX Runtime computes FP16 files in fp32 on CPUs",
            options={"optimize": False},
        )

    def grid(self) -> Grid:
        return grid()

    def stand_in(self, artifact: Artifact, inference: Artifact, precision: str, options: Options):
        return simulate(to_onnx(inference, options.opset), precision)
