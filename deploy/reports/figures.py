"""The report's plots, as SVG that stands in the page and takes its colours (light, dark, print)."""

import io
import itertools
import math
import re
from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import matplotlib.ticker
from matplotlib.figure import Figure

from deploy.reports.runs import column
from deploy.verdict.gates import MAX_RELATIVE
from deploy.verdict.result import Result
from deploy.verdict.tables import drift_interval

# Colours that no plot has by itself stand for the page's own: the style sheet fills them in.
_PAGE = {
    "#010101": "currentColor",
    "#020202": "var(--line)",
    "#030303": "var(--pass)",
    "#040404": "var(--fail)",
    "#050505": "var(--open)",
    "#060606": "var(--accent)",
    "#070707": "var(--paper)",
    "#080808": "var(--budget)",
}
_TEXT, _LINE, _PASS, _FAIL, _OPEN, _ACCENT, _PAPER, _BUDGET = _PAGE
_VERDICT = {"pass": _PASS, "fail": _FAIL, "undecided": _OPEN, "unavailable": _OPEN}
# What executed is told by the marker's form, and whether it is filled.
_MARKER = {"native": ("o", True), "emulated": ("s", True), "simulated": ("D", False)}
_STYLE: dict[Any, Any] = {  # of matplotlib's own long type
    "svg.fonttype": "none",
    "svg.hashsalt": "report",
    "font.family": "sans-serif",
    "font.size": 9,
    "text.color": _TEXT,
    "axes.labelcolor": _TEXT,
    "axes.edgecolor": _LINE,
    "axes.titlesize": 10,
    "xtick.color": _TEXT,
    "ytick.color": _TEXT,
    "grid.color": _LINE,
    "axes.spines.top": False,
    "axes.spines.right": False,
}
_ROW, _LETTER, _WIDE = 0.19, 0.075, 5.4  # inches: a row, a letter of its name, the plot itself
_LEGEND_COLUMNS = 4
_BELOW = 0.55  # inches for the axis and its name
_SMALLEST = 1e-9  # of the numeric plot; equal logits stand there
_FORMS = "osD^vP*X<>"


def forest(results: Sequence[Result], limits: tuple[float, float]) -> str:
    """Each result's drift of top-1 in points, with its 95 % interval, against the budget.

    The results have such an interval (`drift_interval`). `limits` are those of the axis, so that
    several plots can be compared.
    """
    with mpl.rc_context(_STYLE):
        figure, axes = _rows_of([str(column(one)) for one in results])
        for row, one in enumerate(results):
            middle, ends = drift_interval(one) or (0.0, (0.0, 0.0))
            color = _VERDICT[one.simulation or one.verdict]
            form, filled = _MARKER.get(one.execution, ("x", True))
            axes.plot(ends, (row, row), color=color, linewidth=1.6)
            inside = color if filled else _PAPER
            axes.plot(middle, row, form, color=color, mfc=inside, markersize=5)
            budget = budget_pp(one)
            if budget is not None:
                allowed = [(-budget, limits[1] + budget)]
                axes.broken_barh(allowed, (row - 0.5, 1), color=_BUDGET, alpha=0.18, linewidth=0)
        axes.axvline(0, color=_LINE, linewidth=1)
        axes.set_xlim(*limits)
        axes.set_xlabel("drift of top-1 in percentage points, 95 % interval")
        return _svg(figure, "Drift of top-1 with intervals")


def limits(results: Sequence[Result]) -> tuple[float, float]:
    """The axis on which all intervals of `forest` can be seen, in points."""
    ends = [end for one in results if (found := drift_interval(one)) for end in found[1]]
    low, high = min(ends), max(ends)
    room = 0.04 * (high - low) or 1.0
    return low - room, high + room


def budget_pp(one: Result) -> float | None:
    """The loss in points that a result's gate allows; None for one that allows none."""
    found = re.search(r"(\d+(?:\.\d+)?) pp", one.budget.limit) if one.budget else None
    return float(found[1]) if found else None


