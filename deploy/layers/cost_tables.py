"""How the costs of layers, and the lists that were tried, are shown."""

from collections.abc import Iterator

from common import console
from deploy.layers.costs import Attempt, Cost, Costs, Errors
from deploy.request.values import INT8

HEADERS = (
    *("layer", "operator", ">alone: error %", ">SQNR dB", ">flips"),
    *(">all but it: error %", ">flips", ">takes back %"),
)
_SHOWN = 10  # layers, without VERBOSE=1


def show(costs: Costs, verbose: bool) -> None:
    """Print the costs as a table of the dearest layers, or of all in order, and what was found."""
    rows = list(costs.costs) if verbose else costs.dearest()[:_SHOWN]
    what = f"{costs.name} on {costs.target} {costs.precision}"
    order = "in order" if verbose else "those first that err most alone"
    console.table(
        f"{what}: what each layer costs, simulated on {costs.photos} photos of {costs.data.name}; "
        f"{len(rows)} of {len(costs.costs)}, {order}",
        list(HEADERS),
        [row(one, costs) for one in rows],
        important=("alone: error %", "all but it: error %"),
    )
    lists = (f"  {one}" for one in tried(costs, verbose))
    for line in (*measured(costs), *lists, *outcome(costs)):
        print(line)


def row(one: Cost, costs: Costs) -> list[str]:
    """A layer's cells, below `HEADERS`."""
    alone, without, everything = one.alone, one.without, costs.everything
    back = 1 - (without.error / everything.error) ** 2 if everything.error else 0.0
    return [
        *(one.layer, one.operator, _error(alone)),
        "-" if alone.sqnr_db is None else f"{alone.sqnr_db:.1f}",
        *(str(alone.flips), _error(without), str(without.flips)),
        "-" if everything.broken or without.broken else f"{100 * back:+.1f}",
    ]


def _error(errors: Errors) -> str:
    if errors.broken:
        return f"{errors.broken} not finite"
    return f"{100 * errors.error:.3g}"


def measured(costs: Costs) -> Iterator[str]:
    """What all layers together cost, below the table."""
    everything = _said(costs.everything, costs.photos)
    yield f"all of them in {costs.precision}, simulated: {everything}"
    yield f"the file itself, {costs.execution}: {_said(costs.file, costs.file_photos)}"
    if costs.left_out:
        yield f"{costs.left_out} more err less by themselves, and were left out for time"
    if costs.in_float:
        yield f"in float in the file: {', '.join(costs.in_float)}"


def tried(costs: Costs, verbose: bool = True) -> Iterator[str]:
    """The lists of layers that were tried, one a line; with `verbose` also those that were in the
    simulation only."""
    attempts = costs.shortest.attempts if costs.shortest else ()
    shown = [one for one in attempts if verbose or one.agreement is not None]
    for one in shown:
        yield f"tried: {_attempt(one)}"
    if len(shown) < len(attempts):
        yield f"and {len(attempts) - len(shown)} lists in the simulation only (VERBOSE=1)"


def outcome(costs: Costs) -> Iterator[str]:
    """The list that was found, and what to do with it."""
    if costs.shortest is None:
        return
    yield f"found: {costs.shortest.found}"
    if costs.shortest.keep_float and costs.precision == INT8:
        layers = " ".join(costs.shortest.keep_float)
        line = f"MODEL={costs.name} TARGET={costs.target}"
        yield f'next: make calibrate {line} KEEP_FLOAT="{layers}"'


def _said(errors: Errors, photos: int) -> str:
    broken = f", {errors.broken} of them without finite logits" if errors.broken else ""
    return (
        f"logits {100 * errors.error:.3g} % off, {errors.flips} of {photos} decisions changed"
        f"{broken}, divergence {errors.kl:.2g} nats"
    )


def _attempt(one: Attempt) -> str:
    layers = ", ".join(one.keep_float) or "none"
    parts = []
    if one.simulated is not None:
        parts.append(f"{one.simulated:.1%} of {one.simulated_photos} photos simulated")
    if one.agreement is not None:
        parts.append(f"{one.agreement:.1%} of {one.photos} in the file ({one.execution})")
    return f"{len(one.keep_float)} in float agree on {', '.join(parts)}: {layers}"
