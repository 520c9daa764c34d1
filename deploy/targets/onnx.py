"""ONNX Runtime on this CPU."""

from convert.artifact import Artifact
from convert.to_onnx import SESSION, to_onnx
from deploy.targets.base import NATIVE, Options, Plan, Target


class Onnx(Target):
    name = "onnx"
    summary = "ONNX Runtime, or any other ONNX runtime"
    precisions = ("fp32",)
    steps = ("export", "to_onnx")
    hardware = "this CPU"

    def build(self, inference: Artifact, precision: str, options: Options) -> Artifact:
        return to_onnx(inference, options.opset)

    def plan(self, precision: str) -> Plan:
        return Plan(NATIVE, SESSION)