def numeric(results: Sequence[Result]) -> str:
    """The largest relative difference of logits of each build's fp32 files, on a log scale."""
    names = list(dict.fromkeys(one.name for one in results))
    columns = list(dict.fromkeys(str(column(one)) for one in results))
    with mpl.rc_context(_STYLE):
        figure, axes = _rows_of(names, legend=len(columns))
        for which, (form, hue) in _looks(columns).items():
            those = [one for one in results if str(column(one)) == which]
            values = [max(one.drift.max_rel, _SMALLEST) for one in those if one.drift]
            rows = [names.index(one.name) for one in those if one.drift]
            axes.plot(values, rows, form, color=hue, markersize=5, label=which)
        axes.axvline(MAX_RELATIVE, color=_FAIL, linewidth=1.2, linestyle="--")
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(lambda x, _: f"{x:g}")
        axes.xaxis.set_minor_locator(mpl.ticker.NullLocator())
        axes.set_xlabel(f"largest relative difference of logits; dashed: the limit, {MAX_RELATIVE}")
        _legend(figure)
        return _svg(figure, "Largest relative difference of logits")


def tradeoff(points: Sequence[tuple[str, str, float, float]], what: str) -> str:
    """Accuracy against latency: (build, column, ms, share), with the Pareto front as a line.

    `what` names the share. The front's points are ringed and named.
    """
    ahead = sorted(front([(ms, share) for _, _, ms, share in points]), key=lambda at: points[at][2])
    names = list(dict.fromkeys(name for name, *_ in points))
    with mpl.rc_context(_STYLE):
        figure, axes = _plot(0.7, 3.2, legend=len(names) + 1)
        axes.grid(alpha=0.6)
        for name, (form, hue) in _looks(names).items():
            those = [(ms, 100 * share) for who, _, ms, share in points if who == name]
            axes.plot(*zip(*those, strict=True), form, color=hue, label=name)
        best = [(points[at][2], 100 * points[at][3]) for at in ahead]
        ring = {"marker": "o", "markersize": 10, "markerfacecolor": "none"}
        axes.plot(*zip(*best, strict=True), color=_TEXT, linewidth=1, label="Pareto front", **ring)
        for at, place in zip(ahead, best, strict=True):
            axes.annotate(points[at][1], place, (6, 5), textcoords="offset points", fontsize=8)
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(mpl.ticker.LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter(lambda x, _: f"{x:g}")
        axes.xaxis.set_minor_locator(mpl.ticker.NullLocator())
        axes.set_xlabel("median latency at batch 1, ms")
        axes.set_ylabel(f"{what}, %")
        _legend(figure)
        return _svg(figure, f"{what} against latency")


def front(points: Sequence[tuple[float, float]]) -> list[int]:
    """The indices of the (ms, share) that no other beats in one and equals in the other."""
    return [
        at
        for at, (ms, share) in enumerate(points)
        if not any(
            (other_ms <= ms and other >= share) and (other_ms < ms or other > share)
            for other_ms, other in points
        )
    ]


def _looks(names: Sequence[str]) -> dict[str, tuple[str, Any]]:
    """A form and a colour for each name."""
    colors = mpl.color_sequences["tab10"]
    return dict(zip(names, zip(itertools.cycle(_FORMS), itertools.cycle(colors)), strict=False))


def _rows_of(names: Sequence[str], legend: int = 0) -> tuple[Figure, Any]:
    """A plot with a named row for each, from above."""
    left = 0.3 + _LETTER * max(map(len, names))
    figure, axes = _plot(left, _ROW * (len(names) + 0.5), legend)
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", alpha=0.6)
    axes.set_axisbelow(True)
    return figure, axes


def _plot(left: float, high: float, legend: int) -> tuple[Figure, Any]:
    """An empty plot, so many inches from the left and high, with room for names in a legend.

    The places are worked out here: to have them found takes several times as long as all drawing.
    """
    below = _BELOW + _ROW * math.ceil(legend / _LEGEND_COLUMNS) + (0.1 if legend else 0)
    wide, tall = left + _WIDE + 0.3, 0.1 + high + below
    figure = Figure(figsize=(wide, tall))
    return figure, figure.add_axes((left / wide, below / tall, _WIDE / wide, high / tall))


def _legend(figure: Figure) -> None:
    figure.legend(loc="lower center", ncols=_LEGEND_COLUMNS, frameon=False, fontsize=8)


def _svg(figure: Figure, label: str) -> str:
    stream = io.StringIO()
    figure.savefig(stream, format="svg", transparent=True, metadata={"Date": None})
    text = stream.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.S)
    # The names of its parts are those of every other plot in the page.
    text = re.sub(r'<g id="[A-Za-z_.]+_?\d+">', "<g>", text)
    for sentinel, word in _PAGE.items():
        text = text.replace(sentinel, word)
    return text.replace("<svg ", f'<svg role="img" aria-label="{label}" ', 1)
