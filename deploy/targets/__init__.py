"""The table of targets. A new target is one file here and one row below."""

from collections.abc import Mapping

from common.errors import UserError, suggest
from deploy.targets.base import Target
from deploy.targets.lite_arm import LiteArm
from deploy.targets.lite_x86 import LiteX86
from deploy.targets.onnx import Onnx
from deploy.targets.openvino import OpenVino
from deploy.targets.paddle import Paddle

TARGETS: Mapping[str, Target] = {
    target.name: target for target in (Paddle(), Onnx(), OpenVino(), LiteX86(), LiteArm())
}


def find_targets(names: list[str]) -> list[Target]:
    """The targets of those names, "all" for every one; an unknown name raises UserError."""
    for name in names:
        if name not in TARGETS and name != "all":
            raise UserError(f"unknown target '{name}': {suggest(name, [*TARGETS, 'all'])}")
    if "all" in names:
        return list(TARGETS.values())
    return [TARGETS[name] for name in dict.fromkeys(names)]


def find_precisions(target: Target, wanted: list[str] | None) -> list[str]:
    """The precisions of a target that are wanted (None: all); UserError for one it lacks."""
    for precision in wanted or ():
        if precision not in target.precisions:
            raise UserError(
                f"target {target.name} has no precision '{precision}': "
                f"it has {', '.join(target.precisions)}"
            )
    return list(dict.fromkeys(wanted or target.precisions))
