"""Which code decides what a function makes: what it reaches counts, and nothing else."""

import ast
import shutil
import sys
import types

import pytest

from common.paths import ROOT
from common.sources import Sources, code_of
from models.registry import MODELS
from training import adapt

# ---- a small project ----

SMALL = {
    "kitchen/__init__.py": "",
    "kitchen/cook.py": """
        '''Cooks.'''
        import json
        from typing import TYPE_CHECKING

        from kitchen import taste
        from kitchen.knives import SHARP as EDGE
        from kitchen.shelf import salt
        if TYPE_CHECKING:
            from kitchen.guests import Guest

        ADDRESS = "kitchen.oven:bake"

        def soup(guest: "Guest"):
            '''Soup.'''
            from kitchen.later import stir
            taste.well(json.dumps(EDGE))
            return call(ADDRESS, salt), stir()

        def salad():
            return "kitchen.absent:thing"

        if __name__ == "__main__":
            salad()
        """,
    "kitchen/taste.py": "def well(x):\n    return x\ndef badly(x):\n    return x\n",
    "kitchen/knives.py": "SHARP = 1\nBLUNT = 0\n",
    "kitchen/shelf.py": "from kitchen.sea import salt\nfrom kitchen.land import pepper\n",
    "kitchen/sea.py": "salt = 'NaCl'\n",
    "kitchen/land.py": "pepper = 1\n",
    "kitchen/oven.py": """
        from pathlib import Path
        TABLE = Path(__file__).with_suffix(".json")
        class Oven:
            def heat(self): return TABLE
        def bake(x):
            return Oven().heat()
        """,
    "kitchen/oven.json": "{}",
    "kitchen/later.py": "import kitchen.spoon\ndef stir():\n    return kitchen.spoon.turn()\n",
    "kitchen/spoon.py": "def turn(): pass\nregister(turn)\n",
    "kitchen/guests.py": "class Guest: pass\n",
    "common/clock.py": "def now(): return 0\n",
}
SOUP = (
    *("cook.py", "guests.py", "knives.py", "later.py", "oven.json", "oven.py", "sea.py"),
    *("spoon.py", "taste.py"),
)


@pytest.fixture
def small(tmp_path):
    for name, text in SMALL.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text.replace("\n        ", "\n"))
    return tmp_path


def soup(root) -> dict[str, str]:
    return Sources(root).code_of("kitchen.cook:soup")


def test_what_is_imported_called_by_name_and_read_is_reached(small):
    assert tuple(soup(small)) == tuple(f"kitchen/{name}" for name in SOUP)


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("taste.py", "x):\n    return x\ndef b", "x):\n    return 2 * x\ndef b"),
        ("knives.py", "SHARP = 1", "SHARP = 2"),
        ("sea.py", "NaCl", "KCl"),
        ("oven.py", "return TABLE", "return TABLE.stem"),
        ("oven.json", "{}", "[]"),
        ("later.py", "return", "assert"),
        ("spoon.py", "register(turn)", "register(turn, 2)"),
        ("guests.py", "pass", "name = ''"),
        ("cook.py", "kitchen.oven:bake", "kitchen.taste:badly"),
    ],
)
def test_a_change_of_what_is_reached_counts(small, name, old, new):
    before = soup(small)
    path = small / "kitchen" / name
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    assert soup(small) != before


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("taste.py", "def badly(x):\n    return x", "def badly(x):\n    return 0"),
        ("knives.py", "BLUNT = 0", "BLUNT = 1"),
        ("land.py", "1", "2"),
        ("cook.py", "'''Soup.'''", "'''A soup.'''  # warm"),
        ("cook.py", "kitchen.absent:thing", "other"),
        ("cook.py", "    salad()", "    soup()"),
        ("cook.py", '"kitchen.oven:bake"', '(  # where\n    "kitchen.oven:bake")'),
    ],
)
def test_a_change_of_anything_else_does_not(small, name, old, new):
    before = soup(small)
    path = small / "kitchen" / name
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    assert soup(small) == before


