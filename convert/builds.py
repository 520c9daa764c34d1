"""Which folder below build/ belongs to a checkpoint: its build, and what that is called.

A build holds the files of one checkpoint. That of published weights has the model's own name, any
other is `<Model>-<the checkpoint's name>`, and `NAME=` names another.
"""

import re
import shlex
from dataclasses import dataclass, replace
from pathlib import Path

from common import files
from common.cli import Parser, word_or_path
from common.console import say, shown
from common.errors import UserError, suggest
from common.hashes import cached_sha256
from common.paths import build_root
from convert.artifact import MANIFEST, Artifact, load
from convert.kind import Kind
from data import imagenet
from data.images import printable
from data.preprocess import Preprocess
from models.beside import NONE, differences
from models.registry import MODELS, ModelSpec, find_model
from models.split import Split, read_split
from models.state import SUFFIXES
from models.weights import (
    WORDS,
    Weights,
    classes_in,
    find_weights,
    identity,
    is_published,
    weights_folder,
)

GRAPH = "inference.pdmodel"
PARAMETERS = "inference.pdiparams"
SPLIT = "split.json"  # beside the graph, where the checkpoint has one
NAMES = "classes.json"  # and what its classes are called, where something said that
KIND = Kind("inference", (GRAPH, PARAMETERS), shown=PARAMETERS)

NO_NAME = "no model is named; give one, or the name of a build: MODEL=…"

NAME = "[A-Za-z0-9][A-Za-z0-9._+-]{0,99}"  # in a way that pydantic's patterns know, too
_NAME = re.compile(NAME)
_NO_CHARACTER = re.compile(r"[^A-Za-z0-9._+-]+")
_TAKEN = ("all", "apk", "phone")  # a word of commands, and folders that are no builds
# File names that say nothing of their own; the folder's does.
_COMMON = ("", "pretrained", "best", "last", "final", "model", "checkpoint", "weights")


@dataclass(frozen=True)
class Chosen:
    """What a user has named: a model and, where it is known by name, a build of it.

    `checkpoint` is the one in the weights folder that the name stands for, where there is no such
    build yet.
    """

    spec: ModelSpec
    name: str | None = None
    checkpoint: Path | None = None

    @property
    def folder(self) -> str:
        """The name of the build that is meant where no weights are named."""
        return self.name or self.spec.name


# ---- what is there ----


def exported(name: str) -> Artifact | None:
    """The inference graph of the build of this name, if it is whole."""
    found = load(KIND.folder(name))
    # A folder that was renamed is the build of its new name.
    return found and Artifact(found.folder, {**found.manifest, "build": name})


def split_of(graph: Artifact) -> Split | None:
    """Which photos trained the checkpoint that a graph was made from, where that is known."""
    return read_split(graph.file(SPLIT))


def is_of_published_weights(graph: Artifact) -> bool:
    """Whether figures that are published for a graph's model are about a network like it: its
    weights are a public release, or called so, and it tells ImageNet's classes apart."""
    if graph.facts["class_num"] != imagenet.CLASSES:
        return False
    word, path = graph.facts["weights"], graph.facts.get("weights_path")
    if word in WORDS:
        return word != "random"
    return path is not None and is_published(MODELS[graph.model], Path(path))


def named_classes(graph: Artifact) -> list[str] | None:
    """What a graph's classes are called, where something beside its checkpoint said that."""
    return files.read_json(graph.file(NAMES))


def builds() -> dict[str, Artifact]:
    """The inference graphs of all builds here, by name: in the order of the models."""
    manifests = build_root().glob(f"*/{KIND.name}/fp32/{MANIFEST}")
    names = sorted(path.parents[2].name for path in manifests)
    found = {name: graph for name in names if (graph := exported(name))}
    order = list(MODELS)
    return dict(sorted(found.items(), key=lambda item: (order.index(item[1].model), item[0])))


def _checkpoints() -> dict[str, list[Chosen]]:
    """The checkpoints in the weights folder by the names that their builds would have.

    Those of `make train` are the best of a folder. A file that could be several models' is there
    for each of them.
    """
    folder = weights_folder()
    found: dict[str, list[Chosen]] = {}
    for path in (*sorted(folder.glob("*.*")), *sorted(folder.glob("*/best.*"))):
        if path.suffix in SUFFIXES and path.is_file():
            for spec in MODELS.values():
                name = f"{spec.name}-{_label(spec, path)}"
                if not is_published(spec, path):
                    found.setdefault(name, []).append(Chosen(spec, name, path))
    return found


def words_for(spec: ModelSpec, checkpoint: Path) -> str:
    """What to type to mean a checkpoint: its build's name, or where that is not enough its file."""
    for name, found in _checkpoints().items():
        there = exported(name)
        newest = there is None or is_made_of(there, checkpoint)
        if newest and found == [Chosen(spec, name, checkpoint.absolute())]:
            return f"MODEL={name}"
    return f"MODEL={spec.name} WEIGHTS={shlex.quote(str(checkpoint))}"


