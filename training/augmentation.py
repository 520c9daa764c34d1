"""What happens to photos in training: seeded functions on uint8 RGB, and on batches with targets.

Every function takes the random generator that it draws from; the same generator gives the same
result. Where the papers leave a choice open it is made as in PaddleClas.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from PIL.Image import Image

_ATTEMPTS = 10  # at a box that fits, before a fallback
_GREY = (124, 116, 104)  # ImageNet's mean colour, where a moved photo leaves a gap


@dataclass(frozen=True)
class Augmentation:
    """What is done to each photo on its own; the fields are those of `training.recipes.Recipe`."""

    crop: int = 224
    interpolation: str = "bilinear"
    library: str = "opencv"
    auto_augment: str | None = None
    rand_augment: tuple[float, float] | None = None
    random_erasing: float = 0.0

    def __post_init__(self):
        if self.auto_augment not in (None, "imagenet"):
            raise ValueError(f"auto_augment is {self.auto_augment!r}, not 'imagenet'")

    def __call__(self, rgb: np.ndarray, random: np.random.Generator) -> np.ndarray:
        """A photo, uint8 RGB [height, width, 3] → uint8 [crop, crop, 3]."""
        photo = random_resized_crop(rgb, self.crop, random, self.interpolation, self.library)
        photo = random_flip(photo, random)
        if self.auto_augment:
            photo = auto_augment(photo, random, self.interpolation)
        if self.rand_augment:
            photo = rand_augment(photo, random, *self.rand_augment, self.interpolation)
        if random.random() < self.random_erasing:
            photo = random_erasing(photo, random)
        return np.ascontiguousarray(photo)


# ---- position ----


def random_resized_crop(
    rgb: np.ndarray,
    side: int,
    random: np.random.Generator,
    interpolation: str = "bilinear",
    library: str = "opencv",
    area: tuple[float, float] = (0.08, 1.0),
    ratio: tuple[float, float] = (3 / 4, 4 / 3),
) -> np.ndarray:
    """A random box of a photo, scaled to a square: uint8 [height, width, 3] → [side, side, 3].

    Szegedy et al., "Going Deeper with Convolutions" (2014), section 6. `area` is the box's share
    of the photo, `ratio` its width over its height. Where no box fits: the largest in the middle.
    """
    height, width = rgb.shape[:2]
    box = _random_box(height, width, area, ratio, random)
    if box is None:
        rows = min(height, max(1, round(width / ratio[0])))
        columns = min(width, max(1, round(height * ratio[1])))
        box = (height - rows) // 2, (width - columns) // 2, rows, columns
    top, left, rows, columns = box
    return _resized(rgb[top : top + rows, left : left + columns], side, interpolation, library)


def _random_box(
    height: int,
    width: int,
    area: tuple[float, float],
    ratio: tuple[float, float],
    random: np.random.Generator,
) -> tuple[int, int, int, int] | None:
    """Top, left, rows and columns of a box in a photo; None where no attempt fits."""
    for _ in range(_ATTEMPTS):
        pixels = height * width * random.uniform(*area)
        shape = math.exp(random.uniform(math.log(ratio[0]), math.log(ratio[1])))
        rows, columns = round(math.sqrt(pixels / shape)), round(math.sqrt(pixels * shape))
        if 0 < rows <= height and 0 < columns <= width:
            top = int(random.integers(height - rows + 1))
            left = int(random.integers(width - columns + 1))
            return top, left, rows, columns
    return None


def _resized(rgb: np.ndarray, side: int, interpolation: str, library: str) -> np.ndarray:
    if library == "pillow":
        from PIL import Image

        return np.asarray(Image.fromarray(rgb).resize((side, side), _resampling(interpolation)))
    import cv2

    method = {"bilinear": cv2.INTER_LINEAR, "bicubic": cv2.INTER_CUBIC}[interpolation]
    return cv2.resize(rgb, (side, side), interpolation=method)


def random_flip(rgb: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """The photo, or in half of the cases its mirror image, left and right exchanged."""
    return rgb[:, ::-1] if random.random() < 0.5 else rgb


# ---- colour and shape, by policy ----

# An operation, the probability that it happens, and its level out of 9. A photo meets one of the
# pairs. Cubuk et al., "AutoAugment" (2018), table 9, which lists some pairs twice.
_IMAGENET_POLICY = (
    (("Posterize", 0.4, 8), ("Rotate", 0.6, 9)),
    (("Solarize", 0.6, 5), ("AutoContrast", 0.6, 5)),
    (("Equalize", 0.8, 8), ("Equalize", 0.6, 3)),
    (("Posterize", 0.6, 7), ("Posterize", 0.6, 6)),
    (("Equalize", 0.4, 7), ("Solarize", 0.2, 4)),
    (("Equalize", 0.4, 4), ("Rotate", 0.8, 8)),
    (("Solarize", 0.6, 3), ("Equalize", 0.6, 7)),
    (("Posterize", 0.8, 5), ("Equalize", 1.0, 2)),
    (("Rotate", 0.2, 3), ("Solarize", 0.6, 8)),
    (("Equalize", 0.6, 8), ("Posterize", 0.4, 6)),
    (("Rotate", 0.8, 8), ("Color", 0.4, 0)),
    (("Rotate", 0.4, 9), ("Equalize", 0.6, 2)),
    (("Equalize", 0.0, 7), ("Equalize", 0.8, 8)),
    (("Invert", 0.6, 4), ("Equalize", 1.0, 8)),
    (("Color", 0.6, 4), ("Contrast", 1.0, 8)),
    (("Rotate", 0.8, 8), ("Color", 1.0, 2)),
    (("Color", 0.8, 8), ("Solarize", 0.8, 7)),
    (("Sharpness", 0.4, 7), ("Invert", 0.6, 8)),
    (("ShearX", 0.6, 5), ("Equalize", 1.0, 9)),
    (("Color", 0.4, 0), ("Equalize", 0.6, 3)),
    (("Equalize", 0.4, 7), ("Solarize", 0.2, 4)),
    (("Solarize", 0.6, 5), ("AutoContrast", 0.6, 5)),
    (("Invert", 0.6, 4), ("Equalize", 1.0, 8)),
    (("Color", 0.6, 4), ("Contrast", 1.0, 8)),
    (("Equalize", 0.8, 8), ("Equalize", 0.6, 3)),
)


def auto_augment(
    rgb: np.ndarray, random: np.random.Generator, interpolation: str = "bilinear"
) -> np.ndarray:
    """Two operations out of the policy that was learnt on ImageNet; shape and type are kept."""
    pair = _IMAGENET_POLICY[random.integers(len(_IMAGENET_POLICY))]
    photo = _to_pillow(rgb)
    for name, probability, level in pair:
        if random.random() < probability:
            photo = _apply(_AUTO_AUGMENT[name], photo, level / 9, random, interpolation)
    return np.asarray(photo)


def rand_augment(
    rgb: np.ndarray,
    random: np.random.Generator,
    magnitude: float = 9,
    deviation: float = 0.5,
    interpolation: str = "bilinear",
) -> np.ndarray:
    """Two operations drawn from fifteen, each done in half of the cases; shape and type are kept.

    Cubuk et al., "RandAugment" (2019), in the form called `rand-m9-mstd0.5-inc1` in PaddleClas and
    timm: the magnitude, out of 10, is normally distributed, and more of it always changes more.
    """
    photo = _to_pillow(rgb)
    names = list(_RAND_AUGMENT)
    for index in random.integers(len(names), size=2):
        if random.random() < 0.5:
            strength = min(max(random.normal(magnitude, deviation), 0), 10) / 10
            photo = _apply(_RAND_AUGMENT[names[index]], photo, strength, random, interpolation)
    return np.asarray(photo)


@dataclass(frozen=True)
class _Operation:
    """`apply(photo, amount, resampling)`, where `amount` follows from the strength, 0 to 1."""

    apply: Callable
    amount: Callable[[float], float] = lambda strength: strength
    signed: bool = False  # the amount is as often negative


def _apply(
    operation: _Operation,
    photo: Image,
    strength: float,
    random: np.random.Generator,
    interpolation: str,
) -> Image:
    amount = operation.amount(strength)
    if operation.signed and random.random() < 0.5:
        amount = -amount
    return operation.apply(photo, amount, _resampling(interpolation))


def _simple(name: str) -> _Operation:
    """An operation of PIL.ImageOps that has no amount."""

    def apply(photo, _amount, _resampling):
        from PIL import ImageOps

        return getattr(ImageOps, name)(photo)

    return _Operation(apply)


def _enhance(name: str) -> _Operation:
    """A factor of 0.1 to 1.9 on one quality of the photo, by PIL.ImageEnhance."""

    def apply(photo, amount, _resampling):
        from PIL import ImageEnhance

        return getattr(ImageEnhance, name)(photo).enhance(max(0.1, 1 + amount))

    return _Operation(apply, lambda strength: 0.9 * strength, signed=True)


def _posterize(photo, bits, _resampling):
    return photo.point(lambda value: value & (0xFF00 >> int(bits)) & 0xFF)


def _solarize(photo, inverted, _resampling):
    """Invert the values of 256 - `inverted` and above."""
    return photo.point(lambda value: 255 - value if value >= 256 - int(inverted) else value)


def _solarize_add(photo, added, _resampling):
    """Make the darker half of the values lighter."""
    return photo.point(lambda value: min(255, value + int(added)) if value < 128 else value)


def _rotate(photo, degrees, resampling):
    return photo.rotate(degrees, resampling, fillcolor=_GREY)


def _shear(along_x: bool) -> _Operation:
    def apply(photo, slope, resampling):
        matrix = (1, slope, 0, 0, 1, 0) if along_x else (1, 0, 0, slope, 1, 0)
        return _moved(photo, matrix, resampling)

    return _Operation(apply, lambda strength: 0.3 * strength, signed=True)


def _translate(along_x: bool) -> _Operation:
    """Move by up to 0.45 of the photo's size."""

    def apply(photo, share, resampling):
        shift = share * (photo.width if along_x else photo.height)
        matrix = (1, 0, shift, 0, 1, 0) if along_x else (1, 0, 0, 0, 1, shift)
        return _moved(photo, matrix, resampling)

    return _Operation(apply, lambda strength: 0.45 * strength, signed=True)


