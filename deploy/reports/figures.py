"""The report's plots of drift, numeric gates, and accuracy against what it costs."""

import re
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import markupsafe
import matplotlib as mpl
import matplotlib.ticker

from deploy.reports.drawing import (
    BUDGET,
    FAIL,
    LINE,
    OPEN,
    PAPER,
    PASS,
    TEXT,
    Place,
    legend,
    looks,
    plot,
    rows_of,
    strokes,
    style,
    svg,
)
from deploy.reports.runs import column
from deploy.verdict.gates import MAX_RELATIVE
from deploy.verdict.result import Result
from deploy.verdict.tables import drift_interval

_VERDICT = {"pass": PASS, "fail": FAIL, "undecided": OPEN, "unavailable": OPEN}
# What executed is told by the marker's form, and whether it is filled.
_MARKER = {"native": ("o", True), "emulated": ("s", True), "simulated": ("D", False)}
_WIDEST = 3.0
_SMALLEST = 1e-9  # of the numeric plot; equal logits stand there


def forest(results: Sequence[Result], limits: tuple[float, float]) -> markupsafe.Markup:
    """Each result's drift of top-1 in points, with its 95 % interval, against the budget.

    The results have such an interval (`drift_interval`). `limits` are those of the axis, so that
    several plots can be compared.
    """
    with style():
        figure, axes = rows_of([str(column(one)) for one in results])
        spans: dict[str, list[tuple[Place, Place]]] = {}
        middles: dict[tuple[str, bool, str], list[Place]] = {}
        for row, one in enumerate(results):
            middle, ends = drift_interval(one) or (0.0, (0.0, 0.0))
            color = _VERDICT[one.simulation or one.verdict]
            low, high = max(ends[0], limits[0]), min(ends[1], limits[1])
            spans.setdefault(color, []).append(((low, row), (high, row)))
            middles.setdefault((*_MARKER.get(one.execution, ("x", True)), color), []).append(
                (middle, row)
            )
            for end, shown, arrow in ((ends[0], low, "<"), (ends[1], high, ">")):
                if end != shown:
                    middles.setdefault((arrow, True, color), []).append((shown, row))
        for color, lines in spans.items():
            axes.plot(*strokes(lines), color=color, linewidth=1.6)
        for (form, filled, color), places in middles.items():
            inside = color if filled else PAPER
            look = {"mfc": inside, "markersize": 5, "clip_on": False}
            axes.plot(*zip(*places, strict=True), form, color=color, **look)
        for budget, rows in groupby(range(len(results)), lambda row: budget_pp(results[row])):
            if budget is not None:
                alike = list(rows)
                place = [(-budget, limits[1] + budget)], (alike[0] - 0.5, len(alike))
                axes.broken_barh(*place, color=BUDGET, alpha=0.18, linewidth=0)
        axes.axvline(0, color=LINE, linewidth=1)
        axes.set_xlim(*limits)
        axes.set_xlabel(
            "← top-1 lost · gained →   drift in percentage points with its 95 % interval"
        )
        return svg(figure, "Drift of top-1 with intervals")


def limits(results: Sequence[Result]) -> tuple[float, float]:
    """The axis of `forest`, in points, from which most intervals' ends can be read.

    Few photos have such wide intervals that those of many would be specks beside them: what is more
    than `_WIDEST` times as wide as the median of all is cut off.
    """
    found = [interval for one in results if (interval := drift_interval(one))]
    widths = [end - start for _, (start, end) in found]
    most = _WIDEST * statistics.median(widths)
    shown = [ends for (_, ends), width in zip(found, widths, strict=True) if width <= most]
    middles = [middle for middle, _ in found]
    low = min([*middles, *(start for start, _ in shown)])
    high = max([*middles, *(end for _, end in shown)])
    room = 0.04 * (high - low) or 1.0
    return low - room, high + room


def budget_pp(one: Result) -> float | None:
    """The loss in points that a result's gate allows; None for one that allows none."""
    found = re.search(r"(\d+(?:\.\d+)?) pp", one.budget.limit) if one.budget else None
    return float(found[1]) if found else None


