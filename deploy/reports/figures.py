"""The report's plots of numeric gates, and of accuracy against what it costs."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import markupsafe
import matplotlib as mpl
import matplotlib.ticker

from deploy.reports.drawing import (
    FAIL,
    TEXT,
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

_SMALLEST = 1e-9  # of the numeric plot; equal logits stand there


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
            # The dearest lies at the right edge: its name goes to the left, into the plot.
            ends = place[0] == line[0][-1] > line[0][0]
            offset, side = ((-6, 5), "right") if ends else ((6, 5), "left")
            axes.annotate(name, place, offset, textcoords="offset points", fontsize=8, ha=side)
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
