"""The published figures are those of the pages, cell by cell, and doubts stand beside them."""

import hashlib
import json
import re

import pytest

from models import published
from models.registry import MODELS, Accuracy, ModelSpec
from tests.conftest import SHARED, assert_refused, needs_shared

# Read off the pages by eye, apart from the tables: model, GPU, precision, batch, as printed, line.
LATENCIES = [
    ("AlexNet", "V100", "fp32", 1, "0.81", 42),
    ("SqueezeNet1_1", "V100", "fp32", 8, "2.09", 44),
    ("VGG19", "V100", "fp32", 4, "8.28", 48),
    ("DarkNet53", "V100", "fp32", 8, "10.89", 49),
    ("SqueezeNet1_0", "T4", "fp16", 4, "2.06719", 58),
    ("SqueezeNet1_1", "T4", "fp16", 1, "0.81378", 59),
    ("SqueezeNet1_1", "T4", "fp32", 4, "1.877", 59),
    ("VGG16", "T4", "fp32", 8, "32.03939", 62),
    ("ResNeSt50_fast_1s1x64d", "T4", "fp32", 4, "8.72680", 44),
    ("ResNeSt50", "T4", "fp16", 8, "13.34704", 45),
    ("RegNetX_4GF", "V100", "fp32", 1, "6.46", 36),
    ("pcpvt_small", "V100", "fp32", 1, "5.74", 17),
    ("alt_gvt_base", "V100", "fp32", 4, "12.60", 21),
    ("alt_gvt_large", "V100", "fp32", 8, "31.18", 22),
]
ACCURACIES = [
    ("AlexNet", "top1", "0.567", 26),
    ("SqueezeNet1_1", "top5", "0.819", 28),
    ("VGG16", "paper_top5", "0.901", 31),
    ("DarkNet53", "parameters", "41.600", 33),
    ("ResNeSt50", "flops", "10.78", 25),
    ("RegNetX_4GF", "paper_top1", "0.7860", 26),
    ("pcpvt_large", "top1", "0.8306", 9),
    ("alt_gvt_small", "parameters", "24", 10),
]


@pytest.mark.parametrize(("model", "gpu", "precision", "batch", "printed", "line"), LATENCIES)
def test_a_latency_is_the_one_on_the_page(model, gpu, precision, batch, printed, line):
    figure = published.published(model, gpu, precision, batch)
    assert (figure.printed, figure.unit, figure.line) == (printed, "ms", line)


@pytest.mark.parametrize(("model", "name", "printed", "line"), ACCURACIES)
def test_an_accuracy_is_the_one_on_the_page(model, name, printed, line):
    found = [one for one in published.accuracies() if (one.model, one.name) == (model, name)]
    assert (found[-1].printed, found[-1].line) == (printed, line)


_HEADERS = {
    "Top1": "top1",
    "Top5": "top5",
    "Reference top1": "paper_top1",
    "Reference top5": "paper_top5",
    "FLOPs (G)": "flops",
    "FLOPS (G)": "flops",
    "Params (M)": "parameters",
    "Parameters (M)": "parameters",
}


def _cells(text: str) -> set[tuple]:
    """Every figure that a page's tables print: (model, what, as printed, line).

    `what` is a name of `_HEADERS`, or (GPU, precision, batch). A header may go over several
    lines, and its column names over several words.
    """
    cells, header, gpu = set(), "", "V100"
    for number, line in enumerate(text.splitlines(), 1):
        line = re.sub(r"<br/?>", " ", line)
        gpu = next((name for name in ("V100", "T4") if line.startswith("#") and name in line), gpu)
        first = line.strip("| ").split("|")[0].strip()
        if first == "Models":
            header = line
        elif first in MODELS and "|" in line:
            names = [" ".join(name.split()) for name in header.strip("| ").split("|")]
            values = [value.strip() for value in line.strip("|").removesuffix(" |").split("|")]
            for name, value in zip(names[1:], values[1:], strict=False):
                speed = re.search(r"(?:(FP\d\d) Batch Size=|Latency\(ms\) bs=)(\d)", name)
                if speed:
                    precision = (speed[1] or "FP32").lower()
                    cells.add((first, (gpu, precision, int(speed[2])), value, number))
                elif name in _HEADERS and value not in ("", "-"):
                    cells.add((first, _HEADERS[name], value, number))
        elif header and "|" in line and "---" not in line:
            header = f"{header} {line}"
    return cells


@needs_shared
def test_every_cell_of_the_pages_is_here_and_nothing_else():
    texts = [path.read_bytes() for path in (SHARED / "seeds").glob("*.txt")]
    pages = {hashlib.sha256(text).hexdigest(): _cells(text.decode()) for text in texts}
    figures = (*published.latencies(), *published.accuracies())
    for document in {figure.document for figure in figures}:
        here = {
            (
                one.model,
                one.name if one.name != "latency" else (one.gpu, one.precision, one.batch),
                one.printed,
                one.line,
            )
            for one in figures
            if one.document == document
        }
        assert here == pages.pop(document.sha256)
    assert not any(pages.values())  # the other texts have no figures


