"""How a profile is shown."""

from collections.abc import Callable, Sequence

from common import console
from deploy.layers import findings
from deploy.layers.profile import Bounds, Layer, Profile

_SHOWN = 10  # layers, without VERBOSE=1
_HEADERS = (">own %", ">error %", ">SQNR dB", "<input", "<weights")
_SHARES: dict[str, Callable[[Layer], float | None]] = {
    ">clipped %": lambda one: one.clipped,
    ">saturated %": lambda one: one.saturated,
    ">overflow %": lambda one: one.overflow,
    ">underflow %": lambda one: one.underflow,
}


def show(profile: Profile, verbose: bool) -> None:
    """Print a profile as a table of the layers that matter, or of all, and what was found."""
    rows = profile.layers
    if not verbose:
        matter = findings.noisiest(rows)[:_SHOWN]
        rows = tuple(one for one in rows if one in matter or one.layer == profile.first)
    headers, cells = figures(profile, rows)
    console.table(
        f"{profile.name} on {profile.target} {profile.precision}, {profile.execution}",
        ["layer", *headers],
        [[_name(one, profile), *line] for one, line in zip(rows, cells, strict=True)],
        important=("own %", "error %"),
    )
    print(
        f"({len(rows)} of {len(profile.layers)} layers, in order of execution, on "
        f"{profile.data.images} photos of {profile.data.name}"
        + ("; all of them: VERBOSE=1)" if len(rows) < len(profile.layers) else ")")
    )
    for line in _lines(profile):
        print(line)


def figures(profile: Profile, layers: Sequence[Layer]) -> tuple[list[str], list[list[str]]]:
    """Headers, as `common.console.table` takes them, and some layers' cells, without their names;
    shares only of the kinds that the profile has."""
    shares = [
        (header, share)
        for header, share in _SHARES.items()
        if any(share(one) is not None for one in profile.layers)
    ]
    headers = ["operator", *_HEADERS, *(header for header, _ in shares)]
    return headers, [
        [*_cells(one), *(_percent(share(one)) for _, share in shares)] for one in layers
    ]


def _name(one: Layer, profile: Profile) -> str:
    return console.colored(f"{one.layer} <-", "red") if one.layer == profile.first else one.layer


def _cells(one: Layer) -> list[str]:
    """The operator, and those of `_HEADERS`."""
    return [
        one.operator,
        _percent(one.own),
        _percent(one.error),
        "-" if one.sqnr_db is None else f"{one.sqnr_db:.1f}",
        _bounds(one.input),
        _bounds(one.weights),
    ]


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.3g}"


def _bounds(bounds: Bounds | None) -> str:
    return "-" if bounds is None else f"{bounds[0]:.3g} … {bounds[1]:.3g}"


def _lines(profile: Profile) -> list[str]:
    lines = []
    if profile.unmapped:
        lines.append(
            f"not found in the file, {len(profile.unmapped)} of "
            f"{len(profile.unmapped) + len(profile.layers)}: {', '.join(profile.unmapped)}"
        )
    return [*lines, f"found: {profile.found}", f"next: {profile.next}"]
