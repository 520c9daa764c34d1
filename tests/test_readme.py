"""The README's tables say what the code's tables say."""

import re

from common.paths import ROOT
from deploy.targets import TARGETS
from models.registry import MODELS

README = (ROOT / "README.md").read_text()


def rows(heading: str) -> dict[str, list[str]]:
    """The table below a heading: first cell to the others."""
    section = README.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")][2:]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {first.strip("`"): rest for first, *rest in cells}


def test_models():
    assert rows("Models") == {
        name: [
            f"{100 * spec.accuracy.top1:.2f}",
            f"{100 * spec.accuracy.top5:.2f}",
            f"{spec.parameters:g}",
            str(spec.preprocess.crop),
        ]
        for name, spec in MODELS.items()
    }


def test_targets():
    table = rows("Targets")
    assert {name: cells[1].split(", ") for name, cells in table.items()} == {
        name: list(target.precisions) for name, target in TARGETS.items()
    }


def test_make_targets_exist():
    makefile = (ROOT / "Makefile").read_text()
    for target in set(re.findall(r"\bmake ([a-z]+)\b", README)):
        assert re.search(rf"^{target}:", makefile, re.M) or target == "itself", target
