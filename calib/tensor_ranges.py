"""The range of each tensor that an INT8 file rounds, to be looked at: `tensors.json` beside it.

The histograms of the pass over the photos are large, and those of the latest photos take their
place. This file is small, belongs to the INT8 artifact, and is kept with it.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from calib.ranges import Ranges
from common import files
from common.strict_json import STRICT, FormError, decode, encode, parse
from convert.artifact import Artifact

if TYPE_CHECKING:
    from calib.histogram import Histogram

FILE = "tensors.json"
SCHEMA = 1

_BINS = 64
_DIGITS = 6

Count = Annotated[int, Field(ge=0)]
Bounds = tuple[float, float]


@dataclass(frozen=True, kw_only=True, config=STRICT)
class TensorRange:
    """A tensor's range, its values on the photos, and what each method would have taken.

    `low` and `high` are what the integers cover; `methods` has those of `calib.methods` for the
    same integers. `counts` are the values in equal bins of which the first starts at `start`, each
    `width` wide; exact zeros are in none of them, and `zeros` is their share of all values.
    """

    low: float
    high: float
    methods: Mapping[str, Bounds]
    start: float
    width: Annotated[float, Field(gt=0)]
    counts: tuple[Count, ...]
    zeros: Annotated[float, Field(ge=0, le=1)]

    @property
    def given_by(self) -> list[str]:
        """The methods that give this range: several where they agree, in the order of `METHODS`."""
        return [name for name, bounds in self.methods.items() if bounds == (self.low, self.high)]


@dataclass(frozen=True, kw_only=True, config=STRICT)
class TensorRanges:
    """What an INT8 file rounds, in the order of the graph, and the layers that it leaves in float.

    Names are those of the model's ONNX file.
    """

    schema: Annotated[int, Field(ge=SCHEMA, le=SCHEMA)] = SCHEMA
    tensors: Mapping[str, TensorRange]
    layers: Count
    in_float: tuple[str, ...]


def write_tensor_ranges(
    folder: Path,
    ranges: Artifact,
    scope: Mapping[str, Bounds],
    *,
    symmetric: bool,
    layers: Sequence[str],
    in_int8: Collection[str],
    rounded: Iterable[str],
) -> None:
    """Write `tensors.json` of an INT8 file into its folder.

    `scope` has the ranges that it was made by, and more; `rounded` names the tensors that it
    rounds, in the order of the graph, `layers` all that could be in INT8, `in_int8` those that are.
    """
    measured = Ranges.load(ranges)
    found = TensorRanges(
        tensors={
            # What is lowered begins at zero; every other range is centred.
            name: _tensor_range(measured, name, scope[name], symmetric and scope[name][0] < 0)
            for name in dict.fromkeys(rounded)
        },
        layers=len(layers),
        in_float=tuple(name for name in layers if name not in in_int8),
    )
    files.write_json(folder / FILE, encode(found))


def read_tensor_ranges(path: Path) -> TensorRanges | None:
    """What such a file says; None where there is none, and FormError where it is another thing."""
    try:
        return decode(TensorRanges, parse(path.read_text()))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, UnicodeDecodeError):
        raise FormError("it cannot be read") from None


def _tensor_range(measured: Ranges, name: str, bounds: Bounds, symmetric: bool) -> TensorRange:
    from calib.methods import METHODS

    histogram = measured.histogram(name)
    first, per_bin, counts = _coarse(histogram)
    return TensorRange(
        low=_short(bounds[0]),
        high=_short(bounds[1]),
        methods={
            method: _both(measured.range_of(name, method, symmetric=symmetric))
            for method in METHODS
        },
        start=first * histogram.width,
        width=per_bin * histogram.width,
        counts=tuple(counts.tolist()),
        zeros=histogram.zeros / histogram.count,
    )


def _coarse(histogram: "Histogram") -> tuple[int, int, np.ndarray]:
    """At most `_BINS` bins over what is not zero: the first one's place in fine bins from zero, how
    many of those each has, and the counts int64 [bins]."""
    from calib.histogram import HALF

    counts = histogram.counts.copy()
    counts[HALF] -= histogram.zeros
    used = np.flatnonzero(counts)
    if not used.size:
        return 0, 1, counts[:0]
    first, last = int(used[0]), int(used[-1]) + 1
    per_bin = -(-(last - first) // _BINS)
    padded = np.zeros(-(-(last - first) // per_bin) * per_bin, np.int64)
    padded[: last - first] = counts[first:last]
    return first - HALF, per_bin, padded.reshape(-1, per_bin).sum(axis=1)


def _both(bounds: Bounds) -> Bounds:
    return _short(bounds[0]), _short(bounds[1])


def _short(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")
