"""The known ways to prepare a photo wrongly, each as what comes out of it.

Who prepares photos decides which there are: a server that takes photo files can do everything
wrong, one that takes the network's input only what it does to that.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from data.preprocess import Preprocess

if TYPE_CHECKING:
    from collections.abc import Sequence

COLOUR, SIZE, VALUES = "colour", "size", "values"
_IMAGENET = Preprocess()


@dataclass(frozen=True)
class Mistake:
    """One mistake: of which part of the preprocess it is, what it is called, and what it does.

    For photos a SIZE takes and gives pixels, uint8 RGB [H, W, 3] → [S, S, 3]; a COLOUR crops; a
    VALUES gives the input float32 [3, S, S] of a crop. For inputs all take and give
    float32 [N, 3, S, S].
    """

    part: str
    words: str
    apply: Callable[[np.ndarray], np.ndarray]


Mistakes = tuple[Mistake, ...]


def singles(mistakes: Sequence[Mistake]) -> list[Mistakes]:
    """Each alone."""
    return [(one,) for one in mistakes]


def pairs(mistakes: Sequence[Mistake]) -> list[Mistakes]:
    """Any two of different parts."""
    both = itertools.combinations(mistakes, 2)
    return [(one, other) for one, other in both if one.part != other.part]


def of_photos(preprocess: Preprocess) -> list[Mistake]:
    """Those of a server that takes photo files and should prepare them so."""
    return [
        Mistake(COLOUR, "BGR for RGB", lambda crop: crop[:, :, ::-1]),
        *_sizes(preprocess),
        *_values(preprocess),
    ]


def prepared(rgb: np.ndarray, preprocess: Preprocess, made: Mistakes) -> np.ndarray:
    """The input float32 [3, S, S] of a photo, uint8 RGB [H, W, 3], with these mistakes."""
    by_part = {one.part: one.apply for one in made}
    crop = by_part.get(SIZE, preprocess.crop_photo)(rgb)
    crop = by_part.get(COLOUR, np.asarray)(crop)
    crop = np.ascontiguousarray(crop)
    return by_part.get(VALUES, lambda one: preprocess.normalize(one[None])[0])(crop)


def of_inputs(preprocess: Preprocess) -> list[Mistake]:
    """Those of a server that takes the network's input, prepared so, and changes it."""
    mean, std = (np.array(one, np.float32)[:, None, None] for one in _moments(preprocess))
    return [
        Mistake(COLOUR, "BGR for RGB", lambda batch: batch[:, ::-1]),
        Mistake(SIZE, "channels last for channels first", _as_channels_last),
        Mistake(SIZE, "height and width exchanged", lambda batch: batch.transpose(0, 1, 3, 2)),
        Mistake(VALUES, "normalised once more", lambda batch: (batch - mean) / std),
        Mistake(
            VALUES,
            "divided by 255 and normalised once more",
            lambda batch: (batch / np.float32(255) - mean) / std,
        ),
        Mistake(VALUES, "divided by 255 once more", lambda batch: batch / np.float32(255)),
        Mistake(VALUES, "normalisation undone (0 … 1)", lambda batch: batch * std + mean),
        Mistake(
            VALUES,
            "normalisation undone (0 … 255)",
            lambda batch: (batch * std + mean) * np.float32(255),
        ),
    ]


def received(batch: np.ndarray, made: Mistakes) -> np.ndarray:
    """The input float32 [N, 3, S, S] that these mistakes make of one."""
    for one in made:
        batch = np.ascontiguousarray(one.apply(batch))
    return batch


def _as_channels_last(batch: np.ndarray) -> np.ndarray:
    count, channels, height, width = batch.shape
    return batch.reshape(count, height, width, channels).transpose(0, 3, 1, 2)


