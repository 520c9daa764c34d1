"""From a name to the inference graph that all files of a build start from."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from calib.overflow import LIMIT, beyond_fp16
from common import console, machine
from common.errors import StepError, UserError
from common.side_by_side import side_by_side
from convert import builds
from convert.artifact import Artifact
from convert.builds import Chosen
from convert.export import export_build
from convert.to_onnx import to_onnx
from data import imagenet
from deploy.request.int8_files import int8_file
from deploy.request.values import FP16, Cell, Files, calibrated
from deploy.targets.base import Options
from models.registry import MODELS
from models.split import Split, split_beside
from models.weights import WORDS, available

T = TypeVar("T")


def class_count(chosen: Chosen, files: Files) -> int:
    """How many classes the inference graph has, or will have, known before any work."""
    if files.class_num:
        return files.class_num
    found = None if files.names_weights else builds.exported(chosen.folder)
    if found:
        return found.facts["class_num"]
    if not _takes_a_file(chosen, files):
        return imagenet.CLASSES
    return builds.class_count(builds.weights_of(chosen, files.weights, files.weights_key))


def inference_graph(chosen: Chosen, files: Files) -> Artifact:
    """The inference graph of what a user has chosen.

    With weights or a class count asked for it is made from those; without, the graph of that build
    is taken as it is, and where there is none, the weights that are found here.
    """
    anew = files.names_weights or files.config
    found = None if anew else builds.exported(chosen.folder)
    if found and files.class_num in (None, found.facts["class_num"]):
        builds.say_if_changed(found)
        return found
    return export_build(chosen, files.weights, files.class_num, files.weights_key, files.config)


def known_split(chosen: Chosen, files: Files) -> Split | None:
    """Which photos trained the weights that `inference_graph` will take, before any work; None
    where that is not known."""
    found = None if files.names_weights else builds.exported(chosen.folder)
    if found and files.class_num in (None, found.facts["class_num"]):
        return builds.split_of(found)
    if not _takes_a_file(chosen, files):
        return None
    return split_beside(builds.weights_of(chosen, files.weights, files.weights_key))


def _takes_a_file(chosen: Chosen, files: Files) -> bool:
    """Whether the weights that a new graph would be made of are in a file here."""
    if files.weights:
        return files.weights not in WORDS
    return bool(chosen.name or available(chosen.spec))


def open_for_each(
    chosen: Sequence[Chosen], files: Files, open_photos: Callable[[int, Split | None], T]
) -> list[T]:
    """What `open_photos` gives for each build, from its number of classes and its split; once for
    those that are alike in both. Also tried where there is no build, so that a mistyped folder is
    refused."""
    opened: dict[tuple[int, str | None], T] = {}

    def once(classes: int, split: Split | None) -> T:
        key = classes, split.checkpoint if split else None
        if key not in opened:
            opened[key] = open_photos(classes, split)
        return opened[key]

    if not chosen:
        once(files.class_num or imagenet.CLASSES, None)
    return [once(class_count(one, files), known_split(one, files)) for one in chosen]


def build_files(
    graph: Artifact, cells: Sequence[Cell], options: Options
) -> dict[Cell, Artifact | StepError]:
    """The files of these cells, or why a step failed; made side by side where that is possible.

    Cells whose target cannot be built here are left out. In INT8 a calibrated file that is kept
    is taken as it is (`deploy.request.int8_files`).
    """

    def build(cell: Cell) -> Artifact | StepError:
        target, precision = cell
        try:
            if calibrated([cell]):
                return int8_file(graph, target, options)
            return target.build(graph, precision, options)
        except StepError as error:
            return error

    if any(
        precision == FP16 and not (target.fits_ranges or target.elsewhere)
        for target, precision in cells
    ):
        _warn_of_overflows(graph, options)
    buildable = [(target, precision) for target, precision in cells if not target.problem()]
    built = side_by_side(build, buildable, machine.threads())
    return dict(zip(buildable, built, strict=True))


def _warn_of_overflows(graph: Artifact, options: Options) -> None:
    """Say which layers leave float16's range, before FP16 files are made."""
    for what, size in beyond_fp16(to_onnx(graph, options.opset)):
        console.say(
            f"  warning: {graph.name}: {what} reaches {size:.6g}, more than FP16's {LIMIT:g}: "
            "expect infinite logits in FP16"
        )


def choose_builds(
    models: Sequence[str] | None, name: str | None, weights: str | None
) -> list[Chosen]:
    """The builds to work on; those that are skipped are named, with the reason.

    `models` are names of models or builds, `name` is a build's. Without either: every build here,
    and every model that has weights here. A graph exported from random weights counts only for one
    that is named.
    """
    if name and len(models or ()) > 1:
        raise UserError(f"--name {name} is one build's: give one --model with it")
    if models:
        return [builds.choose(one, name) for one in dict.fromkeys(models)]
    if name:
        return [builds.choose(None, name)]
    if weights is not None:
        raise UserError("--weights needs --model, so that it is clear whose weights they are")
    there = builds.builds()
    random = [one for one, graph in there.items() if graph.facts["weights"] == "random"]
    chosen, absent = [], []
    for spec in MODELS.values():
        names = [one for one, graph in there.items() if graph.model == spec.name]
        chosen += [builds.choose(one) for one in names if one not in random]
        if spec.name not in names:
            if available(spec):
                chosen.append(Chosen(spec))
            else:
                absent.append(spec.name)
    for left_out, reason in (
        (random, "exported from random weights, so only by name (--model)"),
        (absent, "no weights here"),
    ):
        if left_out:
            console.say(f"  skipped, {reason}: {', '.join(left_out)}")
    return chosen
