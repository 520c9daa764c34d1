"""The README's tables say what the code's tables say, and its commands are understood."""

import importlib
import os
import re
import shlex
import subprocess
import sys

import pytest

from common.cli import Parser
from common.errors import UserError
from common.paths import ROOT
from deploy.targets import TARGETS, app_targets, packaged_targets
from models.registry import MODELS
from tests.test_make import COMMANDS

README = (ROOT / "README.md").read_text()
PAGES = [ROOT / "README.md", ROOT / "android_demo" / "README.md", *(ROOT / "docs").glob("*.md")]
MAKEFILE = (ROOT / "Makefile").read_text()


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
        if (row := [target.file_pattern(), ", ".join(target.precisions), target.runs_on])
        != rows("Targets").get(name)
    ]


def test_targets():
    assert missing_targets() == []
    assert list(rows("Targets")) == list(TARGETS)


def test_packages():
    """What the documents say of packages: their targets, engines and files."""
    page = (ROOT / "docs" / "package.md").read_text()
    names, targets = "|".join(packaged_targets()), packaged_targets().values()
    assert f"[TARGET={names}]" in (ROOT / "Makefile").read_text()
    assert f"TARGET={names}`" in page
    of_app = ", ".join(f"`{name}`" for name in app_targets())
    assert f"for the demo app's engines ({of_app})" in page
    assert f'"engine": "{"|".join(one.engine.name for one in targets)}"' in page
    files = dict.fromkeys(", ".join(f"`{name}`" for name in one.kinds[-1].files) for one in targets)
    assert f"| {' or '.join(files)} |" in page


def test_make_targets_exist():
    for target in set(re.findall(r"\bmake ([a-z]+(?:-[a-z]+)*)\b", README)):
        assert re.search(rf"^{target}:", MAKEFILE, re.M) or target == "itself", target


# --- the commands that the pages show ---


def shown_commands() -> list[str]:
    """Lines of code blocks, and code within sentences, that begin with make or python."""
    found = []
    for page in PAGES:
        text = page.read_text()
        blocks = re.findall(r"^(?: {4}|\t)(.*)$", text, re.M)
        blocks += [line for block in re.findall(r"^```\w*\n(.*?)^```", text, re.M | re.S)
                   for line in block.splitlines()]  # fmt: skip
        spans = re.findall(r"(?<!`)`([^`\n]+)`(?!`)", text)
        found += [line.partition("  #")[0].strip() for line in (*blocks, *spans)]
    return sorted({line for line in found if re.match(r"(make [a-z-]+ |python [a-z]+/)", line)})


class _Parsed(BaseException):
    """The arguments were understood."""


@pytest.fixture
def parse(monkeypatch):
    """Let a command read what was typed, and no more; UserError where it is not understood."""
    whole = Parser.parse_args

    def parse_only(self):
        whole(self)
        raise _Parsed

    def parse(file: str, arguments: list[str], words: list[str]) -> None:
        quoted = (re.sub(r"([\s\\])", r"\\\1", word).replace("$", "$$") for word in words)
        monkeypatch.setenv("MAKEFLAGS", f" -- {' '.join(quoted)}")
        monkeypatch.setattr(sys, "argv", [file, *arguments])
        monkeypatch.setattr(Parser, "parse_args", parse_only)
        module = importlib.import_module(file.removesuffix(".py").replace("/", "."))
        with pytest.raises((_Parsed, SystemExit)) as end:
            module.main()
        assert end.type is _Parsed or end.value.code == 0  # HELP=1 ends by itself

    return parse


@pytest.mark.parametrize("line", shown_commands())
def test_a_command_understands_what_is_shown(parse, line):
    program, what, *rest = shlex.split(line)
    if program == "make":
        parse(COMMANDS[what], ["--make", what, what], rest)
    else:
        parse(what, rest, [])


def test_what_is_shown_is_read_in_earnest(parse):
    with pytest.raises(UserError, match="did you mean MODEL"):
        parse(COMMANDS["export"], ["--make", "export", "export"], ["MODLE=VGG16"])


@pytest.mark.parametrize("line", ["make help", "make doctor", "make reference MODEL=VGG16"])
def test_what_costs_nothing_runs(line):
    assert line in README
    environment = {name: value for name, value in os.environ.items() if name != "MAKEFLAGS"}
    words = [*shlex.split(line), "--no-print-directory", f"PYTHON={sys.executable}"]
    done = subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