def _moved(photo, matrix, resampling):
    from PIL import Image

    return photo.transform(photo.size, Image.Transform.AFFINE, matrix, resampling, fillcolor=_GREY)


_SHARED = {
    "AutoContrast": _simple("autocontrast"),
    "Equalize": _simple("equalize"),
    "Invert": _simple("invert"),
    "Rotate": _Operation(_rotate, lambda strength: 30 * strength, signed=True),
    "Solarize": _Operation(_solarize, lambda strength: 256 * strength),
    "Color": _enhance("Color"),
    "Contrast": _enhance("Contrast"),
    "Brightness": _enhance("Brightness"),
    "Sharpness": _enhance("Sharpness"),
    "ShearX": _shear(along_x=True),
}
# They differ in how many bits posterizing keeps, and RandAugment has four more.
_AUTO_AUGMENT = _SHARED | {
    "Posterize": _Operation(_posterize, lambda strength: 8 - round(4 * strength)),
}
_RAND_AUGMENT = _SHARED | {
    "Posterize": _Operation(_posterize, lambda strength: 4 - int(4 * strength)),
    "SolarizeAdd": _Operation(_solarize_add, lambda strength: 110 * strength),
    "ShearY": _shear(along_x=False),
    "TranslateX": _translate(along_x=True),
    "TranslateY": _translate(along_x=False),
}


