"""Paddle Lite's x86 runtime."""

from calib.quantize_lite import quantize_lite
from convert.artifact import Artifact
from convert.to_lite import SESSION, to_lite
from deploy.targets.base import Options, Target
from runtimes.environments import LITE
from runtimes.session_pool import NATIVE, NONE, SessionSpec


class LiteX86(Target):
    name = "lite-x86"
    summary = "Paddle Lite on x86"
    precisions = ("fp32", "int8")
    on_request = ("int8",)
    warning = "Paddle Lite computes INT8 wrongly on x86; it shows nothing about ARM"
    steps = ("export", "to_lite")
    hardware = "this CPU"

    def build(self, inference: Artifact, precision: str, options: Options) -> Artifact:
        if precision == "int8":
            inference = quantize_lite(inference, *options.measured(inference))
        return to_lite(inference, "x86", precision)

    def session_spec(self, precision: str) -> SessionSpec:
        problem = self.problem()
        return (
            SessionSpec(NONE, reason=problem)
            if problem
            else SessionSpec(NATIVE, SESSION, "lite", one_thread=True)
        )

    def problem(self) -> str | None:
        return LITE.problem()
