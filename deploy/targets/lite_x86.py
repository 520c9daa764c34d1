"""Paddle Lite's x86 runtime."""

from calib.quantize_lite import quantize_lite
from convert.artifact import Artifact
from convert.to_lite import SESSION, to_lite
from convert.toolchain import LITE
from deploy.targets.base import NATIVE, NONE, Options, Plan, Target


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

    def plan(self, precision: str) -> Plan:
        problem = self.problem()
        return (
            Plan(NONE, reason=problem)
            if problem
            else Plan(NATIVE, SESSION, "lite", one_thread=True)
        )

    def problem(self) -> str | None:
        return LITE.problem()
