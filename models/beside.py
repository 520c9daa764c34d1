"""What others leave beside a checkpoint: how its photos are prepared, and its classes' names.

Read are PaddleClas' and PaddleX' `inference.yml`, PaddleX' `model.yml`, PaddleClas' training
configs and lists of labels; docs/beside.md lists what of them.
"""

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from common.console import say, shown
from common.errors import UserError
from common.plain_yaml import read_yaml
from data.foreign_operators import preprocess_of
from data.preprocess import Preprocess
from data.texts import class_names
from models.registry import MODELS, ModelSpec
from models.split import split_file
from models.state import printable
from models.weights import Weights

NONE = "none"  # the word for: take nothing that lies beside

_LISTS = ("label_list.txt", "labels.txt")

# Where a config says it, by the keys that lead there; the first that is there.
_OPERATORS = (
    ("PreProcess", "transform_ops"),
    ("Transforms",),
    ("DataLoader", "Eval", "dataset", "transform_ops"),
    ("Infer", "transforms"),
    ("VALID", "transforms"),
)
_NAMES = (
    ("PostProcess", "Topk", "label_list"),
    ("PostProcess", "Topk", "label_name_list"),
    ("PostProcess", "label_list"),
    ("Infer", "PostProcess", "label_list"),
    ("_Attributes", "labels"),
    ("label_list",),
    ("labels",),
)
_NAME_FILES = (
    ("PostProcess", "Topk", "class_id_map_file"),
    ("PostProcess", "class_id_map_file"),
    ("Infer", "PostProcess", "class_id_map_file"),
)
_COUNTS = (
    ("Arch", "class_num"),
    ("Global", "class_num"),
    ("_Attributes", "num_classes"),
    ("_init_params", "num_classes"),
    ("classes_num",),
)
_MODELS = (("Arch", "name"), ("Global", "model_name"), ("Model",), ("ARCHITECTURE", "name"))


@dataclass(frozen=True)
class Beside:
    """How the photos of a checkpoint are prepared, and what its classes are called (None: nothing
    says); `config` is the file that says how, None where it is as published."""

    preprocess: Preprocess
    names: tuple[str, ...] | None = None
    config: Path | None = None


def find_beside(
    spec: ModelSpec, weights: Weights, class_num: int, config: str | None = None
) -> Beside:
    """What lies beside a checkpoint for a model of so many classes; it is said, and a preprocess
    that is not the published one is a warning that names both.

    `config` is a file to take instead, or NONE; a checkpoint that was not given as a file, or was
    trained here, has nothing beside it. Raises UserError for a config that is malformed, asks for
    what is not done here, or is of another number of classes.
    """
    if config == NONE:
        return Beside(spec.preprocess)
    if config:
        return _told(spec, weights, _read(Path(config), spec, weights, class_num))
    if weights.origin != "file" or split_file(weights):
        return Beside(spec.preprocess)
    try:
        for path, tree in _configs(spec, weights.file):
            if found := _read(path, spec, weights, class_num, tree):
                return _told(spec, weights, found)
        listing = next(filter(Path.is_file, map(weights.file.with_name, _LISTS)), None)
        if listing is None:
            return Beside(spec.preprocess)
        names = _checked(read_labels(listing, class_num), listing, weights, class_num)
    except UserError as error:
        raise UserError(f"{error}; CONFIG=file names another, CONFIG={NONE} takes none") from None
    say(f"  {shown(listing)} beside {weights.file.name} names its {class_num} classes")
    return Beside(spec.preprocess, names)


def warn_of_init(spec: ModelSpec, weights: Weights) -> None:
    """Say where what a training starts from had its photos prepared in another way than training
    prepares them, which is as published."""
    if weights.origin != "file" or split_file(weights):
        return
    with contextlib.suppress(UserError):
        for path, tree in _configs(spec, weights.file):
            if differing := differences(_preprocess_in(tree, path), spec.preprocess):
                say(
                    f"  warning: {weights.file.name} was trained on photos prepared in another way "
                    f"({shown(path)}: {differing}); this training prepares them as published"
                )
            return


def differences(preprocess: Preprocess, published: Preprocess) -> str:
    """What of a preprocess is not as published, each with what is; "" where all is."""
    pairs = [
        (field.name, getattr(preprocess, field.name), getattr(published, field.name))
        for field in fields(Preprocess)
    ]
    return ", ".join(
        f"{name} {theirs} (published: {ours})" for name, theirs, ours in pairs if theirs != ours
    )


def _told(spec: ModelSpec, weights: Weights, found: Beside) -> Beside:
    assert found.config
    where = f"{shown(found.config)} (for {weights.path.name if weights.path else spec.name})"
    also = f", and its names of {len(found.names)} classes" if found.names else ""
    if differing := differences(found.preprocess, spec.preprocess):
        say(
            f"  warning: {where} prepares photos in another way than is published for {spec.name}: "
            f"{differing}; what the file says is used{also} (CONFIG={NONE}: what is published)"
        )
    else:
        say(f"  {where}: its preprocessing is used, which is as published{also}")
    return found


# ---- finding ----


