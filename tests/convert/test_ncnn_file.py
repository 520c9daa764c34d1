"""ncnn's files are read and written again, number by number."""

import numpy as np
import pytest

from common.errors import StepError
from convert import ncnn_file
from convert.to_ncnn import GRAPH, WEIGHTS, to_ncnn
from tests.convert import toy


@pytest.fixture(params=["fp32", "fp16"])
def made(request, tmp_path, build_folder):
    return to_ncnn(toy.make(tmp_path / "onnx", toy.WINDOWED), request.param)


def test_what_is_read_is_written_as_it_was(made, tmp_path):
    graph, weights = made.file(GRAPH), made.file(WEIGHTS)
    layers = ncnn_file.read(graph, weights)
    ncnn_file.write(layers, tmp_path / "again.param", tmp_path / "again.bin")
    assert (tmp_path / "again.bin").read_bytes() == weights.read_bytes()
    words = [path.read_text().split() for path in (tmp_path / "again.param", graph)]
    assert words[0] == words[1]


def test_the_numbers_are_the_networks(made):
    layers = ncnn_file.read(made.file(GRAPH), made.file(WEIGHTS))
    numbers = {layer.kind: [one.values for one in layer.numbers] for layer in layers}
    random = np.random.default_rng(1)
    kernel = random.standard_normal(toy.WEIGHTS["kernel"], np.float32)
    matrix = random.standard_normal(toy.WEIGHTS["matrix"], np.float32)
    np.testing.assert_allclose(numbers["Convolution"][0], kernel.ravel(), rtol=1e-3)
    np.testing.assert_allclose(numbers["Gemm"][0], matrix.T.ravel(), rtol=1e-3)


@pytest.mark.parametrize(
    "change", [lambda content: content[:-4], lambda content: content + b"more"]
)
def test_numbers_that_are_not_the_graphs_are_refused(made, change):
    weights = made.file(WEIGHTS)
    weights.write_bytes(change(weights.read_bytes()))
    with pytest.raises(StepError, match=r"model\.bin does not hold the numbers of model\.param's"):
        ncnn_file.read(made.file(GRAPH), weights)
