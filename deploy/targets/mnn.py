"""MNN on this CPU; the same files run on ARM phones and boards."""

from calib.quantize_mnn import quantize_mnn
from convert.artifact import Artifact
from convert.export import KIND as INFERENCE
from convert.simulate import ARM_SESSION
from convert.to_mnn import KIND, SESSION, to_mnn
from convert.to_onnx import KIND as ONNX
from convert.to_onnx import to_onnx
from deploy.targets.base import Options, Target, Tool, on_host
from runtimes.hosts.arm import Arm
from runtimes.hosts.base import Host
from runtimes.hosts.local import Local
from runtimes.session_pool import NATIVE, SIMULATED, SessionSpec

_ENOUGH = 8  # photos where each takes seconds: an overflow shows
_FP16_INSTRUCTIONS = "asimdhp"


class Mnn(Target):
    name = "mnn"
    summary = "MNN on phones, boards and other CPUs"
    runs_on = (
        "MNN on this CPU, or as ARM code (`HOST=arm`); fp16, which it computes in fp32 on x86, is "
        "simulated here"
    )
    precisions = ("fp32", "fp16", "int8")
    kinds = (INFERENCE, ONNX, KIND)
    tools = (Tool("onnxruntime"), Tool("MNN"))
    hosts = (Local.name, Arm.name)
    fits_ranges = True

    def build(self, inference: Artifact, precision: str, options: Options) -> Artifact:
        if precision == "int8":
            return quantize_mnn(*options.measured(inference))
        if precision == "fp16":
            inference = options.fitted(inference)
        return to_mnn(to_onnx(inference, options.opset), precision)

    def session_spec(self, precision: str) -> SessionSpec:
        if precision != "fp16":
            return SessionSpec(NATIVE, SESSION)
        return SessionSpec(
            SIMULATED,
            ARM_SESSION,
            reason="MNN computes in FP16 only on ARM CPUs that have it; Paddle Lite's FP16 "
            "kernels, which like MNN's sum in FP16, are simulated",
            photos=_ENOUGH,
            batch=1,
            one_thread=True,
        )

    def session_spec_on(self, host: Host, precision: str) -> SessionSpec:
        if precision == "fp16" and _FP16_INSTRUCTIONS in host.isa:
            return on_host(host, SessionSpec(NATIVE, SESSION, photos=_ENOUGH), precision)
        return super().session_spec_on(host, precision)

    def simulated_artifact(
        self, artifact: Artifact, inference: Artifact, precision: str, options: Options
    ):
        return to_onnx(options.fitted(inference), options.opset)