def test_a_model_has_the_accuracy_of_the_later_page():
    spec = MODELS["pcpvt_small"]
    assert spec.accuracy == Accuracy(0.8115, 0.9567, "PaddleClas model page, Twins (later)")
    assert spec.parameters == 24.1


def test_every_figure_is_of_a_model():
    named = {one.model for one in (*published.accuracies(), *published.latencies())}
    assert named <= MODELS.keys()


def test_a_model_on_no_page_has_no_accuracy():
    spec = ModelSpec("VGG9", "vgg")
    assert (spec.accuracy, spec.parameters) == (None, None)


def test_pages_that_disagree_are_contested_and_the_later_one_counts():
    figures = {}
    for one in published.latencies():
        figures.setdefault((one.model, one.gpu, one.precision, one.batch), []).append(one)
    disagreeing = [found for found in figures.values() if len({one.value for one in found}) > 1]
    assert len(disagreeing) == 10
    for earlier, later in disagreeing:
        assert "disagree" in earlier.contested[0]
        assert "disagree" in later.contested[0]
        key = (later.model, later.gpu, later.precision, later.batch)
        assert published.published(*key) == later
        assert "later" in later.document.title


def test_every_fp16_figure_slower_than_fp32_is_contested():
    slower = set()
    for one in published.latencies():
        same = published.published(one.model, one.gpu, "fp32", one.batch)
        if one.precision == "fp16" and one.value > same.value:
            slower.add(one.model)
            assert one.batch == 1
            assert any("slower than FP32" in reason for reason in one.contested)
    assert slower == {
        "SqueezeNet1_0",
        "SqueezeNet1_1",
        "ResNeSt50",
        "ResNeSt50_fast_1s1x64d",
        "RegNetX_4GF",
    }


@pytest.mark.parametrize(
    ("model", "reason"),
    [("RegNetX_4GF", "6.46478"), ("ResNeSt50", "13.08 ms"), ("SqueezeNet1_1", "0.763 ms")],
)
def test_known_doubts_stand_beside_the_figure(model, reason):
    (text,) = published.published(model, "V100", "fp32", 1).contested
    assert reason in text
    assert not published.published(model, "V100", "fp32", 4).contested


def test_flops_say_how_a_multiply_add_is_counted():
    for one in published.accuracies():
        if one.name == "flops":
            count = "one operation" if MODELS[one.model].family == "twins" else "two operations"
            assert f"counts a multiply-add as {count}" in one.contested[0]


@pytest.mark.parametrize(
    ("wanted", "reason"),
    [
        (("pcpvt_small", "T4", "fp16", 1), "no T4 latency of pcpvt_small was published, only V100"),
        (("VGG16", "V100", "fp16", 1), "no fp16 latency of VGG16 on a V100 was published, only"),
        (("VGG16", "T4", "int8", 1), "only fp16 and fp32"),
        (("VGG16", "T4", "fp16", 2), "no latency of VGG16 at batch 2 was published, only at 1 and"),
        (("ResNet50", "T4", "fp16", 1), "no latency of ResNet50 was published"),
    ],
)
def test_what_was_not_published_has_no_stand_in(wanted, reason):
    assert published.published(*wanted) is None
    assert published.absence(*wanted).startswith("no reference: ")
    assert reason in published.absence(*wanted)


def test_the_tables_show_marks_and_their_reasons(command):
    done = command("deploy/published.py", "--model", "RegNetX_4GF", "--model", "pcpvt_small")
    assert done.returncode == 0, done.stderr
    row = next(line for line in done.stdout.splitlines() if re.match(r"RegNetX_4GF +6\.46 ", line))
    number = re.search(r"6\.46 \((\d)\) +8\.48 +11\.45", row)[1]
    assert f"({number}) contested: equals the T4 figure" in done.stdout
    assert re.search(r"pcpvt_small +7\.32 \(\d\).*earlier", done.stdout)
    assert re.search(r"pcpvt_small +5\.74 \(\d\).*later", done.stdout)
    assert "no reference: no T4 latency of pcpvt_small was published" in done.stdout
    assert "TensorRT 8.0.3.4 that later pages name cannot be theirs" in done.stdout
    assert "VGG16" not in done.stdout


def test_the_figures_as_json_and_a_mistyped_model(command):
    done = command("deploy/published.py", "--model", "VGG16", "--json")
    figures = [json.loads(line) for line in done.stdout.splitlines()]
    assert {
        "figure": "latency",
        "gpu": "T4",
        "precision": "fp16",
        "value": 7.19257,
    }.items() <= next(
        one for one in figures if one.get("gpu") == "T4" and one["batch"] == 4
    ).items()
    assert len(figures) == 6 + 9
    assert_refused(command("deploy/published.py", "--model", "VGG61"), "VGG16")
