"""MNN on this CPU."""

from convert.artifact import Artifact
from convert.export import KIND as INFERENCE
from convert.to_mnn import KIND, SESSION, to_mnn
from convert.to_onnx import KIND as ONNX
from convert.to_onnx import to_onnx
from deploy.targets.base import Options, Target, Tool
from runtimes.session_pool import NATIVE, SessionSpec


class Mnn(Target):
    name = "mnn"
    summary = "MNN on phones, boards and other CPUs"
    runs_on = "MNN on this CPU"
    precisions = ("fp32",)
    kinds = (INFERENCE, ONNX, KIND)
    tools = (Tool("onnxruntime"), Tool("MNN"))

    def build(self, inference: Artifact, precision: str, options: Options) -> Artifact:
        return to_mnn(to_onnx(inference, options.opset))

    def session_spec(self, precision: str) -> SessionSpec:
        return SessionSpec(NATIVE, SESSION)
