"""MNN on this CPU; the same files run on ARM phones and boards."""

from collections.abc import Sequence
from pathlib import Path

from calib.fake_quant import LAYERS
from calib.placement import Placement
from calib.quantize_mnn import GRID, quantize_mnn
from convert.artifact import Artifact
from convert.export import KIND as INFERENCE
from convert.to_mnn import FILE, KIND, SESSION, to_mnn
from convert.to_onnx import KIND as ONNX
from deploy.speed.peers import default_mnn
from deploy.targets.base import EVERY_CPU, Engine, Guide, Options, Tool
from deploy.targets.phone_cpu import PhoneCpu, half_note

_RUNTIME = Tool("MNN")


def _words(precision: str) -> dict[str, str]:
    mode = "Precision_Low" if precision == "fp16" else "Precision_High"
    return {"mode": mode, "half_note": half_note(precision)}


class Mnn(PhoneCpu):
    name = "mnn"
    summary = "MNN on phones, boards and other CPUs"
    runs_on = (
        "MNN on this CPU, or on others (`HOST=arm`, `HOST=ssh:NAME`); fp16, which it computes in "
        "fp32 on x86, is simulated here"
    )
    precisions = ("fp32", "fp16", "int8")
    kinds = (INFERENCE, ONNX, KIND)
    tools = (Tool("onnxruntime"), _RUNTIME)
    hosts = EVERY_CPU
    engine = Engine(
        "mnn", FILE, lambda path: _RUNTIME.version, Guide(Path(__file__).with_suffix(".md"), _words)
    )
    session = SESSION
    peers = default_mnn.PEERS
    simulates = (
        "MNN computes in FP16 only on ARM CPUs that have it; Paddle Lite's FP16 kernels, which "
        "like MNN's sum in FP16, are simulated"
    )

    def build(self, inference: Artifact, precision: str, options: Options) -> Artifact:
        if precision == "int8":
            return quantize_mnn(*options.measured(inference))
        return to_mnn(self.float_onnx(inference, precision, options), precision)

    def placement(self, onnx: Artifact) -> Placement:
        return Placement(LAYERS, GRID, float_outputs=(), optimize=False)

    def in_float(self, layers: Sequence[str]) -> Sequence[str]:
        return layers[-1:]
