"""Where drift begins: the page's part on what `make explain` found."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import markupsafe
import matplotlib as mpl
import matplotlib.ticker

from deploy.layers import cost_tables, costs, tables
from deploy.layers.costs import Costs
from deploy.layers.profile import Profile, kept
from deploy.reports import drawing

_MOST_DOTS = 80
_HIGH = 2.6  # inches
_SPAN = 1e4  # of the axis: what is so much less than the largest error adds nothing to it


@dataclass(frozen=True)
class Explained:
    """A profile as the page shows it: `headers` are (name, whether its column has numbers)."""

    who: str
    said: str
    lines: list[str]
    plot: markupsafe.Markup
    headers: list[tuple[str, bool]]
    rows: list[tuple[str, bool, list[str]]]
    notes: list[str]


def explained(names: Iterable[str]) -> Iterator[Explained]:
    """The profiles that are kept of these builds, and what their layers cost."""
    for name in names:
        for profile in kept(name):
            yield _explained(profile)
        for found in costs.kept(name):
            yield _blamed(found)


def _explained(profile: Profile) -> Explained:
    headers, cells = tables.figures(profile, profile.layers)
    of = f", of the file {Path(profile.own_file).name}" if profile.own_file else ""
    names = [one.layer for one in profile.layers]
    series = {
        "with all before it": [one.error for one in profile.layers],
        "by itself": [one.own for one in profile.layers],
    }
    unmapped = ", ".join(profile.unmapped)
    return Explained(
        who=_who(profile),
        said=f"{profile.execution}, on {profile.data.images} photos of {profile.data.name}{of}",
        lines=[f"Found: {profile.found}", f"Next: {profile.next}"],
        plot=_plot(names, series, "relative error, %", profile.first),
        headers=_headers(headers),
        rows=[
            (one.layer, one.layer == profile.first, line)
            for one, line in zip(profile.layers, cells, strict=True)
        ],
        notes=[f"not found in the file: {unmapped}"] if unmapped else [],
    )


def _blamed(found: Costs) -> Explained:
    names = [one.layer for one in found.costs]
    series = {
        "it alone": [one.alone.error for one in found.costs],
        "all but it": [one.without.error for one in found.costs],
    }
    return Explained(
        who=f"{_who(found)}: what each layer costs",
        said=f"simulated, on {found.photos} photos of {found.data.name}",
        lines=[*cost_tables.measured(found), *cost_tables.outcome(found)],
        plot=_plot(names, series, "error of logits, %"),
        headers=_headers(cost_tables.HEADERS[1:]),
        rows=[(one.layer, False, cost_tables.row(one, found)[1:]) for one in found.costs],
        notes=list(cost_tables.tried(found)),
    )


def _who(found: Profile | Costs) -> str:
    place = "" if found.host.name == "local" else f" ({found.host.name})"
    return f"{found.name} {found.target} {found.precision}{place}"


def _headers(headers: Iterable[str]) -> list[tuple[str, bool]]:
    return [(header.lstrip("<>"), header.startswith(">")) for header in headers]


def _plot(
    names: Sequence[str],
    series: Mapping[str, Sequence[float | None]],
    what: str,
    first: str | None = None,
) -> markupsafe.Markup:
    """Two errors of each layer, on a log scale, and where they jump."""
    dots = {"marker": "o", "markersize": 3} if len(names) <= _MOST_DOTS else {}
    looks = ((drawing.ACCENT, "-"), (drawing.OPEN, "--"))
    with drawing.style():
        figure, axes = drawing.plot(0.7, _HIGH, legend=2)
        axes.set_yscale("log")
        axes.grid(alpha=0.6)
        for (label, values), (color, line) in zip(series.items(), looks, strict=True):
            points = [(at, 100 * value) for at, value in enumerate(values, 1) if value]
            places = zip(*points, strict=True) if points else ([], [])
            axes.plot(*places, line, color=color, label=label, linewidth=1.2, **dots)
        if first is not None and first in names:
            _draw_jump(axes, first, names.index(first) + 1, len(names))
        axes.set_xlim(0.5, len(names) + 0.5)
        axes.set_ylim(bottom=axes.get_ylim()[1] / _SPAN)
        axes.xaxis.set_major_locator(mpl.ticker.MaxNLocator(integer=True))
        axes.yaxis.set_major_formatter(lambda y, _: f"{y:g}")
        axes.yaxis.set_minor_locator(mpl.ticker.NullLocator())
        axes.set_xlabel("layers, in order of execution")
        axes.set_ylabel(what)
        drawing.legend(figure)
        return drawing.svg(figure, f"{what}, by layer")


def _draw_jump(axes, first: str, at: int, layers: int) -> None:
    axes.axvline(at, color=drawing.FAIL, linewidth=1.2, linestyle=":")
    right = at > 0.7 * layers
    axes.annotate(
        f"first jump: {first}",
        (at, 0.97),
        (-5 if right else 5, 0),
        xycoords=("data", "axes fraction"),
        textcoords="offset points",
        ha="right" if right else "left",
        va="top",
        fontsize=8,
    )