def _configs(spec: ModelSpec, checkpoint: Path) -> Iterator[tuple[Path, Any]]:
    """The files beside a checkpoint that may say something of it, each with its content.

    Those that have the names of configs come first, and have to be some; others are left out, with
    a word, where they are none, and where they are of another model.
    """
    folder = checkpoint.parent
    stems = (checkpoint.stem, "inference", "inference/inference", "model")
    named = [folder / f"{stem}{end}" for stem in stems for end in (".yml", ".yaml")]
    for path in filter(Path.is_file, named):
        yield path, read_yaml(path)
    for path in sorted([*folder.glob("*.yml"), *folder.glob("*.yaml")]):
        if path in named or not path.is_file():
            continue
        try:
            tree = read_yaml(path)
        except UserError as error:
            say(f"  {error}: left out")
            continue
        if _first(tree, _OPERATORS) is not None and not _is_of_another(tree, spec, path):
            yield path, tree


def _is_of_another(tree: Any, spec: ModelSpec, path: Path) -> bool:
    model = _first(tree, _MODELS)
    if not isinstance(model, str) or model == spec.name or model not in MODELS:
        return False
    say(f"  {shown(path)} is of {model}, not of {spec.name}: left out")
    return True


# ---- reading ----


def _read(
    path: Path, spec: ModelSpec, weights: Weights, class_num: int, tree: Any = None
) -> Beside:
    """What a config says of a checkpoint."""
    if tree is None:
        tree = read_yaml(path)
    preprocess = _preprocess_in(tree, path)
    count = _first(tree, _COUNTS)
    if isinstance(count, int) and count != class_num:
        raise _miscounted(path, count, weights, class_num)
    names = _names_in(tree, path, weights, class_num)
    return Beside(preprocess, names, path.absolute())


def _preprocess_in(tree: Any, path: Path) -> Preprocess:
    keys, operators = next(_found(tree, _OPERATORS), ((), None))
    if operators is None:
        known = ", ".join(".".join(one) for one in _OPERATORS)
        raise UserError(f"{shown(path)} does not say how photos are prepared ({known})")
    if _at(tree, ("TransformsMode",)) == "BGR":
        raise UserError(f"{shown(path)}: the network takes BGR, and models here take RGB")
    return preprocess_of(operators, f"{shown(path)}: {'.'.join(keys)}")


def _names_in(tree: Any, path: Path, weights: Weights, class_num: int) -> tuple[str, ...] | None:
    listed = _first(tree, _NAMES)
    if listed is not None:
        return _checked(_listed(listed, path), path, weights, class_num)
    named = _first(tree, _NAME_FILES)
    lists: tuple[str, ...] = _LISTS
    if isinstance(named, str):
        # Mostly of the machine that trained, or from PaddleClas' own folder.
        lists = (re.split(r"[/\\]", named)[-1] or _LISTS[0], *_LISTS)
    folders = dict.fromkeys((path.parent, *([weights.path.parent] if weights.path else [])))
    near = (folder / name for folder in folders for name in lists)
    listing = next(filter(Path.is_file, near), None)
    if listing:
        return _checked(read_labels(listing, class_num), listing, weights, class_num)
    return None


def read_labels(listing: Path, class_num: int) -> tuple[str, ...]:
    """The names in a list of labels: a name a line, or with its class's number before it.

    Of numbered ones those that no line names are called by their number. UserError for a list that
    is no text, or has a number twice or beyond the classes.
    """
    lines = [line for line in class_names(listing) if line]
    numbered = [re.fullmatch(r"([0-9]{1,6})[\s,:]+(\S.*)", line) for line in lines]
    if not lines or not all(numbered):
        return tuple(map(_plain, lines))
    names = {int(match[1]): _plain(match[2]) for match in numbered if match}
    if len(names) < len(lines):
        raise UserError(f"{shown(listing)} has the number of a class twice")
    if max(names) >= class_num:
        raise UserError(
            f"{shown(listing)} has a class {max(names)}, but the checkpoint tells {class_num} "
            "apart, counted from 0"
        )
    return tuple(names.get(number, str(number)) for number in range(class_num))


def _listed(value: object, path: Path) -> tuple[str, ...]:
    if not isinstance(value, list) or any(isinstance(one, list | dict | bool) for one in value):
        raise UserError(
            f"{shown(path)}: its names of classes are no list of texts (write yes, no, true and "
            "false in quotes)"
        )
    return tuple(map(_plain, value))


def _plain(name: object) -> str:
    """A name as one line of what can be printed."""
    line = " ".join(str("" if name is None else name).split())
    return "".join(sign if sign.isprintable() else "?" for sign in line)


def _checked(
    names: tuple[str, ...], path: Path, weights: Weights, class_num: int
) -> tuple[str, ...]:
    """Names, if there is one for each class; else UserError."""
    if len(names) != class_num:
        raise _miscounted(path, len(names), weights, class_num)
    if "" in names:
        raise UserError(f"{shown(path)}: class {names.index('')} has no name")
    return names


def _miscounted(path: Path, count: int, weights: Weights, class_num: int) -> UserError:
    whose = weights.path.name if weights.path else weights.origin
    return UserError(
        f"{shown(path)} is of {printable(count)} classes, but {whose} tells {class_num} apart, so "
        "it belongs to another checkpoint"
    )


def _at(tree: Any, keys: tuple[str, ...]) -> Any:
    """What stands in nested dicts under these keys; None where it is not there."""
    for key in keys:
        tree = tree.get(key) if isinstance(tree, dict) else None
    return tree


def _found(tree: Any, places: tuple[tuple[str, ...], ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """The places where something stands, each with that."""
    return ((keys, value) for keys in places if (value := _at(tree, keys)) is not None)


def _first(tree: Any, places: tuple[tuple[str, ...], ...]) -> Any:
    return next((value for _, value in _found(tree, places)), None)
