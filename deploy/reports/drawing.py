"""How the report draws: SVG that stands in the page and takes its colours (light, dark, print)."""

import contextlib
import html
import io
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import markupsafe
import matplotlib as mpl
from matplotlib.figure import Figure

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
TEXT, LINE, PASS, FAIL, OPEN, ACCENT, PAPER, BUDGET = _PAGE
_STYLE: dict[Any, Any] = {  # of matplotlib's own long type
    "svg.fonttype": "none",
    "text.parse_math": False,  # a "$" in a name is a "$"
    "svg.hashsalt": "report",
    "font.family": "sans-serif",
    "font.size": 9,
    "text.color": TEXT,
    "axes.labelcolor": TEXT,
    "axes.edgecolor": LINE,
    "axes.titlesize": 10,
    "xtick.color": TEXT,
    "ytick.color": TEXT,
    "grid.color": LINE,
    "axes.spines.top": False,
    "axes.spines.right": False,
}
ROW, LETTER, _WIDE = 0.19, 0.075, 5.4  # inches: a row, a letter of its name, the plot itself
_LEGEND_COLUMNS = 4
_BETWEEN = 0.15  # inches between plots above each other
_BELOW = 0.55  # inches for the axis and its name
_FORMS = "osD^vP*X<>"


Place = tuple[float, float]


@contextlib.contextmanager
def style() -> Iterator[None]:
    """What is drawn within it has the report's style."""
    with mpl.rc_context(_STYLE):
        yield


def looks(names: Sequence[str]) -> dict[str, tuple[str, Any]]:
    """A form and a colour for each name."""
    colors = mpl.color_sequences["tab10"]
    # From the eleventh name on the same colours come with other forms.
    return {
        name: (_FORMS[(at + at // len(colors)) % len(_FORMS)], colors[at % len(colors)])
        for at, name in enumerate(names)
    }


def rows_of(names: Sequence[str], legend: int = 0, right: float = 0.3) -> tuple[Figure, Any]:
    """A plot with a named row for each, from above."""
    left = 0.3 + LETTER * max(map(len, names))
    figure, axes = plot(left, ROW * (len(names) + 0.5), legend, right)
    axes.set_yticks([])
    for row, name in enumerate(names):  # ticks take several times as long to draw
        beside = {"transform": axes.get_yaxis_transform(), "ha": "right", "va": "center"}
        axes.text(-0.01, row, name, **beside)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.grid(axis="x", alpha=0.6)
    axes.set_axisbelow(True)
    return figure, axes


def plot(left: float, high: float, legend: int, right: float = 0.3) -> tuple[Figure, Any]:
    """An empty plot, so many inches from the left, from the right, and high, with room for so many
    names in a legend.

    The places are worked out here: to have them found takes several times as long as all drawing.
    """
    below = _BELOW + ROW * math.ceil(legend / _LEGEND_COLUMNS) + (0.1 if legend else 0)
    wide, tall = left + _WIDE + right, 0.1 + high + below
    figure = Figure(figsize=(wide, tall))
    return figure, figure.add_axes((left / wide, below / tall, _WIDE / wide, high / tall))


def stacked(left: float, highs: Sequence[float]) -> tuple[Figure, list[Any]]:
    """Empty plots above each other, so many inches high, that share their horizontal axis."""
    wide, tall = left + _WIDE + 0.3, 0.1 + sum(highs) + _BETWEEN * (len(highs) - 1) + _BELOW
    figure = Figure(figsize=(wide, tall))
    made: list[Any] = []
    top = tall - 0.1
    for high in highs:
        place = (left / wide, (top - high) / tall, _WIDE / wide, high / tall)
        axes = figure.add_axes(place, sharex=made[0] if made else None)
        axes.grid(alpha=0.6)
        made.append(axes)
        top -= high + _BETWEEN
    for axes in made[:-1]:
        axes.tick_params(labelbottom=False)
    return figure, made


def strokes(lines: Iterable[tuple[Place, Place]]) -> tuple[Sequence[float], Sequence[float]]:
    """The x and y of many lines, from place to place, that are drawn as one."""
    points = [place for line in lines for place in (*line, (math.nan, math.nan))]
    return [x for x, _ in points], [y for _, y in points]


def legend(figure: Figure, columns: int = _LEGEND_COLUMNS) -> None:
    """Name what is drawn, below it."""
    figure.legend(loc="lower center", ncols=columns, frameon=False, fontsize=8)


def svg(figure: Figure, label: str) -> markupsafe.Markup:
    """A figure for the page, with what it shows for those who do not see it. matplotlib has
    escaped the texts."""
    stream = io.StringIO()
    figure.savefig(stream, format="svg", transparent=True, metadata={"Date": None})
    text = stream.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.S)
    # The names of its parts are those of every other plot in the page.
    text = re.sub(r'<g id="[A-Za-z_.]+_?\d+">', "<g>", text)
    for sentinel, word in _PAGE.items():
        text = text.replace(sentinel, word)
    return markupsafe.Markup(
        text.replace("<svg ", f'<svg role="img" aria-label="{html.escape(label)}" ', 1)
    )
