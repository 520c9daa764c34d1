"""What INT8 files round, and by which ranges: the page's part on calibration."""

import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import markupsafe
import matplotlib as mpl
import numpy as np

from calib.kept import tensor_ranges
from calib.methods import METHODS
from calib.tensor_ranges import TensorRange, TensorRanges
from deploy.reports import drawing
from deploy.reports.runs import anchor, column, title
from deploy.verdict.result import Result

_ROW = 0.26  # inches
_GREY = 0.5  # of the histograms, on white and on black
_FAINT = 0.25  # of a bin with one value; an empty one has nothing
_HEIGHTS = np.linspace(-0.44, 0.28, len(METHODS) + 1)  # in a row: each method's marks, from above
_TAKEN = 0.38  # and below them the range that was taken


@dataclass(frozen=True)
class Calibrated:
    """A result in INT8 as the table shows it."""

    anchor: str
    title: str
    method: str
    weight_bits: int
    photos: str
    in_float: str


@dataclass(frozen=True)
class Ranges:
    """The ranges of files that round the same tensors alike, and what is said of them."""

    who: str
    said: str
    plot: markupsafe.Markup


def calibrated(results: Sequence[Result]) -> tuple[list[Calibrated], list[Ranges]]:
    """The results in INT8, and the ranges of those whose calibration is kept."""
    rows: list[Calibrated] = []
    groups: list[tuple[TensorRanges, list[Result]]] = []
    for one in results:
        if one.calibration is None:
            continue
        found = tensor_ranges(one.name, one.target, one.files or {})
        rows.append(_row(one, found))
        if found is None:
            continue
        for ranges, those in groups:
            if those[0].name == one.name and ranges.tensors == found.tensors:
                those.append(one)
                break
        else:
            groups.append((found, [one]))
    return rows, [_ranges(found, those) for found, those in groups]


def _row(one: Result, found: TensorRanges | None) -> Calibrated:
    facts = one.calibration
    assert facts
    photos, in_float = facts.photos, found.in_float if found else facts.keep_float
    more = f" ({len(in_float)} of {found.layers})" if found and in_float else ""
    return Calibrated(
        anchor=anchor(one),
        title=title(one),
        method=facts.method,
        weight_bits=facts.weight_bits,
        photos=f"{photos.images} of {photos.name} ({photos.split})" if photos else "-",
        in_float=f"{', '.join(in_float) or 'none'}{more}",
    )


def _ranges(found: TensorRanges, those: Sequence[Result]) -> Ranges:
    taken = Counter(one.given_by[0] if one.given_by else "none" for one in found.tensors.values())
    counts = ", ".join(f"{count} by {name}" for name, count in taken.most_common())
    return Ranges(
        who=f"{those[0].name}, {', '.join(str(column(one)) for one in those)}",
        said=f"{len(found.tensors)} tensors, their ranges {counts}",
        plot=_plot(found.tensors),
    )


def _plot(tensors: Mapping[str, TensorRange]) -> markupsafe.Markup:
    """A row for each tensor: its values, each method's range, and below them the one taken.

    Each row has a scale of its own, from zero in the middle to the largest magnitude.
    """
    scales = [1 / _largest(one) for one in tensors.values()]
    rows = range(len(tensors))
    left = 0.2 + drawing.LETTER * max(map(len, tensors), default=0)
    with drawing.style():
        figure, axes = drawing.plot(left, _ROW * len(tensors), len(METHODS) + 1, right=1.9)
        axes.axis("off")
        axes.axvline(0, color=drawing.LINE, linewidth=1)
        for row, (one, scale) in enumerate(zip(tensors.values(), scales, strict=True)):
            _draw_values(axes, row, one, scale)
        axes.set_xlim(-1, 1)
        axes.set_ylim(len(tensors) - 0.5, -0.5)
        colors = mpl.color_sequences["tab10"]
        for name, color, (top, bottom) in zip(
            METHODS, colors, itertools.pairwise(_HEIGHTS), strict=False
        ):
            marks = [
                ((end * scale, row + top), (end * scale, row + bottom))
                for row, one, scale in zip(rows, tensors.values(), scales, strict=True)
                for end in set(one.methods[name]) - {0.0}
            ]
            axes.plot(*drawing.strokes(marks), color=color, linewidth=2.2, label=name)
        bars = [
            ((one.low * scale, row + _TAKEN), (one.high * scale, row + _TAKEN))
            for row, one, scale in zip(rows, tensors.values(), scales, strict=True)
        ]
        axes.plot(*drawing.strokes(bars), color=drawing.TEXT, linewidth=1.6, label="taken")
        for row, (name, one) in enumerate(tensors.items()):
            axes.text(-1.03, row, name, ha="right", va="center", fontsize=8)
            axes.text(1.03, row, _said(one), va="center", fontsize=8)
        drawing.legend(figure, len(METHODS) + 1)
        return drawing.svg(figure, "Each tensor's values and ranges")


def _draw_values(axes, row: int, one: TensorRange, scale: float) -> None:
    """The histogram as a strip: the more values a bin has, the darker, by their logarithm."""
    if not one.counts:
        return
    depth = np.log1p(one.counts) / np.log1p(max(one.counts))
    strip = np.full((1, len(depth), 4), _GREY)
    strip[..., 3] = np.where(depth > 0, _FAINT + (1 - _FAINT) * depth, 0)
    start, end = one.start * scale, (one.start + one.width * len(one.counts)) * scale
    place = (start, end, row + _HEIGHTS[-1], row + _HEIGHTS[0])
    axes.imshow(strip, extent=place, aspect="auto", interpolation="none")


def _largest(one: TensorRange) -> float:
    ends = [one.low, one.high, one.start, one.start + one.width * len(one.counts)]
    return max(map(abs, itertools.chain(ends, *one.methods.values())))


def _said(one: TensorRange) -> str:
    return f"{one.low:.4g} … {one.high:.4g}  {', '.join(one.given_by) or '-'}"
