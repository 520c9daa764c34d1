"""The page's parts that read more than results: what calibration, training and explain have kept,
and what files cost."""

from pathlib import Path

import pytest

from calib.methods import METHODS
from calib.tensor_ranges import TensorRange, TensorRanges
from common import files
from common.strict_json import encode
from deploy.layers import costs, profile
from deploy.layers.costs import Cost, Costs, Errors, Shortest
from deploy.layers.profile import Layer, Logits, Profile
from deploy.reports.page import page
from deploy.verdict.result import Calibration, Data, Result, Size
from models.published import size_or_accuracy
from models.registry import MODELS
from tests.deploy.reports.test_report import _Page
from tests.deploy.verdict.results import a_result
from tests.models.test_training_log import a_training

NAME = "SqueezeNet1_1"
MARKUP = "<b>$x$"
FILES = {"model.onnx": "c" * 64}


def said(*results: Result) -> str:
    return " ".join(_Page(page(results)).said.split())


def int8(**changes) -> Result:
    calibration = Calibration(method="logits", keep_float=(), weight_bits=8)
    return a_result(precision="int8", files=FILES, calibration=calibration, **changes)


def a_range(method: str) -> TensorRange:
    methods = {name: (0.0, float(at)) for at, name in enumerate(METHODS, 1)}
    low, high = methods[method]
    more = {"start": 0.0, "width": 0.125, "counts": (8, 0, 1), "zeros": 0.25}
    return TensorRange(low=low, high=high, methods=methods, **more)


def keep(build: Path, target: str, tensors: dict[str, TensorRange], files_there=FILES) -> None:
    """What is kept of a calibration, as far as a report reads it."""
    folder = build / NAME / "calibration" / target
    files.write_json(folder / "calibration.json", {"files": files_there})
    found = TensorRanges(tensors=tensors, layers=26, in_float=("Conv.25",))
    files.write_json(folder / "onnx" / "tensors.json", encode(found))


def test_each_tensors_range_stands_over_its_values(build_folder):
    tensors = {"x": a_range("minmax"), MARKUP: a_range("mse"), "y": a_range("mse")}
    keep(build_folder, "onnx", tensors)
    keep(build_folder, "openvino", tensors)
    text = page([int8(), int8(target="openvino")])
    shown = " ".join(_Page(text).said.split())
    one = f"{NAME}, onnx int8, openvino int8: 3 tensors, their ranges 2 by mse, 1 by minmax"
    assert one in shown
    assert shown.count("their ranges") == 1  # those of both, which are the same
    assert "Conv.25 (1 of 26)" in shown
    assert MARKUP in shown
    assert "<b>$x$" not in text
    assert "0 … 4 mse" in shown


def test_ranges_of_another_file_are_not_shown(build_folder):
    keep(build_folder, "onnx", {"x": a_range("mse")}, {"model.onnx": "d" * 64})
    assert "their ranges" not in said(int8())


def test_ranges_that_cannot_be_read_are_left_out_and_said(build_folder, capsys):
    keep(build_folder, "onnx", {"x": a_range("mse")})
    (build_folder / NAME / "calibration" / "onnx" / "onnx" / "tensors.json").write_text("{}")
    assert "their ranges" not in said(int8())
    assert "tensors.json is left out" in capsys.readouterr().err


def test_a_trainings_curves_are_those_of_its_checkpoint(build_folder, tmp_path):
    best, _ = a_training(tmp_path / "run")
    facts = {"weights": best.sha256, "weights_sha256": best.sha256, "weights_path": str(best.path)}
    manifest = {"model": NAME, "key": "k", "facts": facts, "files": {}}
    place = build_folder / NAME / "inference" / "fp32" / "manifest.json"
    files.write_json(place, manifest)
    shown = said(a_result())
    assert "the checkpoint is that of epoch 2, with 90.0 % of the held-out photos right" in shown
    assert "held-out top-1, %" in shown
    files.write_json(place, {**manifest, "facts": facts | {"weights_sha256": "0" * 64}})
    assert "the checkpoint is that of epoch" not in said(a_result())
    files.write_json(place, manifest)
    (tmp_path / "run" / "log.csv").write_text("epoch\n1\n")
    assert "the checkpoint is that of epoch" not in said(a_result())


