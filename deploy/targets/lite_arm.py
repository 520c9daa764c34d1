"""Paddle Lite on ARM phones and boards."""

from convert.artifact import Artifact
from convert.to_lite import to_lite
from convert.toolchain import LITE
from deploy.targets.base import NONE, Options, Plan, Target


class LiteArm(Target):
    name = "lite-arm"
    summary = "Paddle Lite on ARM phones and boards"
    precisions = ("fp32",)
    steps = ("export", "to_lite")
    hardware = "an ARM device"

    def build(self, inference: Artifact, precision: str, options: Options) -> Artifact:
        return to_lite(inference, "arm", precision)

    def plan(self, precision: str) -> Plan:
        reason = self.problem() or (
            "no ARM device is here to run it; the file's header, version and kernels are checked "
            "when it is made"
        )
        return Plan(NONE, reason=reason)

    def problem(self) -> str | None:
        return LITE.problem()