# ---- what a user names ----


def choose(model: str | None, name: str | None = None) -> Chosen:
    """The model or the build that a user means: MODEL= takes either one's name, NAME= a build's.

    With both, NAME= is what the build of that model is to be called. UserError where there is
    neither.
    """
    if name:
        check_name(name)
    if model is None:
        if name is None:
            raise UserError(NO_NAME)
        return replace(_find(name), name=name)
    chosen = _find(model)
    if name is None:
        return chosen
    if name == chosen.folder:
        return replace(chosen, name=name)
    if name in MODELS:
        raise UserError(f"{name} is a model's name: name the build of {model} otherwise, NAME=…")
    there = exported(name)
    if there and there.model != chosen.spec.name:
        raise UserError(
            f"{name} is a build of {there.model}, not of {chosen.spec.name}; name another: NAME=…"
        )
    same = [one for one in _checkpoints().get(name, ()) if one.spec == chosen.spec]
    return Chosen(chosen.spec, name, chosen.checkpoint or (same[0].checkpoint if same else None))


def _find(word: str) -> Chosen:
    if word in MODELS:
        return Chosen(MODELS[word])
    there = exported(word) if _NAME.fullmatch(word) else None
    if there:
        return Chosen(find_model(there.model), word)
    checkpoints = _checkpoints()
    if found := checkpoints.get(word):
        if len(found) == 1:
            return found[0]
        paths = " and ".join(shown(one.checkpoint) for one in found if one.checkpoint)
        raise UserError(
            f"{paths} would both be {word}; name the file, and another build for it: "
            f"MODEL={found[0].spec.name} WEIGHTS=… NAME=…"
        )
    written = [
        name
        for name, [one, *_] in checkpoints.items()
        if one.checkpoint and one.spec.name in str(one.checkpoint.relative_to(weights_folder()))
    ]
    raise UserError(
        f"unknown model '{word}', and no build here is called so: "
        f"{suggest(word, [*MODELS, *builds(), *written])}"
    )


def add_name_argument(parser: Parser) -> None:
    """The argument of every command that makes or takes a build."""
    parser.add_argument(
        "--name",
        metavar="NAME",
        help="what the build is called, a folder below build/ (default: as the model for published "
        "weights, <Model>-<checkpoint> for others); where it exists, no --model is needed",
    )


def add_key_argument(parser: Parser) -> None:
    """The argument of every command that takes a checkpoint of others."""
    parser.add_argument(
        "--weights-key",
        metavar="KEY",
        help="which network of a checkpoint that holds several: Student, state_dict/ema",
    )


def add_beside_arguments(parser: Parser) -> None:
    """The arguments of every command that makes files of a checkpoint of others."""
    add_key_argument(parser)
    parser.add_argument(
        "--config",
        type=word_or_path(NONE),
        metavar="FILE",
        help="the config that says how photos are prepared, inference.yml, model.yml or a training "
        f"config; {NONE}: as published (default: the one beside the weights)",
    )


def check_name(name: str) -> None:
    """Raise UserError for what no build can be called."""
    if not _NAME.fullmatch(name) or name in _TAKEN:
        raise UserError(
            f"'{name}' cannot be the name of a build: give up to 100 letters, digits and . _ + -, "
            f"the first a letter or digit, and not {' or '.join(_TAKEN)} (NAME=…)"
        )


def weights_of(chosen: Chosen, wanted: str | None, key: str | None = None) -> Weights:
    """The weights that a user means: those named, else the build's own, else what is found; of a
    file with several networks the one of this key."""
    if wanted or chosen.name is None:
        return find_weights(chosen.spec, wanted, key=key)
    there = exported(chosen.name)
    if there and there.facts["weights"] in WORDS:
        return find_weights(chosen.spec, there.facts["weights"], key=key)
    recorded = there.facts.get("weights_path") if there else chosen.checkpoint
    key = key or (there.facts.get("weights_key") if there else None)
    return find_weights(chosen.spec, str(recorded) if recorded else None, key=key)


def is_made_of(graph: Artifact, checkpoint: Path) -> bool:
    """Whether a graph was made of a checkpoint as it is now."""
    made_of = graph.facts["weights_sha256"]
    return made_of == identity(checkpoint, graph.facts.get("weights_key") or "")


def class_count(weights: Weights) -> int:
    """How many classes weights tell apart; those that no file says are ImageNet's."""
    for graph in builds().values():
        same = graph.facts["weights_sha256"] == weights.sha256
        if same and weights.origin == "file":
            return graph.facts["class_num"]
    if weights.origin != "file":
        return imagenet.CLASSES
    try:
        return classes_in(weights)
    except UserError:  # the export says it, and more
        return imagenet.CLASSES