def numeric(results: Sequence[Result]) -> markupsafe.Markup:
    """The largest relative difference of logits of each build's fp32 files, on a log scale."""
    names = list(dict.fromkeys(one.name for one in results))
    columns = list(dict.fromkeys(str(column(one)) for one in results))
    with style():
        figure, axes = rows_of(names, legend=len(columns))
        for which, (form, hue) in looks(columns).items():
            those = [one for one in results if str(column(one)) == which]
            values = [max(one.drift.max_rel, _SMALLEST) for one in those if one.drift]
            rows = [names.index(one.name) for one in those if one.drift]
            axes.plot(values, rows, form, color=hue, markersize=5, label=which)
        axes.axvline(MAX_RELATIVE, color=FAIL, linewidth=1.2, linestyle="--")
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(lambda x, _: f"{x:g}")
        axes.xaxis.set_minor_locator(mpl.ticker.NullLocator())
        axes.set_xlabel(f"largest relative difference of logits; dashed: the limit, {MAX_RELATIVE}")
        legend(figure)
        return svg(figure, "Largest relative difference of logits")


@dataclass(frozen=True)
class Point:
    """A result in a plot of accuracy against what it costs; `share` is the accuracy, and
    `interval` its 95 % interval, if there is one."""

    name: str
    column: str
    cost: float
    share: float
    interval: tuple[float, float] | None
    simulated: bool


def tradeoff(points: Sequence[Point], what: str, cost: str) -> markupsafe.Markup:
    """Accuracy, `what` it is of, against a cost, on a log scale, with the Pareto front as a line.

    The front's points are ringed and named; those of simulations are hollow.
    """
    ahead = front([(one.cost, one.share) for one in points])
    best = sorted((points[at] for at in ahead), key=lambda one: one.cost)
    names = list(dict.fromkeys(one.name for one in points))
    with style():
        figure, axes = plot(0.7, 3.2, legend=len(names) + 1)
        axes.grid(alpha=0.6)
        for name, (form, hue) in looks(names).items():
            axes.plot([], [], form, color=hue, label=name)
            spans = [
                ((one.cost, 100 * one.interval[0]), (one.cost, 100 * one.interval[1]))
                for one in points
                if one.name == name and one.interval
            ]
            axes.plot(*strokes(spans), color=hue, alpha=0.3, linewidth=1)
            for simulated, inside in ((False, hue), (True, "none")):
                those = [one for one in points if (one.name, one.simulated) == (name, simulated)]
                places = [one.cost for one in those], [100 * one.share for one in those]
                axes.plot(*places, form, color=hue, markerfacecolor=inside)
        line = [one.cost for one in best], [100 * one.share for one in best]
        ring = {"marker": "o", "markersize": 10, "markerfacecolor": "none"}
        axes.plot(*line, color=TEXT, linewidth=1, label="Pareto front", **ring)
        for place, equals in groupby(best, lambda one: (one.cost, 100 * one.share)):
            name = _names(list(equals))
            axes.annotate(name, place, (6, 5), textcoords="offset points", fontsize=8)
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(mpl.ticker.LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter(lambda x, _: f"{x:g}")
        axes.xaxis.set_minor_locator(mpl.ticker.NullLocator())
        axes.set_xlabel(cost)
        axes.set_ylabel(f"{what}, %")
        legend(figure)
        return svg(figure, f"{what} against {cost}")


def _names(those: Sequence[Point]) -> str:
    more = f" and {len(those) - 1} more" if len(those) > 1 else ""
    return f"{those[0].column}{more}"


def front(points: Sequence[tuple[float, float]]) -> list[int]:
    """The indices of the (cost, share) that no other beats in one and equals in the other."""
    return [
        at
        for at, (cost, share) in enumerate(points)
        if not any(
            (less <= cost and more >= share) and (less < cost or more > share)
            for less, more in points
        )
    ]
