"""ncnn on this CPU; the same files run on ARM phones and boards."""

import dataclasses
from pathlib import Path

from calib.fake_quant import Grid
from calib.placement import LAYER_INPUTS, Placement
from calib.quantize_ncnn import GRID, quantize_ncnn
from convert.artifact import Artifact
from convert.export import KIND as INFERENCE
from convert.to_ncnn import GRAPH, KIND, SESSION, to_ncnn
from convert.to_onnx import KIND as ONNX
from deploy.speed.peers import default_ncnn
from deploy.targets.base import EVERY_CPU, Engine, Guide, Options, Tool
from deploy.targets.phone_cpu import PhoneCpu, half_note

_RUNTIME = Tool("ncnn")


def _words(precision: str) -> dict[str, str]:
    return {"half": "true" if precision == "fp16" else "false", "half_note": half_note(precision)}


class Ncnn(PhoneCpu):
    name = "ncnn"
    summary = "ncnn on phones, boards and other CPUs"
    runs_on = (
        "ncnn on this CPU, or on others (`HOST=arm`, `HOST=ssh:NAME`), one image at a time; fp16,"
        " which it computes in fp32 on x86, is simulated here"
    )
    precisions = ("fp32", "fp16", "int8")
    kinds = (INFERENCE, ONNX, KIND)
    tools = (Tool("onnxruntime"), Tool("pnnx"), _RUNTIME)
    hosts = EVERY_CPU
    engine = Engine(
        "ncnn",
        GRAPH,
        lambda path: _RUNTIME.version,
        Guide(Path(__file__).with_suffix(".md"), _words),
    )
    session = SESSION
    products_in_int8 = False
    peers = default_ncnn.PEERS
    simulates = (
        "ncnn computes in FP16 only on ARM CPUs that have it; Paddle Lite's FP16 kernels, which "
        "like ncnn's sum and transform in FP16, are simulated"
    )

    def build(self, inference: Artifact, precision: str, options: Options) -> Artifact:
        if precision == "int8":
            return quantize_ncnn(*options.measured(inference))
        return to_ncnn(self.float_onnx(inference, precision, options), precision)

    def grid(self) -> Grid:
        return GRID

    def placement(self, onnx: Artifact) -> Placement:
        return dataclasses.replace(LAYER_INPUTS, grid=GRID)
