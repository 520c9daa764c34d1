"""The rooms, and which may import which: one way, without circles (CONTRIBUTING.md shows them).

Every import counts, also those inside functions and those that only a type checker sees.
"""

import ast
import graphlib
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from common.paths import ROOT

# Each room may import itself and those in the lines below it, but none beside it.
ORDER = (
    ("benchmarks",),
    ("deploy", "training"),
    ("calib",),
    ("convert",),
    ("models",),
    ("data",),
    ("runtimes",),
    ("common",),
)
ROOMS = {room: number for number, beside in enumerate(ORDER) for room in beside}
WITHOUT_CODE = {".ci", "android_demo", "docs", "examples", "requirements"}
MOST_LINES = 400
LONGEST_FUNCTION = 80  # lines

Graph = Mapping[str, set[str]]


def modules(root: Path = ROOT) -> dict[str, Path]:
    """Dotted name → file, of all modules in the rooms."""
    return {
        ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__"): path
        for room in ROOMS
        for path in sorted((root / room).rglob("*.py"))
    }


def imported(path: Path) -> set[str]:
    """The names that a file imports; `from a import b` is both `a` and `a.b`."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: line {node.lineno} imports by dots"
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def import_graph(root: Path = ROOT) -> Graph:
    """Module → the project's modules that it imports.

    A package whose module is imported is not counted: `from a import b` names `a` for the sake of
    `a.b` only, where that is a module.
    """
    files = modules(root)
    graph = {}
    for name, path in files.items():
        found = imported(path) & files.keys()
        graph[name] = {
            one for one in found if not any(other.startswith(f"{one}.") for other in found)
        }
    return graph


def arrows_up(graph: Graph) -> list[str]:
    """Imports against the order of rooms."""
    return sorted(
        f"{name} imports {other}"
        for name, others in graph.items()
        for other in others
        for here, there in [(name.split(".")[0], other.split(".")[0])]
        if here != there and ROOMS[there] <= ROOMS[here]
    )


def circle(graph: Graph) -> list[str]:
    """The modules of one circle of imports, in order; empty where there is none."""
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        return error.args[1]
    return []


def named_like_an_import(root: Path = ROOT) -> list[str]:
    """Files with the name of a library that they import: run as a script, they find themselves."""
    return [
        name
        for name, path in modules(root).items()
        if name.rsplit(".", 1)[-1] in {one.split(".")[0] for one in imported(path)} - ROOMS.keys()
    ]


@pytest.fixture(scope="module")
def graph() -> Graph:
    return import_graph()


def test_no_import_goes_up(graph):
    assert arrows_up(graph) == []


def test_no_circle(graph):
    assert circle(graph) == []


def test_every_folder_is_a_known_room():
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listed.returncode:
        pytest.skip("not a git checkout")
    folders = {line.split("/")[0] for line in listed.stdout.splitlines() if "/" in line}
    assert folders == {*ROOMS, *WITHOUT_CODE, "tests"}


def test_no_file_is_named_like_a_library_that_it_imports():
    assert named_like_an_import() == []


def test_a_file_fits_on_a_few_screens():
    lengths = {name: len(path.read_text().splitlines()) for name, path in modules().items()}
    assert {name: length for name, length in lengths.items() if length > MOST_LINES} == {}


def test_a_function_fits_on_a_screen():
    too_long = [
        f"{name}.{node.name}"
        for name, path in modules().items()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef)
        if node.end_lineno - node.lineno >= LONGEST_FUNCTION
    ]
    assert too_long == []


class TestItself:
    """What breaks the rules is found."""

    @pytest.fixture
    def write(self, tmp_path):
        def write(**sources: str) -> Path:
            for name, text in sources.items():
                path = tmp_path / name.replace("__", "/")
                path.parent.mkdir(exist_ok=True)
                path.with_suffix(".py").write_text(text)
            return tmp_path

        return write

    @pytest.mark.parametrize(
        "text",
        [
            "from deploy import demo",
            "import deploy.demo",
            "def f():\n    from deploy.demo import main",
            "if TYPE_CHECKING:\n    from deploy.demo import Demo",
        ],
    )
    @pytest.mark.parametrize("room", ["common", "training"])
    def test_an_arrow_up_or_aside(self, write, room, text):
        root = write(**{f"{room}__low": text, "deploy__demo": ""})
        assert arrows_up(import_graph(root)) == [f"{room}.low imports deploy.demo"]

    def test_an_arrow_down_is_fine(self, write):
        root = write(deploy__demo="from common import low", common__low="")
        assert import_graph(root)["deploy.demo"] == {"common.low"}
        assert arrows_up(import_graph(root)) == []

    def test_a_circle(self, write):
        root = write(
            data__a="from data import b", data__b="from data.c import x", data__c="import data.a"
        )
        assert {*circle(import_graph(root))} == {"data.a", "data.b", "data.c"}

    def test_a_name_taken(self, write):
        root = write(common__statistics="import statistics", common__files="import os")
        assert named_like_an_import(root) == ["common.statistics"]
