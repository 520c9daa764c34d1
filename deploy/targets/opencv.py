"""OpenCV's DNN module on this CPU; the same file runs in its Android library."""

from convert.artifact import Artifact
from convert.export import KIND as INFERENCE
from convert.to_onnx import KIND as ONNX
from convert.to_onnx import to_onnx
from convert.to_opencv import KIND, PACKAGE, SESSION, to_opencv
from deploy.speed.peers import default_onnxruntime
from deploy.targets.base import EVERY_CPU, Options, Target, Tool
from runtimes.session_pool import NATIVE, SessionSpec


class OpenCv(Target):
    name = "opencv"
    summary = "OpenCV's DNN module, on CPUs and phones"
    runs_on = "OpenCV on this CPU, or on others (`HOST=arm`, `HOST=ssh:NAME`)"
    precisions = ("fp32",)
    kinds = (INFERENCE, ONNX, KIND)
    tools = (Tool("onnxruntime"), Tool(PACKAGE))
    hosts = EVERY_CPU
    peers = default_onnxruntime.PEERS

    def build(self, inference: Artifact, precision: str, options: Options) -> Artifact:
        return to_opencv(to_onnx(inference, options.opset))

    def session_spec(self, precision: str) -> SessionSpec:
        return SessionSpec(NATIVE, SESSION)
