"""The page: one HTML file without a script, which asks no network for anything."""

import datetime
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from deploy.reports import figures
from deploy.reports.comparison import KINDS, LEAST_RATIO, Difference
from deploy.reports.runs import Column, anchor, column, execution_word, title, tools
from deploy.reports.thumbnails import shown_photos
from deploy.speed.latency import floors_kept
from deploy.verdict.changes import Change
from deploy.verdict.result import Data, Result
from deploy.verdict.tables import drift_interval
from deploy.verdict.tables import figures as figures_of
from models.published import size_or_accuracy
from runtimes.session_pool import NATIVE

MARK = {"pass": "✓", "fail": "✗", "undecided": "?", "unavailable": "–"}
_TEMPLATE = Path(__file__).with_name("page.html.jinja")


def page(
    results: Sequence[Result],
    differences: Sequence[Difference] | None = None,
    against: str = "",
    changes: Sequence[Change] = (),
    now: datetime.datetime | None = None,
) -> str:
    """The report on results as HTML; `differences` from another run, `against`, where there is one,
    and the photos whose decision changed, as far as they are to be shown."""
    import jinja2

    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, undefined=jinja2.StrictUndefined
    )
    parts = _parts(results, now or datetime.datetime.now().astimezone())
    if differences is not None:
        parts["sections"].insert(0, ("compared", "compared"))
    if changes:
        parts["sections"].insert(-1, ("changed", "changed photos"))
    return environment.from_string(_TEMPLATE.read_text(encoding="utf-8")).render(
        **parts,
        differences=differences and [one for one in differences if one.kind != "same"],
        compared=_compared(differences or ()),
        least=f"{100 * (LEAST_RATIO - 1):.0f} %",
        against=against,
        photos=shown_photos(changes),
        changes=len(changes),
        anchor=anchor,
        title=title,
        decibel=_decibel,
        execution_word=execution_word,
        mark=MARK,
    )


def summary(results: Sequence[Result]) -> str:
    """How many results there are of each verdict, in a sentence."""
    counts = {verdict: sum(one.verdict == verdict for one in results) for verdict in MARK}
    simulated = sum(one.simulation == "pass" for one in results)
    said = ", ".join(f"{count} {verdict}" for verdict, count in counts.items() if count)
    more = f"; {simulated} of them pass as a simulation, which is no pass" if simulated else ""
    return f"{len(results)} results: {said}{more}."


def dataset(one: Result) -> str:
    """The photos that judged, in words."""
    labels = ", without labels" if one.drift and not one.measured else ""
    more = f" and {_photos(one.more, ', without labels')}" if one.more else ""
    return f"{_photos(one.data, labels)}{more}"


def _photos(data: Data, labels: str) -> str:
    return f"{data.images} of {data.name}{labels} (sha256 {data.sha256[:12]})"


def result_figures(one: Result) -> list[str]:
    """What `deploy.verdict.tables.figures` shows, and the largest relative difference."""
    return [*figures_of(one), f"{one.drift.max_rel:.1e}" if one.drift else "-"]


def _parts(results: Sequence[Result], now: datetime.datetime) -> dict[str, Any]:
    columns = sorted({column(one) for one in results})
    names = list(dict.fromkeys(one.name for one in results))
    cells = {(one.name, column(one)): one for one in results}
    latencies, notes = _latencies(results)
    forests = list(_forests(results))
    numeric = [one for one in results if one.drift and one.budget and one.budget.kind == "numeric"]
    tradeoffs, no_tradeoff = _tradeoffs(results)
    calibrations = [one for one in results if one.calibration]
    sections = [("verdicts", "verdicts")]
    sections += [("drift", "drift")] * bool(forests) + [("numeric", "fp32")] * bool(numeric)
    sections += [("speed", "latency")] + [("calibration", "calibration")] * bool(calibrations)
    return {
        "heading": f"{_few(names)}: how far it drifted",
        "summary": summary(results),
        "facts": _facts(results, names, columns, now),
        "sections": [*sections, ("results", "every result")],
        "columns": columns,
        "matrix": [(name, [cells.get((name, one)) for one in columns]) for name in names],
        "forests": forests,
        "numeric": _safe(figures.numeric(numeric)) if numeric else "",
        "tradeoffs": tradeoffs,
        "no_tradeoff": no_tradeoff,
        "latencies": latencies,
        "published_notes": notes,
        "costs": [_costs(name, results) for name in names],
        "calibrations": calibrations,
        "sensitive": [one for one in results if one.sensitivity],
        "rows": [_row(one) for one in results],
    }


def _facts(
    results: Sequence[Result],
    names: Sequence[str],
    columns: Sequence[Column],
    now: datetime.datetime,
) -> list[tuple[str, str]]:
    hosts = dict.fromkeys(
        f"{one.host.name}: {one.environment.device or one.environment.cpu or '-'}"
        for one in results
        if one.drift
    )
    return [
        ("builds", _few(names, 20)),
        ("targets", ", ".join(dict.fromkeys(one.target for one in columns))),
        ("weights", ", ".join(dict.fromkeys(one.weights[:12] for one in results))),
        ("hosts", "; ".join(hosts) or "none: nothing ran"),
        ("photos", "; ".join(dict.fromkeys(map(dataset, results)))),
        ("made with", ", ".join(tools(results))),
        ("written", now.strftime("%Y-%m-%d %H:%M %Z")),
    ]


