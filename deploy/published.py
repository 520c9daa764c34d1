"""Print the published figures: accuracy, and latency on V100 and T4, with what is contested.

    python deploy/published.py [--model NAME …] [--json]

Figures are as printed on their page. A mark points to the reason below why a figure is contested.
"""

import json
import sys

if __name__ == "__main__":
    sys.path.insert(0, f"{sys.path[0]}/..")
    import common.start  # noqa: F401

import itertools
from collections.abc import Sequence

from common import console
from common.cli import Exit, Parser, run
from models.published import Document, Figure, absence, accuracies, latencies
from models.registry import MODELS, find_model

_ACCURACY = {
    "top1": "top-1",
    "top5": "top-5",
    "paper_top1": "paper's top-1",
    "paper_top5": "paper's top-5",
    "flops": "FLOPs (G)",
    "parameters": "parameters (M)",
}


class _Footnotes:
    """Numbers for the reasons, in the order in which they are met."""

    def __init__(self):
        self._numbers: dict[str, int] = {}

    def mark(self, figure: Figure | None) -> str:
        """A figure as a table shows it, "-" for None, with the numbers of its reasons."""
        if figure is None:
            return "-"
        numbers = [
            self._numbers.setdefault(reason, len(self._numbers) + 1) for reason in figure.contested
        ]
        return figure.printed + "".join(f" ({number})" for number in numbers)

    def show(self) -> None:
        for reason, number in self._numbers.items():
            print(f"({number}) contested: {reason}")


def main() -> int:
    parser = Parser(prog="python deploy/published.py", description=__doc__)
    parser.add_argument(
        "--model", action="append", metavar="NAME", help="repeatable (default: all)"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object a figure")
    options = parser.parse_args()
    names = [find_model(name).name for name in options.model or MODELS]
    latency = [one for one in latencies() if one.model in names]
    accuracy = [one for one in accuracies() if one.model in names]
    if options.json:
        for figure in (*accuracy, *latency):
            print(json.dumps(_to_json(figure), ensure_ascii=False))
        return Exit.OK

    notes = _Footnotes()
    _show("Accuracy on ImageNet-1k, and size", accuracy, list(_ACCURACY.items()), _name, notes)
    for gpu, precisions in (("V100", ("fp32",)), ("T4", ("fp16", "fp32"))):
        columns = [
            ((precision, batch), f"{precision} batch {batch}")
            for precision, batch in itertools.product(precisions, (1, 4, 8))
        ]
        figures = [one for one in latency if one.gpu == gpu]
        print()
        _show(f"Latency on a {gpu}, ms of the whole batch", figures, columns, _cell, notes)
        for name in names:
            if not any(one.model == name for one in figures):
                print(absence(name, gpu, precisions[0], 1))
    print()
    notes.show()
    for document in dict.fromkeys(one.document for one in (*accuracy, *latency)):
        print(f"{document.title}: {document.conditions}. Lines of the text {document.sha256[:12]}.")
    return Exit.OK


def _show(title: str, figures: Sequence[Figure], columns, column_of, notes: _Footnotes) -> None:
    """One row for each model on each page; `columns` are (key, header)."""
    rows: dict[tuple[str, Document], dict] = {}
    for figure in figures:
        rows.setdefault((figure.model, figure.document), {})[column_of(figure)] = figure
    if not rows:
        return
    order = list(MODELS)
    console.table(
        title,
        ["model", *(f">{header}" for _, header in columns), "page", ">line"],
        [
            [
                model,
                *(notes.mark(row.get(key)) for key, _ in columns),
                document.title.removeprefix("PaddleClas model page, "),
                str(next(iter(row.values())).line),
            ]
            for (model, document), row in sorted(
                rows.items(), key=lambda row: order.index(row[0][0])
            )
        ],
    )


def _name(figure: Figure) -> str:
    return figure.name


def _cell(figure: Figure) -> tuple[str, int]:
    return figure.precision, figure.batch


def _to_json(figure: Figure) -> dict:
    facts = {"model": figure.model, "figure": figure.name, "value": figure.value}
    if figure.gpu:
        facts |= {"gpu": figure.gpu, "precision": figure.precision, "batch": figure.batch}
    return {
        **facts,
        "unit": figure.unit,
        "page": figure.document.title,
        "line": figure.line,
        "contested": list(figure.contested),
    }


if __name__ == "__main__":
    run(main)
