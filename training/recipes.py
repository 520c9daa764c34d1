"""How each model was trained, as published, and the learning rate that follows from it.

The figures are in `recipes.toml`; here is what they mean.
"""

import dataclasses
import functools
import math
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

from common.errors import UserError, suggest
from models.registry import MODELS
from training.augmentation import Augmentation

_FILE = Path(__file__).with_name("recipes.toml")


@dataclass(frozen=True)
class Recipe:
    """One published way to train a model on ImageNet-1k.

    Epochs may be fractions once a recipe is shortened. `batch` is per device.
    """

    epochs: int
    batch: int
    lr: tuple[float, ...]  # at the start (after the warm-up); with steps, one more for each
    weight_decay: float  # momentum: an L2 term in the gradient; adamw: decoupled from it
    schedule: Literal["step", "cosine"]
    optimizer: Literal["momentum", "adamw"]
    momentum: float
    crop: int  # pixels
    interpolation: str
    library: str
    decay_epochs: tuple[float, ...] = ()  # where the steps are
    min_lr: float = 0.0  # where the cosine ends
    warmup_epochs: float = 0.0
    warmup_start_lr: float = 0.0
    devices: int | None = None  # that `lr` is meant for, where more or fewer change it
    betas: tuple[float, float] = (0.9, 0.999)
    epsilon: float = 1e-8
    no_decay: tuple[str, ...] = ()  # patterns of parameters' names that no weight decay touches
    label_smoothing: float = 0.0
    mixup: float = 0.0  # alpha of the Beta distribution; 0: none
    cutmix: float = 0.0  # likewise
    switch_probability: float = 0.0  # of cutmix instead of mixup, for a batch
    drop_path: float = 0.0  # of the last block; 0 in the first, growing evenly between
    auto_augment: str | None = None  # the policy's name
    rand_augment: tuple[float, float] | None = None  # magnitude out of 10, standard deviation
    random_erasing: float = 0.0  # probability

    @property
    def augmentation(self) -> Augmentation:
        """What happens to a single photo."""
        shared = {field.name for field in dataclasses.fields(Augmentation)}
        return Augmentation(**{name: getattr(self, name) for name in shared})

    def shortened(self, epochs: int) -> Self:
        """The same curve of the learning rate over another number of epochs."""
        factor = epochs / self.epochs
        return dataclasses.replace(
            self,
            epochs=epochs,
            decay_epochs=tuple(epoch * factor for epoch in self.decay_epochs),
            warmup_epochs=self.warmup_epochs * factor,
        )

    def with_lr(self, lr: float) -> Self:
        """The same curve with another height, which no number of devices changes."""
        factor = lr / self.lr[0]
        return dataclasses.replace(
            self,
            lr=(float(lr), *(later * factor for later in self.lr[1:])),
            min_lr=self.min_lr * factor,
            warmup_start_lr=self.warmup_start_lr * factor,
            devices=None,
        )


def recipe(model: str) -> Recipe:
    """The recipe of a model; an unknown name raises UserError with the closest ones."""
    if model not in MODELS:
        raise UserError(f"unknown model '{model}': {suggest(model, MODELS)}")
    tables = _tables()
    entry = dict(tables[model])
    inherited = tables[entry.pop("like")] if "like" in entry else {}
    fields = tables["defaults"] | inherited | entry
    return Recipe(**{name: _frozen(value) for name, value in fields.items()})


def learning_rate(recipe: Recipe, step: int, steps_per_epoch: int, devices: int = 1) -> float:
    """The learning rate of a step, counted from 0 over the whole training.

    Steps: as many epochs in, so many decays. Cosine: Loshchilov and Hutter, "SGDR" (2017), one
    period from the end of the warm-up, which is linear, to the end of the last epoch.
    """
    scale = devices / recipe.devices if recipe.devices else 1.0
    epoch = step / steps_per_epoch
    if epoch < recipe.warmup_epochs:
        share = epoch / recipe.warmup_epochs
        lr = recipe.warmup_start_lr + share * (recipe.lr[0] - recipe.warmup_start_lr)
    elif recipe.schedule == "step":
        lr = recipe.lr[sum(epoch >= boundary for boundary in recipe.decay_epochs)]
    else:
        share = (epoch - recipe.warmup_epochs) / (recipe.epochs - recipe.warmup_epochs)
        lr = recipe.min_lr + (recipe.lr[0] - recipe.min_lr) * (1 + math.cos(math.pi * share)) / 2
    return scale * lr


@functools.cache
def _tables() -> dict[str, dict]:
    return tomllib.loads(_FILE.read_text())


def _frozen(value):
    return tuple(value) if isinstance(value, list) else value
