"""OpenCV's DNN module on this CPU; the same file runs in its Android library."""

from convert.artifact import Artifact
from convert.export import KIND as INFERENCE
from convert.to_onnx import KIND as ONNX
from convert.to_onnx import to_onnx
from convert.to_opencv import FILE, KIND, PACKAGE, SESSION, to_opencv
from deploy.speed.peers import default_onnxruntime
from deploy.targets.base import EVERY_CPU, Engine, Options, Target, Tool
from runtimes.session_pool import NATIVE, SessionSpec

_RUNTIME = Tool(PACKAGE)


def _library_version() -> str | None:
    """Of OpenCV itself: the Python package has a number of its own behind it ("4.12.0.88")."""
    return _RUNTIME.version and ".".join(_RUNTIME.version.split(".")[:3])


class OpenCv(Target):
    name = "opencv"
    summary = "OpenCV's DNN module, on CPUs and phones"
    runs_on = "OpenCV on this CPU, or on others (`HOST=arm`, `HOST=ssh:NAME`)"
    precisions = ("fp32",)
    kinds = (INFERENCE, ONNX, KIND)
    tools = (Tool("onnxruntime"), _RUNTIME)
    hosts = EVERY_CPU
    engine = Engine("opencv", FILE, lambda path: _library_version())
    peers = default_onnxruntime.PEERS

    def build(self, inference: Artifact, precision: str, options: Options) -> Artifact:
        return to_opencv(to_onnx(inference, options.opset))

    def session_spec(self, precision: str) -> SessionSpec:
        return SessionSpec(NATIVE, SESSION)