# ---- the name of a new build ----


def place(
    spec: ModelSpec,
    weights: Weights,
    class_num: int,
    name: str | None = None,
    preprocess: Preprocess | None = None,
) -> str:
    """The name of the build that these weights go into: `name`, or the first one that is free.

    A build that holds another checkpoint is not free, unless it is made of random weights, or of
    the same file, which has changed since: then what was measured is put aside, and the files are
    made anew. It is put aside, too, where photos were prepared in another way than `preprocess`
    (None: as published). UserError, saying what to do, where none is free.
    """
    wanted = [name] if name else _default_names(spec, weights, class_num)
    holders = {one: exported(one) for one in wanted}
    for one, holder in holders.items():
        if holder is None:
            break
        if holder.facts["weights_sha256"] == weights.sha256:
            prepared = preprocess or spec.preprocess
            if holder.preprocess != prepared and _put_results_aside(one, holder):
                say(f"  {one}: what was measured of photos prepared as before is put aside")
            break
        if replaced := _why_replaced(holder, weights):
            say(f"  {replaced}: {shown(build_root() / one)} is made anew")
            _put_results_aside(one, holder)
            break
    else:
        holder = holders[one]
        assert holder
        raise UserError(
            f"{shown(build_root() / one)} holds the files of another checkpoint "
            f"({_origin(holder)}); give this one another name, NAME={one}-2, or remove that folder"
        )
    if one != wanted[0]:
        first = holders[wanted[0]]
        assert first
        say(
            f"  {shown(build_root() / wanted[0])} holds the files of {_origin(first)}, so these go "
            f"to {shown(build_root() / one)}; from now on: MODEL={one}"
        )
    return one


def _default_names(spec: ModelSpec, weights: Weights, class_num: int) -> list[str]:
    if weights.origin != "file":
        return [spec.name, f"{spec.name}-{weights.origin}"]
    own = f"{spec.name}-{_label(spec, weights.file) or weights.sha256[:8]}"
    if weights.key:
        return [f"{own}-{_NO_CHARACTER.sub('_', weights.key).strip('._+-')}"[:100]]
    if is_published(spec, weights.file) and class_num == imagenet.CLASSES:
        return [spec.name, own]
    return [own]


def _label(spec: ModelSpec, path: Path) -> str:
    """What a checkpoint is called, without its model's name; "" where its path says nothing."""
    for part in (path.stem, path.absolute().parent.name):
        own = part.removeprefix(spec.name).removesuffix("_pretrained")
        label = _NO_CHARACTER.sub("_", own).strip("._+-")[:60]
        if label.lower() not in _COMMON:
            return label
    return ""


def _why_replaced(holder: Artifact, weights: Weights) -> str | None:
    """Why another checkpoint's build may be replaced; None where it may not."""
    if holder.facts["weights"] == "random":
        return None if weights.origin == "random" else f"{holder.name} was of random weights"
    path = holder.facts.get("weights_path")
    if weights.path and path == printable(weights.path.resolve()):
        return f"{shown(weights.path)} has changed since it was exported"
    return None


def _put_results_aside(name: str, holder: Artifact) -> bool:
    """Keep what was measured of the former checkpoint where it is not taken for the new one's;
    whether anything was."""
    results = build_root() / name / "results"
    aside = results / f"of-{holder.facts['weights_sha256'][:12]}"
    found = sorted(results.glob("*.json"))
    for path in found:
        aside.mkdir(exist_ok=True)
        path.replace(aside / path.name)
    return bool(found)


def _origin(graph: Artifact) -> str:
    label = graph.facts["weights"]
    if label in WORDS:
        return f"{label} weights"
    return graph.facts.get("weights_path") or f"the checkpoint {label[:12]}"


def say_if_changed(graph: Artifact) -> None:
    """Say so where a build's checkpoint, or the config beside it, is no longer what the build was
    made of, and where its photos are prepared in another way than is published."""
    path = graph.facts.get("weights_path")
    if path is not None and Path(path).is_file() and not is_made_of(graph, Path(path)):
        say(
            f"  {path} has changed since {graph.name} was made of it; to take it as it is now: "
            f"make export MODEL={graph.name}"
        )
    config = graph.facts.get("config")
    if config and _has_changed(Path(config["path"]), config["sha256"]):
        say(
            f"  {config['path']} has changed since {graph.name} was made by it; to take it as it "
            f"is now: make export MODEL={graph.name} CONFIG={shlex.quote(config['path'])}"
        )
    if differing := differences(graph.preprocess, find_model(graph.model).preprocess):
        said_by = f", as {Path(config['path']).name} says" if config else ""
        say(f"  {graph.name}: photos are prepared with {differing}{said_by}")


def _has_changed(path: Path, sha256: str) -> bool:
    return path.is_file() and cached_sha256(path) != sha256
