"""ncnn on this CPU; the same files run on ARM phones and boards."""

from convert.artifact import Artifact
from convert.export import KIND as INFERENCE
from convert.to_ncnn import KIND, SESSION, to_ncnn
from convert.to_onnx import KIND as ONNX
from convert.to_onnx import to_onnx
from deploy.targets.base import Options, Target, Tool
from runtimes.session_pool import NATIVE, SessionSpec


class Ncnn(Target):
    name = "ncnn"
    summary = "ncnn on phones, boards and other CPUs"
    runs_on = "ncnn on this CPU, one image at a time"
    precisions = ("fp32",)
    kinds = (INFERENCE, ONNX, KIND)
    tools = (Tool("onnxruntime"), Tool("pnnx"), Tool("ncnn"))

    def build(self, inference: Artifact, precision: str, options: Options) -> Artifact:
        return to_ncnn(to_onnx(inference, options.opset))

    def session_spec(self, precision: str) -> SessionSpec:
        return SessionSpec(NATIVE, SESSION)
