"""Paddle Lite on ARM phones and boards."""

from calib.quantize_lite import AS_WRITTEN, quantize_lite
from convert import lite_file
from convert.artifact import Artifact
from convert.export import KIND as INFERENCE
from convert.export import SESSION as PADDLE_SESSION
from convert.to_lite import FILE, KINDS, to_lite
from convert.to_onnx import to_onnx
from deploy.targets.base import Engine, Options, Target, Tool
from deploy.targets.phone_cpu import ENOUGH, simulated_fp16
from runtimes.environments import LITE
from runtimes.session_pool import NONE, SIMULATED, SessionSpec


class LiteArm(Target):
    name = "lite-arm"
    summary = "Paddle Lite on ARM phones and boards"
    runs_on = (
        "an ARM device; without one the file is built and inspected, fp16 and int8 are simulated, "
        "and no verdict is `pass`"
    )
    precisions = ("fp32", "fp16", "int8")
    kinds = (INFERENCE, KINDS["arm"])
    tools = (Tool("paddlepaddle"), Tool("onnxruntime"), Tool("paddlelite", LITE))
    hosts = ()
    fits_ranges = True
    # The app's library must be of the version that wrote the file.
    engine = Engine("paddle-lite", FILE, lambda path: lite_file.read(path).version)

    def build(self, inference: Artifact, precision: str, options: Options) -> Artifact:
        if precision == "int8":
            inference = _quantized(inference, options)
        elif precision == "fp16":
            inference = options.fitted(inference)
        return to_lite(inference, "arm", precision)

    def session_spec(self, precision: str) -> SessionSpec:
        absent = "no ARM device is here to run it"
        if self.problem() or precision == "fp32":
            checked = "; the file's header, version and kernels are checked when it is made"
            return SessionSpec(NONE, reason=self.problem() or absent + checked)
        if precision == "fp16":
            return simulated_fp16(
                f"{absent}; its FP16 kernels are simulated, with their sums and transforms, "
                f"on no more than {ENOUGH} photos, which show an overflow and decide no drift"
            )
        # Never the x86 runtime, whose INT8 is wrong.
        return SessionSpec(SIMULATED, PADDLE_SESSION, reason=absent, options=AS_WRITTEN)

    def simulated_artifact(
        self, artifact: Artifact, inference: Artifact, precision: str, options: Options
    ):
        if precision == "int8":
            return _quantized(inference, options)
        return to_onnx(options.fitted(inference), options.opset)

    def problem(self) -> str | None:
        return LITE.problem()


def _quantized(inference: Artifact, options: Options) -> Artifact:
    return quantize_lite(inference, *options.measured(inference))
