"""Others' lists of operators that prepare a photo, as a `Preprocess`.

PaddleClas (`ppcls/data/preprocess/ops/operators.py`) has DecodeImage, ResizeImage, CropImage,
NormalizeImage and ToCHWImage; PaddleX 1 and 2 (`paddlex/transforms`) have ResizeByShort, CenterCrop
and Normalize for the same. What a `Preprocess` cannot say is an error, never a guess.
"""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from common.errors import UserError
from data.preprocess import Preprocess

_LARGEST = 4096  # pixels of a side
_CHANNELS = 3
_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_FRACTION = re.compile(rf"\s*({_NUMBER})\s*(?:/\s*({_NUMBER})\s*)?")
_LIBRARIES = {"cv2": "opencv", "pil": "pillow"}
# By word, and by the numbers that OpenCV and Pillow give them.
_INTERPOLATIONS: dict[str, dict[object, str]] = {
    "opencv": {1: "bilinear", 2: "bicubic"},
    "pillow": {2: "bilinear", 3: "bicubic"},
}
_WORDS = {"bilinear": "bilinear", "linear": "bilinear", "bicubic": "bicubic", "cubic": "bicubic"}
_NEUTRAL = ("DecodeImage", "ReadImage", "ToCHWImage", "ToBatch")
_RESIZES = ("ResizeImage", "ResizeByShort")
_CROPS = ("CropImage", "CenterCrop")
_NORMALIZES = ("NormalizeImage", "Normalize")
_ORDER = (_RESIZES, _CROPS, _NORMALIZES)


class _Operator:
    """One of the list: its name and what it was given; errors name both and the file."""

    def __init__(self, where: str, name: str, given: Mapping[Any, Any]):
        self._where, self.name, self._given = where, name, given

    def error(self, fault: str) -> UserError:
        return UserError(f"{self._where}: {self.name}: {fault}")

    def get(self, *names: str, default: Any = None) -> Any:
        """The value of the first of these names that is given, and is not null."""
        found = (self._given[name] for name in names if self._given.get(name) is not None)
        return next(found, default)

    def side(self, *names: str, default: int | None = None) -> int:
        """A number of pixels, or two that are the same."""
        value = self.get(*names, default=default)
        if isinstance(value, list) and len(value) in (1, 2) and value[0] == value[-1]:
            value = value[0]
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= _LARGEST:
            raise self.error(
                f"{names[0]} is {_said(value)}, not a side of 1 to {_LARGEST} pixels (or two equal)"
            )
        return value

    def channels(self, name: str, default: Sequence[float]) -> list[float]:
        """Three finite numbers."""
        value = self.get(name, default=default)
        if not (isinstance(value, Sequence) and not isinstance(value, str)):
            raise self.error(f"{name} is {_said(value)}, not {_CHANNELS} numbers")
        numbers = [self._number(name, one) for one in value]
        if len(numbers) != _CHANNELS:
            raise self.error(f"{name} has {len(numbers)} numbers, not one for each of R, G and B")
        return numbers

    def scale(self) -> float:
        """What pixels are multiplied by: a number, or a fraction in words, such as 1.0/255.0."""
        value = self.get("scale", default=1 / 255)
        if isinstance(value, str) and (match := _FRACTION.fullmatch(value)):
            divisor = float(match[2] or 1)
            value = float(match[1]) / divisor if divisor else value
        number = self._number("scale", value)
        if number <= 0:
            raise self.error(f"scale is {_said(value)}, not above 0")
        return number

    def _number(self, name: str, value: object) -> float:
        if isinstance(value, int | float) and not isinstance(value, bool):
            number = float(value) if abs(value) < 1e30 else math.nan
            if math.isfinite(number):
                return number
        raise self.error(f"{name} has {_said(value)}, which is no number to compute with")


def preprocess_of(operators: object, where: str) -> Preprocess:
    """The preprocess that a list of operators describes; `where` names the list in errors.

    Each operator is a dict of its name and its arguments, or has its name under `type`. Raises
    UserError for what is malformed, and for what is not done here: photos that are stretched,
    another interpolation, BGR, a fourth channel, operators of another kind.
    """
    found: dict[tuple[str, ...], _Operator] = {}
    for operator in _operators(operators, where):
        group = next((names for names in _ORDER if operator.name in names), None)
        if group is None:
            _check_neutral(operator)
        elif group in found:
            raise operator.error("stands there twice")
        elif any(later in found for later in _ORDER[_ORDER.index(group) + 1 :]):
            raise operator.error(
                "comes too late: photos are resized, then cropped, then normalized"
            )
        else:
            found[group] = operator
    for group in _ORDER:
        if group not in found:
            raise UserError(f"{where} has no {' or '.join(group)}, which every model here takes")
    resize, crop, normalize = (found[group] for group in _ORDER)
    short, side = _short(resize), crop.side("size", "crop_size", default=224)
    if side > short:
        raise crop.error(f"{side} pixels do not fit into a short side of {short}")
    library = _library(resize)
    mean, std = _mean_and_std(normalize)
    return Preprocess(
        resize_short=short,
        crop=side,
        interpolation=_interpolation(resize, library),
        library=library,
        mean=mean,
        std=std,
    )