def _few(names: Sequence[str], most: int = 3) -> str:
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest} more" if rest > 0 else "")


def _forests(results: Sequence[Result]) -> Iterator[tuple[str, str]]:
    """A plot for each build: those that a statistical gate judged."""
    those = [one for one in results if drift_interval(one)]
    for name in dict.fromkeys(one.name for one in those):
        rows = [one for one in those if one.name == name]
        yield name, _safe(figures.forest(rows, figures.limits(those)))


def _tradeoffs(results: Sequence[Result]) -> tuple[list[tuple[str, str]], str]:
    """A plot of each set of photos: accuracy on different ones cannot be compared."""
    timed = [one for one in results if one.execution == NATIVE and one.latency and one.drift]
    timed = [one for one in timed if one.latency and "1" in one.latency]
    plots = []
    for sha256 in dict.fromkeys(one.data.sha256 for one in timed):
        those = [one for one in timed if one.data.sha256 == sha256]
        labelled = all(one.measured for one in those)
        what = "top-1" if labelled else "decisions that agree with Paddle"
        points = [
            (
                one.name,
                str(column(one)),
                one.latency["1"].median_ms,
                one.measured.top1 if labelled and one.measured else one.drift.agreement,
            )
            for one in those
            if one.latency and one.drift
        ]
        if len(points) > 1:
            plots.append((what, _safe(figures.tradeoff(points, f"{what} on {those[0].data.name}"))))
    why = (
        "No two results have both an accuracy and a latency at batch 1: make benchmark measures "
        "latency, and make validate then shows it of the very files that it judged."
    )
    return plots, "" if plots else why


def _latencies(results: Sequence[Result]) -> tuple[list[dict[str, Any]], list[str]]:
    """The rows of the latency table, and the reasons below it."""
    rows, notes = [], dict[str, None]()
    for one in results:
        floors = floors_kept(one.name, one.target, one.precision, one.files or {})
        published = one.published.batch if one.published else {}
        for batch in dict.fromkeys([*(one.latency or {}), *published]):
            figure, there = (one.latency or {}).get(batch), published.get(batch)
            for reason in (there.contested or ()) if there else ():
                notes[f"Contested, {one.model} on {one.target} at batch {batch}: {reason}"] = None
            rows.append(
                {
                    "name": one.name,
                    "column": str(column(one)),
                    "batch": batch,
                    "figures": [
                        *(_ms(value) for value in _percentiles(figure)),
                        *_floor(floors.get(batch)),
                        _ms(there.ms if there else None)
                        + ("*" if there and there.contested else ""),
                        f"{there.ratio:.2f}" if there and there.ratio is not None else "-",
                    ],
                    "processor": one.environment.cpu or "-" if figure else "-",
                    "noisy": "noisy" if figure and figure.noisy else "",
                }
            )
        if one.published and one.published.why and one.published.batch:
            why = f"The published figures of {one.target} are not compared: {one.published.why}."
            notes[why] = None
    return rows, list(notes)


def _percentiles(figure: Any) -> list[float | None]:
    return [figure.median_ms, figure.p90_ms, figure.p99_ms] if figure else [None] * 3


def _floor(floor: dict[str, float] | None) -> list[str]:
    return [f"{floor['gmacs']:.3f}", _ms(floor["ms"])] if floor else ["-", "-"]


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _costs(name: str, results: Sequence[Result]) -> tuple[str, str, str, str]:
    """A build's published counts, and the sizes of its INT8 files."""
    those = [one for one in results if one.name == name]
    flops, parameters = (size_or_accuracy(those[0].model, word) for word in ("flops", "parameters"))
    sizes = [
        f"{one.target} {one.size.int8:.1f} (fp32: {one.size.fp32:.1f})" for one in those if one.size
    ]
    printed = [figure.printed if figure else "-" for figure in (flops, parameters)]
    return name, *printed, ", ".join(sizes) or "-"  # type: ignore[return-value] # of two


def _row(one: Result) -> dict[str, Any]:
    return {
        "id": anchor(one),
        "title": title(one),
        "verdict": one.verdict,
        "execution": execution_word(one),
        "figures": result_figures(one),
        "reason": one.reason,
        "files": list((one.files or {}).items()),
    }


def _compared(differences: Sequence[Difference]) -> str:
    counts = {kind: sum(one.kind == kind for one in differences) for kind in KINDS}
    return ", ".join(f"{count} {kind}" for kind, count in counts.items()) + "."


def _decibel(power: float | None) -> str:
    return "-" if not power else f"{10 * math.log10(power):.1f}"


def _safe(svg: str) -> Any:
    """Markup of our own plots, whose texts matplotlib has escaped."""
    import markupsafe

    return markupsafe.Markup(svg)