@pytest.fixture
def explained(build_folder) -> Profile:
    shared = {"operator": "Conv", "by": "name", "weights": (-1.0, 1.0)}
    layers = [
        Layer(layer=f"Conv.{at}", tensor=f"t{at}", there=f"t{at}", error=error, own=own, **shared)
        for at, (error, own) in enumerate([(1e-3, 1e-3), (0.5, 0.5), (0.6, None)])
    ]
    found = Profile(
        schema=1,
        toolkit="0.2.0",
        model=NAME,
        name=NAME,
        target="onnx",
        precision="int8",
        weights="demo",
        execution="native",
        files=FILES,
        host=a_result().host,
        data=Data(name="demo", images=8, sha256="a" * 64),
        layers=tuple(layers),
        unmapped=("Relu.9",),
        first="Conv.1",
        logits=Logits(flips=1),
        found=f"it is {MARKUP}",
        next="keep it in float",
        seconds=1.0,
        peak_mib=100,
    )
    profile.write(found)
    return found


def test_what_explain_found_is_drawn_with_its_first_jump(explained):
    shown = said(a_result())
    assert f"{NAME} onnx int8 native, on 8 photos of demo" in shown
    assert f"Found: it is {MARKUP} Next: keep it in float" in shown
    assert "first jump: Conv.1" in shown
    assert "Conv.1 ← first jump Conv 50 50 - - -1 … 1" in shown
    assert "not found in the file: Relu.9" in shown


def test_what_layers_cost_is_drawn_with_the_list_that_was_found(build_folder):
    def errors(error: float) -> Errors:
        return Errors(flips=2, broken=0, error=error, kl=0.1)

    rows = [
        Cost(layer=f"Conv.{at}", operator="Conv", alone=errors(alone), without=errors(without))
        for at, (alone, without) in enumerate([(0.01, 0.4), (0.3, 0.1), (0.02, 0.4)])
    ]
    shortest = Shortest(want=0.99, keep_float=("Conv.1",), attempts=(), found=f"{MARKUP} does it")
    costs.write(
        Costs(
            schema=1,
            toolkit="0.2.0",
            model=NAME,
            name=NAME,
            target="onnx",
            precision="int8",
            weights="demo",
            execution="native",
            files=FILES,
            host=a_result().host,
            data=Data(name="demo", images=8, sha256="a" * 64),
            photos=8,
            everything=errors(0.4),
            file=errors(0.4),
            file_photos=8,
            costs=tuple(rows),
            shortest=shortest,
            seconds=1.0,
            peak_mib=100,
        )
    )
    shown = said(a_result())
    assert f"{NAME} onnx int8: what each layer costs simulated, on 8 photos of demo" in shown
    assert "all but it" in shown
    assert "Conv.1 Conv 30 - 2 10 2 +93.8" in shown
    assert f"found: {MARKUP} does it" in shown
    (build_folder / NAME / "blame" / "onnx-int8.json").write_text("{}")
    assert "what each layer costs simulated" not in said(a_result())


def test_multiply_adds_are_counted_in_the_file_or_follow_from_what_is_published(build_folder):
    place = build_folder / NAME / "onnx" / "fp32" / "manifest.json"
    files.write_json(
        place, {"model": NAME, "key": "k", "facts": {"multiply_adds": 349_151_936}, "files": {}}
    )
    shown = said(a_result(), a_result(name="VGG16", model="VGG16"))
    assert f"{NAME} 0.349 0.690" in shown
    assert "VGG16 15.405 (published) 30.810" in shown


def test_every_model_has_multiply_adds(build_folder):
    shown = said(*(a_result(model=name, name=name) for name in MODELS))
    for name in MODELS:
        published = size_or_accuracy(name, "flops")
        assert f"{name} {published.value / published.document.operations:.3f} (published)" in shown


def test_the_size_is_that_of_the_very_file(build_folder):
    folder = build_folder / NAME / "onnx" / "int8"
    stored = {"model.onnx": {"bytes": 1_300_000, "sha256": "c" * 64}, "probe.npy": {"bytes": 9}}
    files.write_json(folder / "manifest.json", {"files": stored})
    assert "onnx int8 1.3" in said(int8())
    stored["model.onnx"]["sha256"] = "d" * 64
    files.write_json(folder / "manifest.json", {"files": stored})
    assert "onnx int8 1.3" not in said(int8())
    kept = build_folder / NAME / "calibration" / "onnx" / "onnx" / "manifest.json"
    stored["model.onnx"] = {"bytes": 1_400_000, "sha256": "c" * 64}
    files.write_json(kept, {"files": stored})
    assert "onnx int8 1.4" in said(int8())
    assert "onnx int8 2.5" in said(a_result(precision="int8", size=Size(int8=2.5, fp32=5.0)))
