"""Where drift begins: the page's part on what `make explain` found."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import markupsafe
import matplotlib as mpl
import matplotlib.ticker

from deploy.layers import tables
from deploy.layers.profile import Layer, Profile, kept
from deploy.reports import drawing

_MOST_DOTS = 80
_HIGH = 2.6  # inches
_SPAN = 1e5  # of the largest error, what is less adds nothing to it


@dataclass(frozen=True)
class Explained:
    """A profile as the page shows it: `headers` are (name, whether its column has numbers)."""

    who: str
    said: str
    found: str
    next: str
    plot: markupsafe.Markup
    headers: list[tuple[str, bool]]
    rows: list[tuple[str, bool, list[str]]]
    unmapped: str


def explained(names: Iterable[str]) -> Iterator[Explained]:
    """The profiles that are kept of these builds."""
    for name in names:
        for profile in kept(name):
            yield _explained(profile)


def _explained(profile: Profile) -> Explained:
    headers, cells = tables.figures(profile, profile.layers)
    place = "" if profile.host.name == "local" else f" ({profile.host.name})"
    of = f", of the file {Path(profile.own_file).name}" if profile.own_file else ""
    return Explained(
        who=f"{profile.name} {profile.target} {profile.precision}{place}",
        said=f"{profile.execution}, on {profile.data.images} photos of {profile.data.name}{of}",
        found=profile.found,
        next=profile.next,
        plot=_plot(profile.layers, profile.first),
        headers=[(header.lstrip("<>"), header.startswith(">")) for header in headers],
        rows=[
            (one.layer, one.layer == profile.first, line)
            for one, line in zip(profile.layers, cells, strict=True)
        ],
        unmapped=", ".join(profile.unmapped),
    )


def _plot(layers: Sequence[Layer], first: str | None) -> markupsafe.Markup:
    """The relative error by layer, on a log scale: with all that came before, and by itself."""
    dots = {"marker": "o", "markersize": 3} if len(layers) <= _MOST_DOTS else {}
    with drawing.style():
        figure, axes = drawing.plot(0.7, _HIGH, legend=2)
        axes.set_yscale("log")
        axes.grid(alpha=0.6)
        for label, color, line, values in (
            ("with all before it", drawing.ACCENT, "-", [one.error for one in layers]),
            ("by itself", drawing.OPEN, "--", [one.own for one in layers]),
        ):
            points = [(at, 100 * value) for at, value in enumerate(values, 1) if value]
            if points:
                axes.plot(
                    *zip(*points, strict=True),
                    line,
                    color=color,
                    label=label,
                    linewidth=1.2,
                    **dots,
                )
        names = [one.layer for one in layers]
        if first in names:
            at = names.index(first) + 1
            axes.axvline(at, color=drawing.FAIL, linewidth=1.2, linestyle=":")
            right = at > 0.7 * len(layers)
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
        axes.set_xlim(0.5, len(layers) + 0.5)
        axes.set_ylim(bottom=axes.get_ylim()[1] / _SPAN)
        axes.xaxis.set_major_locator(mpl.ticker.MaxNLocator(integer=True))
        axes.yaxis.set_major_formatter(lambda y, _: f"{y:g}")
        axes.yaxis.set_minor_locator(mpl.ticker.NullLocator())
        axes.set_xlabel("layers, in order of execution")
        axes.set_ylabel("relative error, %")
        drawing.legend(figure)
        return drawing.svg(figure, "Relative error by layer")
