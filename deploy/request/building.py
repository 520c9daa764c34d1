"""From a model's name to the inference graph that all its files start from."""

import concurrent.futures
import dataclasses
from collections.abc import Sequence
from pathlib import Path

from calib.overflow import LIMIT, beyond_fp16
from calib.quant_config import QuantConfig
from common import console, files, machine
from common.errors import StepError, UserError
from common.paths import build_root
from convert.artifact import Artifact
from convert.export import export, exported
from convert.to_onnx import to_onnx
from deploy.request.values import FP16, INT8, Cell, Files
from deploy.targets.base import Options, Target
from models.registry import MODELS, ModelSpec, find_model
from models.weights import available, find_weights

_DEFAULT_CLASSES = 1000


def class_count(spec: ModelSpec, files: Files) -> int:
    """How many classes the model's inference graph has, or will have, known before any work."""
    if files.class_num:
        return files.class_num
    found = None if files.weights else exported(spec.name)
    return found.facts["class_num"] if found else _DEFAULT_CLASSES


def inference_graph(spec: ModelSpec, files: Files) -> Artifact:
    """The inference graph of a model.

    With weights or a class count asked for it is made from those; without, the graph that an
    earlier export left is taken as it is, and where there is none, the weights that are found
    here.
    """
    classes = class_count(spec, files)
    found = None if files.weights else exported(spec.name)
    if found and found.facts["class_num"] == classes:
        return found
    return export(spec, find_weights(spec, files.weights), classes)


def build_files(
    graph: Artifact, cells: Sequence[Cell], options: Options
) -> dict[Cell, Artifact | StepError]:
    """The files of these cells, or why a step failed; made side by side where that is possible.

    Cells whose target cannot be built here are left out.
    """

    def build(cell: Cell) -> Artifact | StepError:
        target, precision = cell
        try:
            return target.build(graph, precision, options_for(cell, graph, options))
        except StepError as error:
            return error

    if any(precision == FP16 and not target.fits_ranges for target, precision in cells):
        _warn_of_overflows(graph, options)
    buildable = [(target, precision) for target, precision in cells if not target.problem()]
    with concurrent.futures.ThreadPoolExecutor(machine.threads()) as pool:
        return dict(zip(buildable, pool.map(build, buildable), strict=True))


def _warn_of_overflows(graph: Artifact, options: Options) -> None:
    """Say which layers leave float16's range, before FP16 files are made."""
    for what, size in beyond_fp16(to_onnx(graph, options.opset)):
        console.say(
            f"  warning: {graph.model}: {what} reaches {size:.6g}, more than FP16's {LIMIT:g}: "
            "expect infinite logits in FP16"
        )


def options_for(cell: Cell, graph: Artifact, options: Options) -> Options:
    """The options with what an earlier calibration of the graph found best, if any.

    One that is in them already stays.
    """
    target, precision = cell
    if precision != INT8 or options.quant:
        return options
    found = files.read_json(_quant_config_path(graph, target))
    if not isinstance(found, dict) or found.get("graph") != graph.key:
        return options
    quant = QuantConfig(found["method"], tuple(found["keep_float"]))
    return dataclasses.replace(options, quant=quant)


def keep_quant_config(graph: Artifact, target: Target, quant: QuantConfig) -> None:
    """Make a configuration the one that this graph's INT8 files for a target are made by."""
    facts = {"graph": graph.key, **dataclasses.asdict(quant)}
    files.write_json(_quant_config_path(graph, target), facts)


def _quant_config_path(graph: Artifact, target: Target) -> Path:
    return build_root() / graph.model / "calibration" / f"{target.name}.json"


def choose_models(names: Sequence[str] | None, weights: str | None) -> list[ModelSpec]:
    """The models to work on; those that are skipped are named, with the reason.

    Without names: every model that has weights here. A graph exported from random weights counts
    only for a model that is named.
    """
    if names:
        return [find_model(name) for name in dict.fromkeys(names)]
    if weights is not None:
        raise UserError("--weights needs --model, so that it is clear whose weights they are")
    chosen, random, absent = [], [], []
    for spec in MODELS.values():
        graph = exported(spec.name)
        if graph and graph.facts["weights"] == "random":
            random.append(spec.name)
        elif graph or available(spec):
            chosen.append(spec)
        else:
            absent.append(spec.name)
    for left_out, reason in (
        (random, "exported from random weights, so only by name (--model)"),
        (absent, "no weights here"),
    ):
        if left_out:
            console.say(f"  skipped, {reason}: {', '.join(left_out)}")
    return chosen
