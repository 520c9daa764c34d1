"""Paddle Lite's x86 runtime."""

from calib.fake_quant import Grid
from calib.kept import source_of
from calib.quantize_lite import GRID, quantize_lite
from calib.quantize_lite import KIND as QUANTIZED
from convert.artifact import Artifact
from convert.export import KIND as INFERENCE
from convert.to_lite import KINDS, SESSION, kind_of_cut_file, to_lite
from deploy.targets.base import Options, Target, Tool
from runtimes.environments import LITE
from runtimes.session_pool import NATIVE, NONE, SessionSpec


class LiteX86(Target):
    name = "lite-x86"
    summary = "Paddle Lite on x86"
    runs_on = (
        "Paddle Lite on this CPU; int8 only where it is asked for by name, since its kernels "
        "compute it wrongly"
    )
    precisions = ("fp32", "int8")
    on_request = ("int8",)
    warning = "Paddle Lite computes INT8 wrongly on x86; it shows nothing about ARM"
    black_box = True
    kinds = (INFERENCE, KINDS["x86"])
    tools = (Tool("paddlepaddle"), Tool("onnxruntime"), Tool("paddlelite", LITE))

    def build(self, inference: Artifact, precision: str, options: Options) -> Artifact:
        if precision == "int8":
            inference = quantize_lite(inference, *options.measured(inference))
        return to_lite(inference, "x86", precision)

    def grid(self) -> Grid:
        return GRID

    def graph_of(
        self, artifact: Artifact, inference: Artifact, precision: str, options: Options
    ) -> Artifact:
        if precision == "int8":
            return source_of(artifact, self.name, QUANTIZED.name)
        return inference

    def cut_file(self, cut: Artifact, precision: str) -> Artifact:
        return to_lite(cut, "x86", precision, kind_of_cut_file("x86", cut))

    def session_spec(self, precision: str) -> SessionSpec:
        problem = self.problem()
        return (
            SessionSpec(NONE, reason=problem)
            if problem
            else SessionSpec(NATIVE, SESSION, "lite", one_thread=True)
        )

    def problem(self) -> str | None:
        return LITE.problem()
