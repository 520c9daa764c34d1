"""The page: one HTML file without a script, which asks no network for anything."""

import dataclasses
import datetime
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import markupsafe

from deploy.gpu.record import Check
from deploy.reports import figures
from deploy.reports.calibration import calibrated
from deploy.reports.comparison import KINDS, LEAST_RATIO, Difference
from deploy.reports.costs import costs, tradeoffs
from deploy.reports.forest import forest, lies, limits
from deploy.reports.layers import explained
from deploy.reports.runs import Column, anchor, column, execution_word, title, tools
from deploy.reports.thumbnails import shown_photos
from deploy.reports.training import trained
from deploy.reports.words import MARK, datasets, result_figures, summary
from deploy.request.judging import FEW
from deploy.speed.latency import floors_kept
from deploy.verdict.changes import Change
from deploy.verdict.result import Result
from models.weights import WORDS

_TEMPLATE = Path(__file__).with_name("page.html.jinja")


def page(
    results: Sequence[Result],
    differences: Sequence[Difference] | None = None,
    against: str = "",
    changes: Sequence[Change] = (),
    now: datetime.datetime | None = None,
    check: Check | None = None,
) -> str:
    """The report on results as HTML; `differences` from another run, `against`, where there is one,
    the photos whose decision changed, as far as they are to be shown, and the parts of a GPU check
    that made the results."""
    import jinja2

    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, undefined=jinja2.StrictUndefined
    )
    parts = _parts(results, now or datetime.datetime.now().astimezone())
    if differences is not None:
        parts["sections"].insert(0, ("compared", "compared"))
    if changes:
        parts["sections"].insert(-1, ("changed", "changed photos"))
    if check:
        parts["sections"].insert(0, ("gpu-check", "GPU check"))
        where = ", ".join(check.machine.gpus) or "no GPU"
        parts["heading"] = f"GPU check of {check.machine.target}: {where}"
    photos, count = shown_photos(changes)
    return environment.from_string(_TEMPLATE.read_text(encoding="utf-8")).render(
        **parts,
        differences=differences and [one for one in differences if one.kind != "same"],
        compared=_compared(differences or ()),
        least=f"{100 * (LEAST_RATIO - 1):.0f} %",
        against=against,
        check=check,
        photos=photos,
        changes=count,
        anchor=anchor,
        title=title,
        decibel=_decibel,
        execution_word=execution_word,
        mark=MARK,
    )


def _parts(results: Sequence[Result], now: datetime.datetime) -> dict[str, Any]:
    columns = sorted({column(one) for one in results})
    names = list(dict.fromkeys(one.name for one in results))
    latencies, notes = _latencies(results)
    forests = list(_forests(results))
    numeric = [one for one in results if one.drift and one.budget and one.budget.kind == "numeric"]
    calibrations, ranges = calibrated(results)
    trainings = list(trained(names))
    profiles = list(explained(names))
    sections = [("verdicts", "verdicts")]
    sections += [("drift", "drift")] * bool(forests) + [("numeric", "fp32")] * bool(numeric)
    sections += [("speed", "latency")] + [("calibration", "calibration")] * bool(calibrations)
    sections += [("layers", "layers")] * bool(profiles)
    sections += [("training", "training")] * bool(trainings)
    return {
        "heading": f"{_few(names)}: how far it drifted",
        "summary": summary(results),
        "facts": _facts(results, columns, now),
        "sections": [*sections, ("results", "every result")],
        "matrix": _matrix(results, names, columns),
        "forests": forests,
        "numeric": figures.numeric(numeric) if numeric else "",
        "tradeoffs": list(tradeoffs(results)),
        "few": f"No {FEW} photos have judged two results that cost differently.",
        "latencies": latencies,
        "published_notes": notes,
        "costs": list(costs(results)),
        "calibrations": calibrations,
        "ranges": ranges,
        "trainings": trainings,
        "profiles": profiles,
        "sensitive": [one for one in results if one.sensitivity],
        "rows": [_row(one) for one in results],
    }


@dataclasses.dataclass(frozen=True)
class _Matrix:
    """The verdicts: builds and targets, whichever are more down, the others across; in each cell
    the results by precision."""

    corner: str
    across: list[str]
    rows: list[tuple[str, list[list[Result]]]]


def _matrix(results: Sequence[Result], names: Sequence[str], columns: Sequence[Column]) -> _Matrix:
    cells: dict[tuple[str, str], list[Result]] = {}
    for one in sorted(results, key=column):
        cells.setdefault((one.name, _place(column(one))), []).append(one)
    places = list(dict.fromkeys(map(_place, columns)))
    if len(names) > len(places):
        down = [(name, [cells.get((name, place), []) for place in places]) for name in names]
        return _Matrix("build", places, down)
    down = [(place, [cells.get((name, place), []) for name in names]) for place in places]
    return _Matrix("target", list(names), down)


def _place(one: Column) -> str:
    return " ".join(filter(None, (one.target, one.place)))


def _facts(
    results: Sequence[Result], columns: Sequence[Column], now: datetime.datetime
) -> list[tuple[str, str]]:
    hosts = dict.fromkeys(
        f"{one.host.name}: {one.environment.device or one.environment.cpu or '-'}"
        for one in results
        if one.drift
    )
    facts = [
        ("builds", _builds(results)),
        ("targets", ", ".join(dict.fromkeys(one.target for one in columns))),
        ("hosts", "; ".join(hosts) or "none: nothing ran"),
        ("photos", "; ".join(datasets(results))),
        ("made with", ", ".join(tools(results))),
        ("written", now.strftime("%Y-%m-%d %H:%M %Z")),
    ]
    return [(name, said) for name, said in facts if said]


def _builds(results: Sequence[Result]) -> str:
    """The builds, and whose weights they have."""
    found: dict[str, dict[str, None]] = {}
    for one in results:
        word = one.weights if one.weights in WORDS else f"sha256 {one.weights[:12]}"
        found.setdefault(word, {})[one.name] = None
    return "; ".join(f"{', '.join(names)} (weights: {word})" for word, names in found.items())


def _few(names: Sequence[str], most: int = 3) -> str:
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest} more" if rest > 0 else "")


def _forests(results: Sequence[Result]) -> Iterator[tuple[str, markupsafe.Markup]]:
    """A plot for each build: those that a statistical gate judged."""
    those = [one for one in results if lies(one)]
    for name in dict.fromkeys(one.name for one in those):
        rows = [one for one in those if one.name == name]
        yield name, forest(rows, limits(those))


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
                        _ms(floors[batch]["ms"] if batch in floors else None),
                        _ms(there.ms if there else None)
                        + ("*" if there and there.contested else ""),
                        f"{there.ratio:.2f}" if there and there.ratio is not None else "-",
                    ],
                    "place": there.place if there else "-",
                    "processor": one.environment.cpu or "-" if figure else "-",
                    "noisy": f"noisy: {'; '.join(figure.noisy)}" if figure and figure.noisy else "",
                }
            )
        if one.published and one.published.why and one.published.batch:
            why = f"The published figures of {one.target} are not compared: {one.published.why}."
            notes[why] = None
    return rows, list(notes)


def _percentiles(figure: Any) -> list[float | None]:
    return [figure.median_ms, figure.p90_ms, figure.p99_ms] if figure else [None] * 3


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


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
