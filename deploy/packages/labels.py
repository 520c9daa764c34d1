"""What a model's classes are called."""

from dataclasses import dataclass
from pathlib import Path

from common.console import say
from common.errors import UserError
from convert.artifact import Artifact
from convert.builds import is_made_of, named_classes
from data import imagenet
from data.texts import class_names


@dataclass(frozen=True)
class Labels:
    """A name per class, in order, and where they are from."""

    names: list[str]
    source: str


def find_labels(graph: Artifact, listing: Path | None) -> Labels:
    """The names of the classes that an inference graph tells apart.

    `listing` is the user's own list. Without it: the list beside the checkpoint that the graph
    was made from, as `make adapt` and `make train` write it; what others' files said there when the
    graph was made (`models.beside`); ImageNet's names for 1000 classes; else the classes' numbers.
    """
    classes = graph.facts["class_num"]
    listing = listing or _beside(graph)
    if listing:
        return Labels(read_names(listing, classes), listing.name)
    if named := named_classes(graph):
        config = graph.facts.get("config")
        source = Path(config["path"]).name if config else "a list of labels"
        return Labels(named, f"{source} beside the checkpoint")
    if classes == imagenet.CLASSES:
        return Labels(imagenet.imagenet_classes(), f"ImageNet's, from {imagenet.SOURCE}")
    say(
        f"  {graph.name}: no list of its {classes} classes is known, so they are called by their "
        "numbers; --labels names a list"
    )
    return Labels([str(number) for number in range(classes)], "numbers, since no list was given")


def _beside(graph: Artifact) -> Path | None:
    """The list beside a graph's checkpoint, if both are still there and that one is the same."""
    recorded = graph.facts.get("weights_path")  # graphs of older versions have none
    if not recorded:
        return None
    checkpoint = Path(recorded)
    if not checkpoint.is_file() or not is_made_of(graph, checkpoint):
        return None
    own = checkpoint.with_name(f"{checkpoint.stem}.classes.txt")
    trainings = checkpoint.with_name("classes.txt")
    return next((listing for listing in (own, trainings) if listing.is_file()), None)


def read_names(listing: Path, classes: int) -> list[str]:
    """The names in a list, one a line; UserError where it has not exactly one per class."""
    remedy = f"give a text file with {classes} lines, a class name each"
    if not listing.is_file():
        raise UserError(f"{listing}: there is no such list of class names; {remedy}")
    names = class_names(listing)
    if "" in names:
        raise UserError(f"{listing}: line {names.index('') + 1} is blank; {remedy}")
    if len(names) != classes:
        raise UserError(f"{listing} names {len(names)} classes, the model has {classes}; {remedy}")
    return names
