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


def top1(one: Result) -> str:
    """A result's top-1 for a table's cell, marked where the model trained on its photos."""
    assert one.measured
    return f"{100 * one.measured.top1:.1f}{' seen' if one.data.seen else ''}"


def colored(verdict: str, mark: str = "") -> str:
    """A verdict for a table's cell, with a mark behind it."""
    return console.colored(f"{verdict}{mark}", _COLORS[verdict])


def interval(low_and_high: tuple[float, float]) -> str:
    """An interval in percentage points for a table's cell."""
    low, high = low_and_high
    return f"{low:+.2f} … {high:+.2f}"


def _row(one: Result) -> list[str]:
    figures = ["-"] * 6
    if one.drift and one.measured:
        figures = [
            str(one.data.images),
            top1(one),
            f"{one.drift.top1_pp:+.2f}",
            _interval(one),
            f"{100 * one.drift.agreement:.1f}",
            f"{one.drift.max_rel:.1e}",
        ]
    return [
        one.name,
        where(one),
        one.precision,
        one.execution,
        *figures,
        colored(one.verdict),
    ]


def _interval(one: Result) -> str:
    """The interval where it decides; a numeric gate asks for equal logits, not for statistics."""
    if one.budget and one.budget.kind == "numeric":
        return "numeric gate"
    return interval(one.drift.ci95_pp) if one.drift else "-"
