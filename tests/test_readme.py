"""The README's tables say what the code's tables say."""

import re

from common.paths import ROOT
from deploy.targets import TARGETS, app_targets
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
            f"{100 * spec.accuracy.top1:.2f}" if spec.accuracy else "-",
            f"{100 * spec.accuracy.top5:.2f}" if spec.accuracy else "-",
            f"{spec.parameters:g}" if spec.parameters else "-",
            str(spec.preprocess.crop),
        ]
        for name, spec in MODELS.items()
    }


def missing_targets() -> list[str]:
    """The rows, as the README shall say them, of the targets that it does not describe so."""
    return [
        row
        for name, target in TARGETS.items()
        if (row := [target.file(), ", ".join(target.precisions), target.runs_on])
        != rows("Targets").get(name)
    ]


def test_targets():
    assert missing_targets() == []
    assert list(rows("Targets")) == list(TARGETS)


def test_packages():
    """What docs/package.md says of the app's targets, their engines and files."""
    page = (ROOT / "docs" / "package.md").read_text()
    engines = [target.engine for target in app_targets().values()]
    assert f"TARGET={'|'.join(app_targets())}`" in page
    assert f'"engine": "{"|".join(engine.name for engine in engines)}"' in page
    assert f"| {' or '.join(f'`{engine.file}`' for engine in engines)} |" in page


def test_make_targets_exist():
    makefile = (ROOT / "Makefile").read_text()
    for target in set(re.findall(r"\bmake ([a-z]+)\b", README)):
        assert re.search(rf"^{target}:", makefile, re.M) or target == "itself", target