def _operators(operators: object, where: str) -> list[_Operator]:
    if not isinstance(operators, list):
        raise UserError(f"{where} is no list of operators, but {_said(operators)}")
    found = []
    for entry in operators:
        if isinstance(entry, str):
            entry = {entry: None}
        if isinstance(entry, dict) and "type" in entry:
            entry = {entry["type"]: {k: v for k, v in entry.items() if k != "type"}}
        if not isinstance(entry, dict) or len(entry) != 1:
            raise UserError(f"{where}: {_said(entry)} is no operator with its arguments")
        [(name, given)] = entry.items()
        if not isinstance(name, str) or not isinstance(given, dict | None):
            raise UserError(f"{where}: {_said(name)}: {_said(given)} is no operator's arguments")
        found.append(_Operator(where, name, given or {}))
    return found


def _check_neutral(operator: _Operator) -> None:
    """UserError for an operator that does more than to decode, or to lay a photo out."""
    if operator.name not in _NEUTRAL and not operator.name.startswith("Arrange"):
        remedy = "stretches photos, which" if operator.name == "Resize" else "is an operator that"
        raise operator.error(f"{remedy} is not done here")
    layout = str(operator.get("format", default="RGB")).upper()
    if operator.get("to_rgb", default=True) is not True or layout != "RGB":
        raise operator.error("the network takes BGR, and models here take RGB")


def _short(resize: _Operator) -> int:
    if resize.name == "ResizeImage" and resize.get("resize_short") is None:
        raise resize.error(
            f"size {_said(resize.get('size'))} stretches photos, which is not done here; photos "
            "keep their proportions (resize_short)"
        )
    longest = resize.get("max_size", default=-1)
    if not isinstance(longest, int) or longest > 0:
        raise resize.error(f"max_size is {_said(longest)}, and the long side is not bounded here")
    return resize.side("resize_short", "short_size", "target_short_edge", default=256)


def _library(resize: _Operator) -> str:
    word = resize.get("backend", default="cv2")
    if not isinstance(word, str) or word.lower() not in _LIBRARIES:
        raise resize.error(f"backend is {_said(word)}, not {' or '.join(_LIBRARIES)}")
    return _LIBRARIES[word.lower()]


def _interpolation(resize: _Operator, library: str) -> str:
    word = resize.get("interpolation", "interp", default="bilinear")
    known = _WORDS if isinstance(word, str) else _INTERPOLATIONS[library]
    key = word.lower() if isinstance(word, str) else word
    if isinstance(key, bool) or not isinstance(key, str | int) or key not in known:
        raise resize.error(f"interpolation is {_said(word)}; bilinear and bicubic are done here")
    return known[key]  # type: ignore[index] # a key of one of the two


def _mean_and_std(
    normalize: _Operator,
) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
    """Mean and deviation of values scaled to 0..1, whatever theirs are of.

    PaddleClas computes (x · scale - mean) / std, PaddleX ((x - min) / (max - min) - mean) / std,
    without the division where `is_scale` is false; x is 0..255. With u = 255 · scale, or 255 / (max
    - min), both are (x / 255 - min / 255 - mean / u) / (std / u).
    """
    if normalize.get("channel_num", default=_CHANNELS) != _CHANNELS:
        raise normalize.error(
            f"channel_num is {_said(normalize.get('channel_num'))}; models here have {_CHANNELS}"
        )
    means = normalize.channels("mean", Preprocess.mean)
    deviations = normalize.channels("std", Preprocess.std)
    if normalize.name == "NormalizeImage":
        lows, units = [0.0] * _CHANNELS, [255 * normalize.scale()] * _CHANNELS
    else:
        lows = normalize.channels("min_val", [0.0] * _CHANNELS)
        highs = normalize.channels("max_val", [255.0] * _CHANNELS)
        spans = [high - low for low, high in zip(lows, highs, strict=True)]
        if normalize.get("is_scale", default=True) is not True:
            spans = [1.0] * _CHANNELS
        if min(spans) <= 0:
            raise normalize.error("max_val is not above min_val")
        units = [255 / span for span in spans]
    if min(deviations) <= 0:
        raise normalize.error(f"std is {deviations}, not above 0")
    # Scales are written with few digits: 0.003922 means 1/255.
    units = [1.0 if abs(unit - 1) < 1e-3 else unit for unit in units]
    mean = tuple(
        _rounded(low / 255 + value / unit)
        for low, value, unit in zip(lows, means, units, strict=True)
    )
    std = tuple(_rounded(value / unit) for value, unit in zip(deviations, units, strict=True))
    return mean, std  # type: ignore[return-value] # three each


def _rounded(value: float) -> float:
    return float(f"{value:.9g}")


def _said(value: object) -> str:
    """A value from a file as it can be said in a line; what contains much by its kind only."""
    if isinstance(value, list) and len(value) < 5 and all(isinstance(n, int) for n in value):
        return f"[{', '.join(map(_said, value))}]"
    if isinstance(value, list | dict | tuple):
        return f"a {type(value).__name__} of {len(value)}"
    if value is None:
        return "missing"
    text = repr(value) if not isinstance(value, int) or abs(value) < 1 << 64 else "a huge number"
    return text if len(text) <= 60 else f"{text[:60]}…"