def _to_pillow(rgb: np.ndarray) -> Image:
    from PIL import Image

    return Image.fromarray(np.ascontiguousarray(rgb))


def _resampling(interpolation: str):
    from PIL import Image

    return Image.Resampling[interpolation.upper()]


# ---- erasing ----


def random_erasing(
    rgb: np.ndarray,
    random: np.random.Generator,
    area: tuple[float, float] = (0.02, 1 / 3),
    ratio: tuple[float, float] = (0.3, 1 / 0.3),
) -> np.ndarray:
    """A copy of a photo with noise in a random box; the photo itself where no box fits.

    Zhong et al., "Random Erasing Data Augmentation" (2017), with random values. `area` is the
    box's share of the photo, `ratio` its width over its height.
    """
    height, width = rgb.shape[:2]
    box = _random_box(height, width, area, ratio, random)
    if box is None:
        return rgb
    top, left, rows, columns = box
    erased = rgb.copy()
    noise = random.integers(0, 256, (rows, columns, 3), np.uint8)
    erased[top : top + rows, left : left + columns] = noise
    return erased


# ---- batches ----


def soft_targets(labels: np.ndarray, classes: int, smoothing: float = 0.0) -> np.ndarray:
    """Labels, int [N] → probabilities, float32 [N, classes], each row's sum 1.

    Szegedy et al., "Rethinking the Inception Architecture" (2015), section 7: a share of
    `smoothing` is spread over all classes evenly.
    """
    targets = np.full((len(labels), classes), smoothing / classes, np.float32)
    targets[np.arange(len(labels)), labels] += 1 - smoothing
    return targets


