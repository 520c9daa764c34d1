"""Integers in ncnn's files: each kind of layer computes what its fake-quantized form computes."""

import numpy as np
import onnx
import pytest

from calib.fake_quant import FakeQuantGraph
from calib.quantize_ncnn import GRID, write_integers
from common.errors import StepError
from convert import ncnn_file
from convert.to_ncnn import GRAPH, SESSION, WEIGHTS, to_ncnn
from convert.to_onnx import FILE
from runtimes.worker import Worker
from tests.convert import toy

RANGES = {"x": (-5.0, 5.0), "a": (-30.0, 30.0), "d": (-30.0, 30.0), "c": (-30.0, 30.0)}


@pytest.mark.parametrize(
    ("nodes", "layer", "kind", "axes"),
    [
        (toy.CONVOLUTIONAL, "Conv.0", "Convolution", None),
        (toy.GROUPED, "Conv.1", "ConvolutionDepthWise", (2, 3)),
        (toy.CLASSIFIER, "Gemm.4", "InnerProduct", ()),
        (toy.WINDOWED, "MatMul.4", "InnerProduct", (1, 2)),  # a Gemm, in float
    ],
)
def test_a_layer_computes_in_the_grids_integers(tmp_path, build_folder, nodes, layer, kind, axes):
    source = toy.make(tmp_path / "onnx", nodes)
    made = to_ncnn(source)
    model = onnx.load(source.file(FILE))
    others = [node.name for node in model.graph.node if node.name != layer]
    facts = write_integers(str(source.file(FILE)), str(made.folder), RANGES, others)
    assert facts["layers_int8"] == 1
    changed = ncnn_file.read(made.file(GRAPH), made.file(WEIGHTS))
    assert [one.kind for one in changed if one.integer(ncnn_file.INT8_TERM)] == [kind]

    fake = FakeQuantGraph(model, RANGES, GRID)
    node = next(node for node in model.graph.node if node.name == layer)
    fake.model.graph.output[0].name = fake.add(node)
    photos = np.random.default_rng(2).standard_normal((4, *toy.SHAPE), np.float32)  # no ties
    (expected,) = fake.session().run(None, {"x": photos})
    if axes is None:
        expected, axes = np.maximum(expected, 0), (2, 3)
    expected = expected.mean(axis=axes) if axes else expected
    if layer == "MatMul.4":
        expected = expected + fake.weights["bias"]
    with Worker("main", "test") as worker:
        worker.open(SESSION, folder=str(made.folder), precision="int8", threads=1)
        np.testing.assert_allclose(
            worker.use("run", batch=photos), expected, atol=1e-5 * np.abs(expected).max()
        )
        assert worker.use("environment")["arithmetic"] == "int8, fp32"


def test_what_pnnx_changed_is_not_quantized_by_guess(tmp_path, build_folder):
    source = toy.make(tmp_path / "onnx", toy.CONVOLUTIONAL)
    made = to_ncnn(source)
    before = made.file(WEIGHTS).read_bytes()
    other = toy.make(tmp_path / "other", toy.CONVOLUTIONAL, scale=2.0)
    with pytest.raises(StepError, match="pnnx changed the weights of 1 layers"):
        write_integers(str(other.file(FILE)), str(made.folder), RANGES, [])
    assert made.file(WEIGHTS).read_bytes() == before
