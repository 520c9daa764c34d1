"""The published figures of the models: where each one stands, and which are contested.

Four tables: `latency.csv` and `accuracy.csv` hold one printed figure a row, with the page and the
line; `documents.csv` names the pages, each with the SHA-256 of the text whose lines are counted;
`notes.csv` says why a figure is contested. Of two pages that disagree the later one, which stands
below in `documents.csv`, is the one that is compared with.
"""

import csv
import functools
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_FOLDER = Path(__file__).parent
BATCHES = (1, 4, 8)  # the tables' columns


@dataclass(frozen=True)
class Document:
    """A page that figures were published on, and under which conditions it says they hold.

    `operations` is what it counts a multiply-add as in its operation counts: one or two.
    """

    title: str
    sha256: str
    conditions: str
    operations: int


@dataclass(frozen=True)
class Figure:
    """One printed figure.

    `name` is "latency", "top1", "top5", "paper_top1", "paper_top5" (shares of 1), "flops" (in
    thousand millions) or "parameters" (in millions); `gpu`, `precision` and `batch` are those of
    a latency, which is the milliseconds of a whole batch. `printed` keeps the page's digits.
    `contested` gives the reasons to doubt it.
    """

    model: str
    name: str
    printed: str
    unit: str
    document: Document
    line: int
    contested: tuple[str, ...]
    gpu: str = ""
    precision: str = ""
    batch: int = 0

    @property
    def value(self) -> float:
        return float(self.printed)

    @property
    def place(self) -> str:
        return f"{self.document.title}, line {self.line}"


@functools.cache
def latencies() -> tuple[Figure, ...]:
    """Every published latency, the later pages last."""
    return _figures("latency.csv")


@functools.cache
def accuracies() -> tuple[Figure, ...]:
    """Every published accuracy, operation count and parameter count, the later pages last."""
    return _figures("accuracy.csv")


def size_or_accuracy(model: str, name: str) -> Figure | None:
    """The figure of that name to compare with, as `Figure.name` names it; None where there is none.

    Of the Twins' two pages the later one counts: independent evaluations confirm its figures.
    """
    found = [one for one in accuracies() if (one.model, one.name) == (model, name)]
    return found[-1] if found else None


def published(model: str, gpu: str, precision: str, batch: int) -> Figure | None:
    """The latency to compare with; None where there is none (`absence` says why)."""
    wanted = (model, gpu, precision, batch)
    found = [one for one in latencies() if (one.model, one.gpu, one.precision, one.batch) == wanted]
    return found[-1] if found else None


def absence(model: str, gpu: str, precision: str, batch: int) -> str:
    """Why `published` has nothing: nothing else is ever put in its place."""
    of_model = [one for one in latencies() if one.model == model]
    on_gpu = [one for one in of_model if one.gpu == gpu]
    in_precision = [one for one in on_gpu if one.precision == precision]
    if not of_model:
        missing = f"no latency of {model} was published"
    elif not on_gpu:
        there = _join(one.gpu for one in of_model)
        missing = f"no {gpu} latency of {model} was published, only {there} ones"
    elif not in_precision:
        there = _join(one.precision for one in on_gpu)
        missing = f"no {precision} latency of {model} on a {gpu} was published, only {there}"
    else:
        there = _join(str(one.batch) for one in in_precision)
        missing = f"no latency of {model} at batch {batch} was published, only at {there}"
    return f"no reference: {missing}"


def _figures(table: str) -> tuple[Figure, ...]:
    documents = {
        row["document"]: Document(
            row["title"], row["sha256"], row["conditions"], int(row["operations"])
        )
        for row in _rows("documents.csv")
    }
    notes = {row["note"]: row["text"] for row in _rows("notes.csv")}
    order = list(documents)
    rows = sorted(_rows(table), key=lambda row: order.index(row["document"]))
    return tuple(
        Figure(
            model=row["model"],
            name=row.get("figure", "latency"),
            printed=row["value"],
            unit=row["unit"],
            document=documents[row["document"]],
            line=int(row["line"]),
            contested=tuple(notes[note] for note in row["contested"].split()),
            gpu=row.get("gpu", ""),
            precision=row.get("precision", ""),
            batch=int(row.get("batch", 0)),
        )
        for row in rows
    )


def _rows(table: str) -> list[dict[str, str]]:
    with (_FOLDER / table).open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def _join(words: Iterable[str]) -> str:
    return " and ".join(dict.fromkeys(words))