def _sizes(preprocess: Preprocess) -> Iterator[Mistake]:
    side, short = preprocess.crop, preprocess.resize_short
    stretch = functools.partial(_stretched, preprocess)
    yield Mistake(
        SIZE, f"stretched to {side}x{side}, no centre crop", lambda rgb: stretch(rgb, side)
    )
    if short != side:
        yield Mistake(
            SIZE,
            f"stretched to {short}x{short} before the centre crop",
            lambda rgb: _centre(stretch(rgb, short), side),
        )
    # 256 is ImageNet's, 232 torchvision's newer one, 7/8 and 9/10 are timm's.
    shorts = dict.fromkeys((side, 256, 232, round(side / 0.875), round(side / 0.9)))
    for other in shorts:
        if other != short and other >= side:
            changed = _with(preprocess, resize_short=other)
            yield Mistake(SIZE, f"short side {other} for {short}", changed.crop_photo)
    right = preprocess.library, preprocess.interpolation
    for library, interpolation in itertools.product(("opencv", "pillow"), ("bilinear", "bicubic")):
        if (library, interpolation) != right:
            changed = _with(preprocess, library=library, interpolation=interpolation)
            words = f"{_NAMES[library]} {interpolation} for {_NAMES[right[0]]} {right[1]}"
            yield Mistake(SIZE, words, changed.crop_photo)
    yield Mistake(SIZE, "nearest pixels for " + right[1], functools.partial(_nearest, preprocess))
    yield Mistake(
        SIZE, "the upper left corner for the centre", functools.partial(_corner, preprocess)
    )


_NAMES = {"opencv": "OpenCV's", "pillow": "Pillow's"}


def _values(preprocess: Preprocess) -> Iterator[Mistake]:
    mean, std = (np.array(one, np.float32)[:, None, None] for one in _moments(preprocess))

    def of(change: Callable[[np.ndarray], np.ndarray]) -> Callable[[np.ndarray], np.ndarray]:
        return lambda crop: change(crop.transpose(2, 0, 1).astype(np.float32))

    scale = np.float32(1 / 255)
    yield Mistake(VALUES, "no normalisation (0 … 255)", of(lambda raw: raw))
    yield Mistake(VALUES, "no mean and deviation (0 … 1)", of(lambda raw: raw * scale))
    yield Mistake(VALUES, "mean and deviation of 0.5 (-1 … 1)", of(lambda raw: 2 * raw * scale - 1))
    yield Mistake(VALUES, "no division by 255", of(lambda raw: (raw - mean) / std))
    yield Mistake(VALUES, "no deviation", of(lambda raw: raw * scale - mean))
    yield Mistake(VALUES, "mean subtracted, but 0 … 255", of(lambda raw: raw - 255 * mean))
    yield Mistake(
        VALUES, "normalised twice", of(lambda raw: ((raw * scale - mean) / std - mean) / std)
    )
    if _moments(preprocess) != _moments(_IMAGENET):
        usual = _IMAGENET.normalize
        yield Mistake(VALUES, "ImageNet's mean and deviation", lambda crop: usual(crop[None])[0])


def _moments(preprocess: Preprocess) -> tuple[tuple[float, ...], tuple[float, ...]]:
    return preprocess.mean, preprocess.std


def _with(preprocess: Preprocess, **changes: object) -> Preprocess:
    return Preprocess.from_json({**preprocess.to_json(), **changes})


def _stretched(preprocess: Preprocess, rgb: np.ndarray, side: int) -> np.ndarray:
    return preprocess.resize(rgb, (side, side))


def _centre(pixels: np.ndarray, side: int) -> np.ndarray:
    top, left = ((size - side) // 2 for size in pixels.shape[:2])
    return pixels[top : top + side, left : left + side]


def _nearest(preprocess: Preprocess, rgb: np.ndarray) -> np.ndarray:
    import cv2

    resized = cv2.resize(rgb, preprocess.resized_size(rgb), interpolation=cv2.INTER_NEAREST)
    return _centre(resized, preprocess.crop)


def _corner(preprocess: Preprocess, rgb: np.ndarray) -> np.ndarray:
    return preprocess.resize(rgb, preprocess.resized_size(rgb))[
        : preprocess.crop, : preprocess.crop
    ]
