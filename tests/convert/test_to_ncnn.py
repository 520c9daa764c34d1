"""ONNX to ncnn: graphs that it cannot hold are rewritten, and what pnnx gets wrong is found."""

import shutil

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import StepError
from convert import to_ncnn
from convert.ncnn_graph import MOST_AXES, adjacent_swaps, write_prepared
from convert.step_check import images
from convert.to_onnx import FILE
from runtimes.worker import Worker
from tests.convert import toy

# ---- what is rewritten ----


@given(st.data())
def test_any_transposition_is_steps_of_four_axes(data):
    axes = data.draw(st.integers(1, 6))
    shape = data.draw(st.lists(st.integers(1, 3), min_size=axes, max_size=axes))
    order = data.draw(st.permutations(range(axes)))
    values = np.arange(np.prod(shape))
    moved = values
    for step in adjacent_swaps(shape, order):
        moved = moved.reshape(step).transpose(0, 2, 1, 3).ravel()
    assert np.array_equal(moved, values.reshape(shape).transpose(order).ravel())


@pytest.mark.parametrize("order", [(0, 2, 4, 1, 3, 5), (0, 3, 1, 4, 2, 5)])
def test_the_windows_of_the_twins_take_two_steps(order):
    assert len(list(adjacent_swaps((8, 7, 8, 7, 6, 32), order))) == 2


def test_the_prepared_graph_is_small_enough_and_exact(tmp_path):
    source, prepared = toy.make(tmp_path, toy.WINDOWED).file(FILE), tmp_path / "prepared.onnx"
    facts = write_prepared(str(source), str(prepared))
    assert facts == {"split_transposes": 1, "flattened_layers": 1}
    graph = onnx.shape_inference.infer_shapes(onnx.load(prepared), data_prop=True).graph
    sizes = [value.type.tensor_type.shape.dim for value in (*graph.value_info, *graph.output)]
    assert max(map(len, sizes)) <= MOST_AXES
    assert all(size.dim_value for shape in sizes for size in shape)
    image = images(toy.SHAPE)[:1]
    before, after = (
        onnxruntime.InferenceSession(path).run(["logits"], {"x": image})[0]
        for path in (source, prepared)
    )
    np.testing.assert_allclose(after, before, rtol=1e-6)


# ---- what is written ----


@pytest.mark.parametrize("nodes", toy.FAMILIES)
def test_a_network_computes_the_same_in_ncnn(tmp_path, build_folder, nodes):
    made = to_ncnn.to_ncnn(toy.make(tmp_path / "onnx", nodes))
    assert made.facts["probe_difference"] < 1e-5
    assert made.facts["batch"] == 1
    names = {path.name for path in made.folder.iterdir()}
    assert names == {"model.param", "model.bin", "probe.npy", "manifest.json"}


def test_fp16_files_are_half_as_large(tmp_path, build_folder):
    source = toy.make(tmp_path / "onnx", toy.WINDOWED)
    sizes = {
        precision: to_ncnn.to_ncnn(source, precision).file(to_ncnn.WEIGHTS).stat().st_size
        for precision in ("fp32", "fp16")
    }
    assert sizes["fp16"] < 0.6 * sizes["fp32"]


# ---- bad tools, bad files ----


def pnnx_that(monkeypatch, tmp_path, script) -> None:
    program = tmp_path / "pnnx"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setattr(to_ncnn, "_pnnx", lambda: program)


UNKNOWN = "7767517\\n2 2\\nInput in0 0 1 in0\\nTensor.reshape windows 1 1 in0 out0\\n"
WRONG = "7767517\\n2 2\\nInput in0 0 1 in0\\nReLU all 1 1 in0 out0\\n"


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("echo 'error: no such operator' >&2; exit 3", "ended with status 3: error: no such op"),
        ("kill -SEGV $$", "was ended by SIGSEGV"),
        ("sleep 60", "did not end within 1 s"),
        ("echo 'unsupported file'", "pnnx wrote no model.ncnn.param: unsupported file"),
        ("touch model.ncnn.param", "pnnx wrote no model.ncnn.bin"),
        (
            f"printf '{UNKNOWN}' > model.ncnn.param; echo > model.ncnn.bin",
            "ncnn has no layer Tensor.reshape, which 'windows' in model.param is",
        ),
        (
            f"printf '{WRONG}' > model.ncnn.param; echo > model.ncnn.bin",
            "gives logits (8, 3, 32, 32), the step before (8, 8)",
        ),
        ("echo > model.ncnn.param; echo > model.ncnn.bin", "ncnn does not load model.param"),
    ],
)
def test_pnnx_that_fails_is_a_sentence(tmp_path, build_folder, monkeypatch, script, message):
    pnnx_that(monkeypatch, tmp_path, script)
    monkeypatch.setattr(to_ncnn, "_LIMIT", 1.0)
    with pytest.raises(StepError) as refused:
        to_ncnn.to_ncnn(toy.make(tmp_path / "onnx", toy.CONVOLUTIONAL))
    assert str(refused.value).startswith("to_ncnn fp32 of Toy: ")
    assert message in str(refused.value)
    assert {path.name for path in build_folder.rglob("*") if path.is_file()} == {".fp32.lock"}


def test_what_pnnx_gets_wrong_is_found(tmp_path, build_folder):
    """A product without a bias, whose one row of input it takes for a column."""
    with pytest.raises(StepError, match=r"gives logits \(8, 8, 5\), the step before \(8, 5\)"):
        to_ncnn.to_ncnn(toy.make(tmp_path / "onnx", toy.FULLY_CONNECTED))


@pytest.fixture
def copied(tmp_path, build_folder):
    """A folder with a network's ncnn files, to be damaged."""
    made = to_ncnn.to_ncnn(toy.make(tmp_path / "onnx", toy.CLASSIFIER))
    return shutil.copytree(made.folder, tmp_path / "copied")


def open_in(worker: Worker, folder) -> None:
    worker.open(to_ncnn.SESSION, folder=str(folder), precision="fp32", threads=1)


def test_weights_that_are_cut_short_are_refused(copied):
    weights = copied / to_ncnn.WEIGHTS
    weights.write_bytes(weights.read_bytes()[:-8])
    with (
        Worker("main", "opening") as worker,
        pytest.raises(StepError, match=r"ncnn does not load model\.bin"),
    ):
        open_in(worker, copied)


def test_a_batch_is_run_image_by_image(copied):
    eight = images(toy.SHAPE)
    with Worker("main", "running") as worker:
        open_in(worker, copied)
        singly, together = (
            np.concatenate([worker.use("run", batch=part) for part in np.split(eight, parts)])
            for parts in (8, 1)
        )
    assert np.array_equal(singly, together)