def test_the_place_of_the_project_does_not_count(small, tmp_path_factory):
    moved = tmp_path_factory.mktemp("elsewhere") / "project"
    shutil.copytree(small, moved)
    assert soup(moved) == soup(small)


def test_a_module_that_is_passed_on_counts_as_a_whole(small):
    (small / "kitchen" / "waiter.py").write_text(
        "from kitchen import knives\ndef serve():\n    return show(knives)\n"
    )
    before = Sources(small).code_of("kitchen.waiter:serve")
    (small / "kitchen" / "knives.py").write_text("SHARP = 1\nBLUNT = 5\n")
    assert Sources(small).code_of("kitchen.waiter:serve") != before


@pytest.mark.parametrize("entry", ["kitchen.cook:stew", "kitchen.cellar:wine", "kitchen.cook"])
def test_an_entry_that_there_is_not_is_an_error(small, entry):
    with pytest.raises(LookupError, match=entry):
        Sources(small).code_of(entry)


# ---- this project ----

MADE = {
    "export": ("convert.export:export", "models.squeezenet:SqueezeNet1_1"),
    "export of VGG11": ("convert.export:export", "models.vgg:VGG11"),
    "to_onnx": ("convert.to_onnx:to_onnx",),
    "to_fp16": ("convert.to_fp16:to_fp16",),
    "to_openvino": ("convert.to_openvino:to_openvino",),
    "to_lite": ("convert.to_lite:to_lite",),
    "to_engine": ("convert.to_tensorrt:to_engine",),
    "to_portable": ("convert.to_tensorrt:to_portable",),
    "simulate": ("convert.simulate:simulate",),
    "collect": ("calib.ranges:collect",),
    "to_qdq": ("calib.qdq:to_qdq",),
    "quantize_openvino": ("calib.quantize_openvino:quantize_openvino",),
    "quantize_lite": ("calib.quantize_lite:quantize_lite",),
    "crops": ("data.decode_many:decode_many", "data.crop_files:finish"),
    "adapt": ("training.adapt:adapt", "models.vgg:VGG11"),
    "mapping": ("runtimes.inside.onnx_runtime:Inside",),  # what explain keeps of a file's inside
}
EXPORTS = {"export", "export of VGG11"}
QUANTIZED = {"to_qdq", "quantize_openvino", "quantize_lite"}
# The file of `to_portable` is one that was checked already, and `collect` makes no network.
CHECKED = (
    *EXPORTS,
    *("to_onnx", "to_fp16", "to_openvino", "to_lite", "to_engine", "simulate"),
    *QUANTIZED,
)


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A copy of the project's rooms, to change."""
    root = tmp_path_factory.mktemp("project")
    rooms = ("calib", "common", "convert", "data", "models", "runtimes", "training")
    for room in rooms:
        shutil.copytree(ROOT / room, root / room, ignore=shutil.ignore_patterns("__pycache__"))
    return root


@pytest.fixture(scope="module")
def before(project):
    return all_made(project)


def all_made(root) -> dict[str, dict[str, str]]:
    sources = Sources(root)
    return {name: sources.code_of(*entries) for name, entries in MADE.items()}


def changed_by(root, before, file: str, edit) -> set[str]:
    """What has to be made again after an edit (text → text) of a file."""
    path, text = root / file, (root / file).read_text()
    try:
        path.write_text(edit(text))
        after = all_made(root)
    finally:
        path.write_text(text)
    return {name for name in MADE if before[name] != after[name]}


def within(definition: str):
    """An edit: one more statement in a function or class."""

    def edit(text: str) -> str:
        found = next(
            node for node in ast.parse(text).body if getattr(node, "name", None) == definition
        )
        lines = text.splitlines()
        first = found.body[0]
        lines.insert(first.lineno - 1, " " * first.col_offset + "changed = True")
        return "\n".join(lines)

    return edit


