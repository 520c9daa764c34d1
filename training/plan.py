"""What a training is to be: all that decides its outcome but the weights it starts from."""

import dataclasses
import functools
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np

from common import files
from common.errors import UserError
from data.images import ImageSet
from models.registry import ModelSpec
from models.split import Split
from training.division import Division, divide
from training.recipes import Recipe, learning_rate, recipe

# What a seed is for: no two share their random numbers.
ORDER, PHOTO, MIX, DROPOUT = range(4)
_NAMED_IN_ERRORS = 5
_FEW_STEPS = 10  # in an epoch: with fewer a recipe's epochs are not enough to learn much
_LEAST_BATCH = 4  # below it a batch's own statistics mean little to BatchNorm


@dataclass(frozen=True)
class Plan:
    """Everything that decides the outcome of a training, but for the weights that it starts from.

    `recipe.batch` photos go through each of `devices` devices in a step.
    """

    spec: ModelSpec
    recipe: Recipe
    division: Division
    seed: int = 0
    limit_steps: int | None = None  # in an epoch
    devices: int = 1
    skip_bad: bool = False

    @property
    def training(self) -> ImageSet:
        return self.division.training

    @property
    def validation(self) -> ImageSet:
        return self.division.held_out

    @property
    def classes(self) -> int:
        return self.division.classes

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
            for path, label in zip(images.paths, images.truth, strict=True)
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


def few_steps(plan: Plan) -> str:
    """What to do about a batch so large that an epoch has hardly a step; "" where it is not.

    The learning rate that is advised is the published one in proportion to the batch (Goyal et
    al., "Accurate, Large Minibatch SGD", 2017).
    """
    photos, batch = len(plan.training), plan.recipe.batch
    while batch > _LEAST_BATCH and photos < _FEW_STEPS * batch * plan.devices:
        batch = max(_LEAST_BATCH, batch // 2)
    if plan.steps >= _FEW_STEPS or plan.limit_steps or batch == plan.recipe.batch:
        return ""
    published = recipe(plan.spec.name)
    devices = plan.devices / published.devices if published.devices else 1
    lr = max(published.lr) * devices * batch / published.batch
    count = "one step" if plan.steps == 1 else f"{plan.steps} steps"
    return (
        f"{photos} photos: {count} an epoch at BATCH={plan.recipe.batch}, so little is learnt; "
        f"BATCH={batch} LR={lr:.2g} takes {photos // (batch * plan.devices)}"
    )


def open_division(
    source: str, photos: int | None = None, *, seed: int = 0, before: Split | None = None
) -> Division:
    """The photos to train on and those to judge by.

    `photos`, `seed` and `before` are for `divide`: with `photos` no more than so many of each, or
    of all where the source does not say which are which.

    Raises UserError where one of the two is not there, or there is nothing to tell apart.
    """
    division = divide(source, seed=seed, most=(photos, photos), before=before)
    images, classes = division.images, division.classes
    if classes < 2:
        raise UserError(f"{images.name} has photos of one class only; give at least two classes")
    counts = Counter(division.training.truth)
    empty = [label for label in range(classes) if not counts[label]]
    if empty:
        names = images.class_names or [str(label) for label in range(classes)]
        named = ", ".join(names[label] for label in empty[:_NAMED_IN_ERRORS])
        more = ", …" if len(empty) > _NAMED_IN_ERRORS else ""
        raise UserError(
            f"{images.name}: no photos to train on for {len(empty)} of {classes} classes: "
            f"{named}{more}; add photos, or take those classes out and number the others anew"
        )
    return division
