"""The table of targets. A new target is one file here and one row below."""

from collections.abc import Iterable

from common.errors import UserError, suggest
from deploy.targets.base import Target
from deploy.targets.lite_arm import LiteArm
from deploy.targets.lite_x86 import LiteX86
from deploy.targets.mnn import Mnn
from deploy.targets.ncnn import Ncnn
from deploy.targets.onnx import Onnx
from deploy.targets.opencv import OpenCv
from deploy.targets.openvino import OpenVino
from deploy.targets.paddle import Paddle
from deploy.targets.served import Served
from deploy.targets.tensorrt import TensorRt

TARGETS: dict[str, Target] = {
    target.name: target
    for target in (
        Paddle(),
        Onnx(),
        OpenVino(),
        Mnn(),
        Ncnn(),
        OpenCv(),
        TensorRt("trt-v100", "V100", "sm_70"),
        TensorRt("trt-t4", "T4", "sm_75"),
        LiteX86(),
        LiteArm(),
        Served(),
    )
}


def packaged_targets() -> dict[str, Target]:
    """Those whose files are packaged, by name."""
    return {name: target for name, target in TARGETS.items() if target.engine}


def app_targets() -> dict[str, Target]:
    """Those of them that the app can run."""
    return {
        name: target
        for name, target in packaged_targets().items()
        if target.engine and target.engine.in_app
    }


def all_precisions(targets: Iterable[Target]) -> tuple[str, ...]:
    """The precisions that one of them has."""
    return tuple(dict.fromkeys(word for target in targets for word in target.precisions))


def find_cells(names: list[str], precisions: list[str] | None) -> list[tuple[Target, str]]:
    """The targets of those names, each with its precisions that are wanted (None: all).

    "all" stands for every target whose file is made here. A precision counts for the targets that
    have it; precisions that a target has on request only are found where both it and they are
    named. An unknown name, and a precision that no named target has, raise UserError.
    """
    for name in names:
        if name not in TARGETS and name != "all":
            raise UserError(f"unknown target '{name}': {suggest(name, [*TARGETS, 'all'])}")
    named = [TARGETS[name] for name in dict.fromkeys(names) if name != "all"]
    targets = named
    if "all" in names:
        targets = [one for one in TARGETS.values() if not one.elsewhere or one in named]
    who = "there is" if "all" in names else f"target {' or '.join(one.name for one in named)} has"
    known = all_precisions(targets)
    for word in precisions or ():
        if word not in known:
            raise UserError(f"{who} no precision '{word}'; choose from {', '.join(known)}")
    return [
        (target, precision)
        for target in targets
        for precision in target.precisions
        if _is_wanted(target, precision, names, precisions)
    ]


def _is_wanted(
    target: Target, precision: str, names: list[str], precisions: list[str] | None
) -> bool:
    if precision in target.on_request:
        return target.name in names and precision in (precisions or ())
    return not precisions or precision in precisions