def mixup(
    batch: np.ndarray, targets: np.ndarray, alpha: float, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Blend each photo with another of the batch: float32 [N, 3, S, S] and [N, classes], the same.

    Zhang et al., "mixup: Beyond Empirical Risk Minimization" (2017). One share for the batch.
    """
    share = np.float32(random.beta(alpha, alpha))
    other = random.permutation(len(batch))
    return _blend(batch, batch[other], share), _blend(targets, targets[other], share)


def cutmix(
    batch: np.ndarray, targets: np.ndarray, alpha: float, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Put a box of another photo of the batch into each: [N, 3, S, S] and [N, classes], the same.

    Yun et al., "CutMix" (2019). One box for the batch; targets blend by the area it really has.
    """
    height, width = batch.shape[2:]
    side = math.sqrt(1 - random.beta(alpha, alpha))
    rows, columns = int(height * side), int(width * side)
    middle = int(random.integers(height)), int(random.integers(width))
    top, bottom = (min(max(middle[0] + edge, 0), height) for edge in (-(rows // 2), rows // 2))
    left, right = (min(max(middle[1] + edge, 0), width) for edge in (-(columns // 2), columns // 2))
    other = random.permutation(len(batch))
    mixed = batch.copy()
    mixed[:, :, top:bottom, left:right] = batch[other, :, top:bottom, left:right]
    share = np.float32(1 - (bottom - top) * (right - left) / (height * width))
    return mixed, _blend(targets, targets[other], share)


def _blend(one: np.ndarray, other: np.ndarray, share: np.float32) -> np.ndarray:
    return share * one + (1 - share) * other


def mix(
    batch: np.ndarray,
    targets: np.ndarray,
    random: np.random.Generator,
    mixup_alpha: float,
    cutmix_alpha: float,
    switch_probability: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Mixup or CutMix, as a recipe has them (alpha 0: it has not): one of the two per batch.

    With both, CutMix comes with `switch_probability`.
    """
    if mixup_alpha and cutmix_alpha:
        cut = random.random() < switch_probability
    else:
        cut = bool(cutmix_alpha)
    if cut:
        return cutmix(batch, targets, cutmix_alpha, random)
    return mixup(batch, targets, mixup_alpha, random) if mixup_alpha else (batch, targets)