@pytest.mark.parametrize(
    ("module", "definition", "made"),
    [
        ("convert/to_openvino.py", "write_ir", {"to_openvino", "quantize_openvino"}),
        ("data/preprocess.py", "Preprocess", {*EXPORTS, "collect", *QUANTIZED, "crops", "adapt"}),
        ("convert/step_check.py", "run", set(CHECKED)),
        ("data/synthetic.py", "images", {*CHECKED, "adapt"}),
        ("convert/lite_file.py", "read", {"to_lite"}),
        ("convert/lite_optimizer.py", "optimize", {"to_lite"}),
        ("convert/tensorrt_builder.py", "Network", {"to_engine", "to_portable"}),
        ("convert/tensorrt_operators.py", "check", {"to_engine", "to_portable"}),
        ("convert/fp16_graph.py", "write_fp16", {"to_fp16", "to_engine", "to_portable"}),
        ("runtimes/sessions/cuda.py", "Device", {"to_engine"}),
        ("runtimes/sessions/paddle_lite.py", "Session", {"to_lite"}),
        ("runtimes/inside/onnx_runtime.py", "Inside", {"mapping"}),
        ("calib/observer.py", "Observer", {"collect"}),
        ("calib/methods.py", "mse", QUANTIZED),
        ("calib/logit_search.py", "LogitSearch", QUANTIZED),
        ("calib/bias_correction.py", "Correction", QUANTIZED),
        ("models/vgg.py", "VGG11", {"export of VGG11", "adapt"}),
        ("models/layers.py", "recalibrate_batch_norms", {*EXPORTS, "adapt"}),
        ("training/ridge.py", "count_right", {"adapt"}),
        ("data/decode_many.py", "decode_some", {"crops", "adapt"}),
        # What shows, fetches, starts and keeps files does not decide what is in them.
        ("common/console.py", "report", set()),
        ("convert/artifact.py", "produce", set()),
        ("runtimes/worker.py", "Worker", set()),
        ("data/images.py", "ImageSet", set()),
        ("data/cifar10.py", "cifar10_folder", set()),
        ("models/weights.py", "find_weights", set()),
        ("convert/export.py", "main", set()),
    ],
)
def test_a_changed_helper_makes_exactly_what_uses_it_anew(
    project, before, module, definition, made
):
    assert changed_by(project, before, module, within(definition)) == made


def test_a_changed_table_makes_what_reads_it_anew(project, before):
    made = changed_by(project, before, "convert/tensorrt_operators.json", lambda text: f"{text}\n")
    assert made == {"to_engine", "to_portable"}


@pytest.mark.parametrize("file", ["models/published/accuracy.csv", "models/registry.py"])
def test_published_figures_and_other_models_make_nothing_anew(project, before, file):
    assert changed_by(project, before, file, lambda text: text.replace("ResNeSt50", "New")) == set()


def test_comments_make_nothing_anew(project, before):
    assert (
        changed_by(project, before, "convert/to_onnx.py", lambda text: f"# about\n{text}\n# more\n")
        == set()
    )


def test_every_step_names_the_function_that_makes_it():
    """… first among its code, so that a copied step cannot depend on its model's code."""
    found = 0
    for path in (
        *ROOT.glob("convert/*.py"),
        *ROOT.glob("calib/*.py"),
        *ROOT.glob("deploy/**/*.py"),
    ):
        for function in ast.parse(path.read_text()).body:
            for node in ast.walk(function) if isinstance(function, ast.FunctionDef) else ():
                if isinstance(node, ast.Call) and getattr(node.func, "id", None) == "Step":
                    code = next(word.value for word in node.keywords if word.arg == "code")
                    assert code.elts[0].id == function.name, path
                    found += 1
    assert found >= 12


def test_a_function_its_name_and_that_of_a_running_program_are_the_same_entry(monkeypatch):
    named = code_of(*MADE["adapt"])
    assert code_of(adapt.adapt, MODELS["VGG11"].builder) == named
    program = types.ModuleType("__main__")
    program.__file__ = adapt.__file__
    monkeypatch.setitem(sys.modules, "__main__", program)
    monkeypatch.setattr(adapt.adapt, "__module__", "__main__")
    assert code_of(adapt.adapt, MODELS["VGG11"].builder) == named
