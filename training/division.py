"""Which photos of a source train, and which are held out to judge by: never the same, by content.

A source that is split already (`train/` and `val/`, or a list for each) stays so. Of one that is
not, a tenth of each class is held out, by a seed.
"""

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from common import files
from common.console import say
from common.errors import UserError
from data.contents import Contents
from data.images import BUILT_IN, WHOLE, ImageSet, printable, splits_of
from models.split import HeldOutResult, Photos, Split

HELD_OUT_SHARE = 10  # one photo in so many …
MOST_HELD_OUT = 5000  # … and no more: that tells top-1 to ±1.4 points


@dataclass(frozen=True, eq=False)
class Division:
    """A set of photos, and its rows to train on and to judge by, int64; no photo is in both.

    `source` is where they lie, absolute, or the word of a built-in set.
    `trained_before` are photos that trained what the training starts from. `whole`: the source
    did not say which are which.
    """

    images: ImageSet
    source: str
    training_rows: np.ndarray
    held_out_rows: np.ndarray
    trained_before: Contents
    whole: bool = False

    @functools.cached_property
    def training(self) -> ImageSet:
        return self.images.take(self.training_rows)

    @functools.cached_property
    def held_out(self) -> ImageSet:
        return self.images.take(self.held_out_rows)

    @property
    def classes(self) -> int:
        names = self.images.class_names
        return len(names) if names else 1 + max(self.images.truth)

    @functools.cached_property
    def contents(self) -> tuple[Contents, Contents]:
        """The photos that train, or trained before, and those held out."""
        trained = Contents.of(self.training.hashes) | self.trained_before
        return trained, Contents.of(self.held_out.hashes)

    def split(
        self, checkpoint: Path, made_by: Literal["adapt", "train"], result: HeldOutResult
    ) -> Split:
        """What to keep beside a checkpoint that was trained so, and got this result."""
        trained, held_out = self.contents
        return Split(
            checkpoint=files.sha256(checkpoint),
            made_by=made_by,
            data=self.images.name,
            source=self.source,
            training=Photos.of(trained),
            held_out=Photos.of(held_out),
            result=result,
        )


def divide(
    source: str,
    *,
    seed: int = 0,
    most: tuple[int | None, int | None] = (None, None),
    before: Split | None = None,
) -> Division:
    """The photos at `source`, to train on and to judge by.

    `most`: of a source that is split no more than so many to train on and to judge by, of another
    no more than the first number in all; evenly spread. `before` is the split of the checkpoint
    that the training starts from: what trained that is not held out here, and of a source that is
    not split what was held out there is again. UserError where nothing is left to judge by.
    """
    place = source if source in BUILT_IN else printable(Path(source).absolute())
    known = (before.training.known, before.held_out.known) if before else (Contents.of([]),) * 2
    if splits_of(source) == (WHOLE,):
        images = ImageSet.open(source, None, WHOLE)
        images = images.spread(most[0]) if most[0] else images
        rows = _hold_out(images, seed, *known)
        return Division(images, place, *rows, known[0], whole=True)
    training = ImageSet.open(source, None, "train")
    classes = len(training.class_names or range(max(training.truth) + 1))
    judging = ImageSet.open(source, classes, "val")
    if training.class_names and judging.class_names not in (None, training.class_names):
        other = next(name for name in judging.class_names if name not in training.class_names)
        raise UserError(
            f"{judging.name}: '{other}' is a class to judge by and none to train on; write the "
            "classes' names into classes.txt, one a line"
        )
    if most[0] and most[1]:
        training, judging = training.spread(most[0]), judging.spread(most[1])
    return _apart(training, judging, place, known[0])


def hold_out(labels: np.ndarray, seed: int) -> np.ndarray:
    """Rows to hold out: one in ten of each class, at most MOST_HELD_OUT in all.

    Every tenth of a shuffled order, class by class, so no class is held out as a whole.
    """
    order = np.random.default_rng(seed).permutation(len(labels))
    order = order[np.argsort(np.asarray(labels)[order], kind="stable")]
    step = max(HELD_OUT_SHARE, -(-len(order) // MOST_HELD_OUT))
    return np.sort(order[step // 2 :: step])


def _hold_out(
    images: ImageSet, seed: int, trained: Contents, held_before: Contents
) -> tuple[np.ndarray, np.ndarray]:
    """Rows to train on and rows held out. Photos that are there twice are on one side only."""
    hashes = images.hashes
    first = {digest: row for row, digest in reversed(list(enumerate(hashes))) if digest}
    rows = np.array(sorted(first.values()), int)
    digests = [hashes[row] for row in rows]
    again = held_before.has(digests)
    free = np.flatnonzero(~again & ~trained.has(digests))
    chosen = free[hold_out(np.array(images.truth)[rows[free]], seed)]
    held_out = {digests[place] for place in (*chosen, *np.flatnonzero(again))}
    if not held_out:
        spent = len(rows) - len(free)
        others = f", and {spent} that trained what this starts from" if spent else ""
        raise UserError(
            f"{images.name}: too few different photos ({len(free)}{others}) to hold a tenth of "
            "them out and judge by it; add photos, or sort them into train/ and val/"
        )
    sides = np.array([digest in held_out for digest in hashes])
    return np.flatnonzero(~sides), np.flatnonzero(sides)


def _apart(training: ImageSet, judging: ImageSet, source: str, trained: Contents) -> Division:
    """Two sets as one, less the photos to judge by that train, or trained before."""
    seen = (Contents.of(training.hashes) | trained).has(judging.hashes)
    if seen.all():
        raise UserError(
            f"{judging.name}: all {len(judging)} photos to judge by are also trained on; give "
            "others (in val/, or in val_list.txt)"
        )
    if seen.any():
        say(
            f"  {judging.name}: {seen.sum()} of {len(judging)} photos to judge by are also trained "
            "on, and are left out"
        )
    kept = judging.take(np.flatnonzero(~seen))
    images = ImageSet(
        training.name,
        training.paths + kept.paths,
        training.truth + kept.truth,
        training.class_names,
        training.left_out | judging.left_out,
    )
    rows = np.arange(len(images))
    return Division(images, source, rows[: len(training)], rows[len(training) :], trained)
