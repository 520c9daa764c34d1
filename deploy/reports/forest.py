"""The report's plot of drift: where each result's lies, against the budget."""

import re
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import markupsafe

from deploy.reports.drawing import (
    BUDGET,
    FAIL,
    LINE,
    OPEN,
    PAPER,
    PASS,
    Place,
    rows_of,
    strokes,
    style,
    svg,
)
from deploy.reports.runs import column
from deploy.verdict.result import Result
from deploy.verdict.tables import drift_interval, figures

_VERDICT = {"pass": PASS, "fail": FAIL, "undecided": OPEN, "unavailable": OPEN}
# What executed is told by the marker's form, and whether it is filled.
_MARKER = {
    "native": ("o", True),
    "emulated": ("s", True),
    "served": ("^", True),
    "simulated": ("D", False),
}
_WIDEST = 3.0  # times the median interval: what is wider is cut off
_BESIDE = 1.0  # inches for the agreement, on the right


@dataclass(frozen=True)
class Lies:
    """Where a drift of top-1 lies, in points: between the ends of `interval`, by labels, or by an
    estimate without; and, where photos have no labels, within ±`bound` whatever those are."""

    middle: float | None
    interval: tuple[float, float] | None
    bound: float | None = None

    @property
    def ends(self) -> tuple[float, float]:
        if self.bound is not None:
            return -self.bound, self.bound
        assert self.interval
        return self.interval


def lies(one: Result) -> Lies | None:
    """Where a result's drift lies; None where nothing was measured, and for numeric gates."""
    if found := drift_interval(one):
        return Lies(*found)
    if one.unlabelled is None or (one.budget and one.budget.kind == "numeric"):
        return None
    estimate = one.unlabelled.estimate
    middle, interval = (estimate.top1_pp, estimate.ci95_pp) if estimate else (None, None)
    return Lies(middle, interval, one.unlabelled.bound_pp)


def forest(results: Sequence[Result], limits: tuple[float, float]) -> markupsafe.Markup:
    """Where each result's drift lies (`lies`), against the budget, and how many decisions agree.

    `limits` are those of the axis, so that several plots can be compared.
    """
    with style():
        figure, axes = rows_of([str(column(one)) for one in results], right=_BESIDE)
        lines: dict[tuple[str, str], list[tuple[Place, Place]]] = {}
        marks: dict[tuple[str, bool, str], list[Place]] = {}
        for row, one in enumerate(results):
            found, color = lies(one), _VERDICT[one.simulation or one.verdict]
            assert found
            if found.interval:
                lines.setdefault((color, "-"), []).append(_within(found.interval, limits, row))
            if found.bound is not None:
                lines.setdefault((color, ":"), []).append(_within(found.ends, limits, row))
            if found.middle is not None:
                form, filled = _MARKER.get(one.execution, ("x", True))
                marks.setdefault((form, filled, color), []).append((found.middle, row))
            for end, edge, arrow in zip(found.ends, limits, "<>", strict=True):
                if not limits[0] <= end <= limits[1]:
                    marks.setdefault((arrow, True, color), []).append((edge, row))
            beside = {"transform": axes.get_yaxis_transform(), "va": "center", "fontsize": 8}
            axes.text(1.03, row, f"agree {figures(one)[-1]} %", **beside)
        for (color, dashes), spans in lines.items():
            axes.plot(*strokes(spans), dashes, color=color, linewidth=1.6)
        for (form, filled, color), places in marks.items():
            inside = color if filled else PAPER
            shape = {"mfc": inside, "markersize": 5, "clip_on": False}
            axes.plot(*zip(*places, strict=True), form, color=color, **shape)
        _shade_budgets(axes, results, limits[1])
        axes.axvline(0, color=LINE, linewidth=1)
        axes.set_xlim(*limits)
        axes.set_xlabel(
            "← top-1 lost · gained →   drift in percentage points with its 95 % interval"
        )
        return svg(figure, "Drift of top-1 with intervals")


def _within(
    ends: tuple[float, float], limits: tuple[float, float], row: int
) -> tuple[Place, Place]:
    """A row's line, as far as it is on the axis."""
    low, high = (min(max(end, limits[0]), limits[1]) for end in ends)
    return (low, row), (high, row)


def _shade_budgets(axes, results: Sequence[Result], end: float) -> None:
    for budget, rows in groupby(range(len(results)), lambda row: budget_pp(results[row])):
        if budget is not None:
            alike = list(rows)
            place = [(-budget, end + budget)], (alike[0] - 0.5, len(alike))
            axes.broken_barh(*place, color=BUDGET, alpha=0.18, linewidth=0)


def limits(results: Sequence[Result]) -> tuple[float, float]:
    """The axis of `forest`, in points, from which most intervals' ends can be read.

    Few photos have such wide intervals that those of many would be specks beside them: what is more
    than `_WIDEST` times as wide as the median of all is cut off.
    """
    found = [one for result in results if (one := lies(result))]
    widths = [one.ends[1] - one.ends[0] for one in found]
    most = _WIDEST * statistics.median(widths)
    shown = [one.ends for one, width in zip(found, widths, strict=True) if width <= most]
    middles = [one.middle or 0.0 for one in found]
    low = min([*middles, *(start for start, _ in shown)])
    high = max([*middles, *(end for _, end in shown)])
    room = 0.04 * (high - low) or 1.0
    return low - room, high + room


def budget_pp(one: Result) -> float | None:
    """The loss in points that a result's gate allows; None for one that allows none."""
    found = re.search(r"(\d+(?:\.\d+)?) pp", one.budget.limit) if one.budget else None
    return float(found[1]) if found else None
