"""MNN on this CPU; the same files run on ARM phones and boards."""

from calib.quantize_mnn import quantize_mnn
from convert.artifact import Artifact
from convert.export import KIND as INFERENCE
from convert.to_mnn import KIND, SESSION, to_mnn
from convert.to_onnx import KIND as ONNX
from convert.to_onnx import to_onnx
from deploy.targets.base import Options, Target, Tool
from runtimes.hosts.arm import Arm
from runtimes.hosts.local import Local
from runtimes.session_pool import NATIVE, SessionSpec


class Mnn(Target):
    name = "mnn"
    summary = "MNN on phones, boards and other CPUs"
    runs_on = "MNN on this CPU, or as ARM code (`HOST=arm`)"
    precisions = ("fp32", "int8")
    kinds = (INFERENCE, ONNX, KIND)
    tools = (Tool("onnxruntime"), Tool("MNN"))
    hosts = (Local.name, Arm.name)

    def build(self, inference: Artifact, precision: str, options: Options) -> Artifact:
        if precision == "int8":
            return quantize_mnn(*options.measured(inference))
        return to_mnn(to_onnx(inference, options.opset))

    def session_spec(self, precision: str) -> SessionSpec:
        return SessionSpec(NATIVE, SESSION)
