"""Which photos judge a checkpoint: none that trained it, unless the user asks to see them too."""

import dataclasses

import numpy as np

from common.console import say, say_once
from common.errors import UserError
from convert.artifact import Artifact
from convert.builds import named_classes
from data.images import ImageSet, judged_split
from data.photo_folders import LABELLED, UNLABELLED, Use
from models.split import Split

FEW = 30  # photos without labels: even if no decision changes, one in nine may (95 %)
_OR_SHOWN = ", or show these, marked as seen in training: ALLOW_SEEN=1"


def open_judging(
    source: str,
    class_num: int,
    split: Split | None,
    allow_seen: bool | None = False,
    labels: Use = LABELLED,
) -> ImageSet:
    """The photos at `source` that may judge a checkpoint with this split (None: nothing is known).

    What trained it is left out, and counted in a line, and so is what is there twice: photos judge
    by how many they are. UserError where nothing else is there. `allow_seen`
    None: the command has no word for that.
    """
    images = ImageSet.open(source, class_num, judged_split(source), labels)
    images = _different(images)
    if images.labels is None and len(images) < FEW:
        say_once(
            f"  {images.name}: {len(images)} photos without labels decide little; {FEW} or more "
            "tell something, thousands what labelled ones do"
        )
    if split is None or allow_seen:
        return images
    seen = split.training.known.has(images.hashes)
    if seen.all():
        raise UserError(
            f"{images.name}: all {len(images)} photos trained this checkpoint, so they cannot "
            f"judge it; its honest figure is that on the photos which make {split.made_by} "
            f"held out ('{split.data}'): top-1 {split.result}; give other photos (DATA=folder)"
            f"{_OR_SHOWN if allow_seen is not None else ''}"
        )
    if seen.any():
        say(
            f"  {images.name}: {seen.sum()} of {len(images)} photos trained this checkpoint and "
            f"are left out; {len(images) - seen.sum()} can judge"
        )
    return images.take(np.flatnonzero(~seen))


def open_beside(
    source: str, class_num: int, split: Split | None, allow_seen: bool | None, images: ImageSet
) -> ImageSet:
    """The photos at `source` that may judge without labels beside `images`: what is among these
    too is left out, and counted in a line; UserError where nothing else is there."""
    if images.labels is None:
        raise UserError(
            f"{images.name}: photos without labels beside others without labels are one set; put "
            "them all into DATA=, and leave out MORE="
        )
    more = open_judging(source, class_num, split, allow_seen, UNLABELLED)
    there = set(images.hashes)
    left = [row for row, digest in enumerate(more.hashes) if digest not in there]
    if not left:
        raise UserError(
            f"{more.name}: all {len(more)} photos judge already, with labels; give others: "
            "MORE=folder"
        )
    if len(left) < len(more):
        say_once(
            f"  {more.name}: {len(more) - len(left)} of {len(more)} photos judge already, with "
            "labels, and count once"
        )
    return more.take(left)


def numbered_as(graph: Artifact, images: ImageSet) -> ImageSet:
    """Photos with labels that count classes as a graph does, where both say what theirs are called.

    Class folders are in the order of their names, and a checkpoint of others may have any order.
    """
    wanted, given = named_classes(graph), images.class_names
    if images.labels is None or not wanted or not given or given == wanted:
        return images
    if sorted(given) != sorted(wanted):
        say_once(
            f"  warning: {images.name} calls its classes {_a_few(given)}, and {graph.name} "
            f"{_a_few(wanted)}: they are taken to be the same, in that order; see whether they are"
        )
        return images
    numbers = [wanted.index(name) for name in given]
    say_once(f"  {images.name}: its classes are numbered as those of {graph.name}, by their names")
    labels = [numbers[label] for label in images.labels]
    return dataclasses.replace(images, labels=labels, class_names=wanted)


def _a_few(names: list[str]) -> str:
    return ", ".join(names[:3]) + ", …" * (len(names) > 3)


def _different(images: ImageSet) -> ImageSet:
    """Photos, each content once, as verdicts take them to be independent; UserError where they are
    all the same."""
    first: dict[str, int] = {}
    for row, digest in enumerate(images.hashes):
        first.setdefault(digest or str(row), row)  # what cannot be read is named later
    left = len(first)
    if left == 1 < len(images):
        raise UserError(
            f"{images.name}: all {len(images)} photos are the same, so they decide nothing; give "
            "different ones: DATA=folder"
        )
    if left == len(images):
        return images
    say_once(
        f"  {images.name}: {len(images) - left} of {len(images)} photos are there already under "
        "another name, and count once"
    )
    return images.take(sorted(first.values()))
