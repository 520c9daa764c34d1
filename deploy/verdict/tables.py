"""How results are shown."""

from collections.abc import Iterator, Sequence

from common import console
from common.strict_json import encode
from deploy.speed.tables import show_beside
from deploy.verdict import reasons
from deploy.verdict.reasons import where
from deploy.verdict.result import Result

_COLORS = {"pass": "green", "fail": "red", "undecided": "yellow", "unavailable": "yellow"}


def show(results: Sequence[Result], verbose: bool = False) -> None:
    """Print results as a table, and below it the reason of everything that did not pass: of each
    by itself where that is asked for, else once for those that share it."""
    if not results:
        print("nothing to validate: no model has weights here; see --weights and --model")
        return
    show_verdicts(results)
    for line in reasons.sentences(results, verbose):
        print(line)
    for line in _kernels(results):
        print(line)
    show_beside([encode(one) for one in results])


def show_verdicts(results: Sequence[Result]) -> None:
    """Print results as a table, and no more."""
    photos = ", ".join(dict.fromkeys(one.data.name for one in results))
    console.table(
        f"Drift against Paddle Inference, photos: {photos}",
        [
            "model",
            "target",
            "precision",
            "execution",
            ">photos",
            ">top-1 %",
            ">drift pp",
            "<95 % interval",
            ">agree %",
            ">max rel",
            "verdict",
        ],
        [_row(one) for one in results],
        important=("drift pp",),
    )


def _kernels(results: Sequence[Result]) -> Iterator[str]:
    """A line for each build of which it is known how many kernels run in which arithmetic."""
    known: dict[str, list[str]] = {}
    for one in results:
        if one.kernel_precisions:
            counts = ", ".join(f"{count} {word}" for word, count in one.kernel_precisions.items())
            known.setdefault(one.name, []).append(f"{where(one)} {one.precision}: {counts}")
    for name, found in known.items():
        yield f"{name}, kernels by arithmetic: {'; '.join(found)}"


def figures(one: Result) -> list[str]:
    """A result's photos, top-1, drift, interval and agreement for a table's cells.

    Photos without labels have a bound of the drift, and an estimate of it, which is marked.
    """
    if one.drift is None:
        return ["-"] * 5
    more, beside = one.more, one.unlabelled
    agreement = 1 - beside.changed / beside.images if beside else one.drift.agreement
    return [
        f"{one.data.images} + {more.images}" if more else str(one.data.images),
        top1(one) if one.measured else "-",
        _drift(one),
        _interval(one),
        f"{100 * agreement:.1f}",
    ]


def top1(one: Result) -> str:
    """A result's top-1 for a table's cell, marked where the model trained on its photos."""
    assert one.measured
    return f"{100 * one.measured.top1:.1f}{' seen' if one.data.seen else ''}"


def verdict(one: Result, mark: str = "") -> str:
    """A result's verdict for a table's cell, with a mark, and what an estimate would make of it."""
    estimate = one.unlabelled.estimate if one.unlabelled else None
    found = one.simulation or one.verdict
    if found != "undecided" or estimate is None or estimate.verdict == found:
        return colored(one.verdict, mark)
    return f"{colored(one.verdict, mark)} (estimate: {estimate.verdict})"


def colored(verdict: str, mark: str = "") -> str:
    """A verdict for a table's cell, with a mark behind it."""
    return console.colored(f"{verdict}{mark}", _COLORS[verdict])


def interval(low_and_high: tuple[float, float]) -> str:
    """An interval in percentage points for a table's cell."""
    low, high = low_and_high
    return f"{round(low, 2) + 0.0:+.2f} … {round(high, 2) + 0.0:+.2f}"


def _row(one: Result) -> list[str]:
    return [
        one.name,
        where(one),
        one.precision,
        one.execution,
        *figures(one),
        f"{one.drift.max_rel:.1e}" if one.drift else "-",
        verdict(one),
    ]


def drift_interval(one: Result) -> tuple[float, tuple[float, float]] | None:
    """The drift of top-1 in points with its 95 % interval, as the statistical gate took it; None
    where photos had no labels, and a numeric gate's."""
    if one.drift is None or (one.budget and one.budget.kind == "numeric"):
        return None
    powered = one.unlabelled.powered if one.unlabelled else None
    if powered and powered.used:
        return powered.top1_pp, powered.ci95_pp
    if one.drift.top1_pp is None or one.drift.ci95_pp is None:
        return None
    return one.drift.top1_pp, one.drift.ci95_pp


def _drift(one: Result) -> str:
    assert one.drift
    if found := drift_interval(one):
        return f"{found[0]:+.2f}"
    if one.drift.top1_pp is not None:
        return f"{one.drift.top1_pp:+.2f}"
    return f">= {-one.unlabelled.bound_pp:+.2f}" if one.unlabelled else "-"


def _interval(one: Result) -> str:
    """The interval where it decides; a numeric gate asks for equal logits, not for statistics."""
    if one.budget and one.budget.kind == "numeric":
        return "numeric gate"
    if found := drift_interval(one):
        return interval(found[1])
    estimate = one.unlabelled.estimate if one.unlabelled else None
    return f"estimate {interval(estimate.ci95_pp)}" if estimate else "-"
