"""What a training is to be: all that decides its outcome but the weights it starts from."""

import dataclasses
import functools
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from common import files
from common.errors import UserError
from data.images import ImageSet
from models.registry import ModelSpec
from training.recipes import Recipe, learning_rate

# What a seed is for: no two share their random numbers.
ORDER, PHOTO, MIX, DROPOUT = range(4)
_NAMED_IN_ERRORS = 5


@dataclass(frozen=True)
class Plan:
    """Everything that decides the outcome of a training, but for the weights that it starts from.

    `recipe.batch` photos go through each of `devices` devices in a step.
    """

    spec: ModelSpec
    recipe: Recipe
    training: ImageSet
    validation: ImageSet
    classes: int
    seed: int = 0
    limit_steps: int | None = None  # in an epoch
    devices: int = 1
    skip_bad: bool = False

    @property
    def batch(self) -> int:
        """Photos per device and step: the recipe's, or all there are where those are fewer."""
        return max(1, min(self.recipe.batch, len(self.training) // self.devices))

    @property
    def steps(self) -> int:
        """Steps in an epoch. What does not fill a step is left out, in each epoch other photos."""
        whole = max(1, len(self.training) // (self.batch * self.devices))
        return min(whole, self.limit_steps or whole)

    def lr(self, step: int) -> float:
        """The learning rate of a step, counted over the whole training."""
        return learning_rate(self.recipe, step, self.steps, self.devices)

    def random(self, purpose: int, *place: int) -> np.random.Generator:
        """The random numbers for one purpose at one place (an epoch, and what of it)."""
        return np.random.default_rng([purpose, self.seed, *place])

    @functools.cached_property
    def identity(self) -> dict[str, Any]:
        """What must be the same for a training to be the same, as plain values."""
        named = [
            [path.name, label]
            for images in (self.training, self.validation)
            for path, label in zip(images.paths, images.labels, strict=True)
        ]
        return {
            "model": self.spec.name,
            "classes": self.classes,
            "photos": files.sha256_of(list(map(str, named))),
            "seed": self.seed,
            "devices": self.devices,
            "steps": self.steps,
            **dataclasses.asdict(self.recipe),
        }


def open_splits(source: str, photos: int | None = None) -> tuple[ImageSet, ImageSet, int]:
    """The photos to train on, those to judge by, and the number of classes.

    With `photos` no more than so many of each, evenly spread.

    Raises UserError where one of the two is not there, or there is nothing to tell apart.
    """
    if Path(source).is_file():
        raise UserError(
            f"{source} is a file; give the folder, with train_list.txt and val_list.txt in it, so "
            "that no photo is both trained on and judged by"
        )
    training = ImageSet.open(source, class_num=None, split="train")
    classes = len(training.class_names or range(max(training.labels) + 1))
    if classes < 2:
        raise UserError(f"{training.name} has photos of one class only; give at least two classes")
    validation = ImageSet.open(source, class_num=classes, split="val")
    if photos:
        training, validation = training.spread(photos), validation.spread(photos)
    counts = Counter(training.labels)
    empty = [label for label in range(classes) if not counts[label]]
    if empty:
        names = training.class_names or [str(label) for label in range(classes)]
        named = ", ".join(names[label] for label in empty[:_NAMED_IN_ERRORS])
        more = ", …" if len(empty) > _NAMED_IN_ERRORS else ""
        raise UserError(
            f"{training.name}: no photos to train on for {len(empty)} of {classes} classes: "
            f"{named}{more}; add photos, or take those classes out and number the others anew"
        )
    return training, validation, classes
