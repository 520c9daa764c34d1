"""INT8 files of every kind: made of the same ranges, close to FP32, quantized where they say."""

from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnx
import onnxruntime
import openvino
import pytest

from calib import quantize_mnn as mnn
from calib.bias_correction import Correction
from calib.fake_quant import sort_nodes
from calib.lowering import BEHIND
from calib.placement import LOWERED, place_pairs
from calib.quant_config import NNCF, QuantConfig
from calib.quantize_lite import AS_WRITTEN, quantize_lite
from calib.quantize_lite import GRID as LITE_GRID
from calib.quantize_mnn import quantize_mnn
from calib.quantize_ncnn import quantize_ncnn
from calib.quantize_onnx import quantize_onnx
from calib.quantize_openvino import quantize_openvino
from calib.quantize_trt import quantize_trt
from calib.ranges import Ranges
from common.errors import StepError, UserError
from convert import ncnn_file
from convert.export import SESSION as PADDLE
from convert.mnn_file import int8_layers
from convert.to_lite import to_lite
from convert.to_mnn import SESSION as MNN
from convert.to_mnn import to_mnn
from convert.to_ncnn import GRAPH as NCNN_GRAPH
from convert.to_ncnn import SESSION as NCNN
from convert.to_onnx import SESSION as ONNX
from convert.to_openvino import SESSION as OPENVINO
from runtimes.environments import LITE
from runtimes.worker import Worker

MSE = QuantConfig("mse")
lite_only = pytest.mark.skipif(LITE.problem() is not None, reason=f"Paddle Lite: {LITE.problem()}")


def run(session: str, artifact, batches, precision: str = "int8", **options) -> np.ndarray:
    with Worker("main", "test") as worker:
        worker.open(session, folder=str(artifact.folder), precision=precision, threads=2, **options)
        return np.concatenate([worker.use("run", batch=batch) for batch in batches])


@pytest.fixture(scope="module")
def expected(measured):
    return run(ONNX, measured.onnx, measured.others, "fp32")


def assert_close_and_not_equal(logits, expected):
    spread = expected - expected.mean(axis=1, keepdims=True)
    error = np.linalg.norm(logits - expected) / np.linalg.norm(spread)
    assert 0.01 < error < 0.2, error  # 0.05 to 0.1 on hundreds of photos; a wrong scale gives 1
    assert (logits.argmax(1) == expected.argmax(1)).mean() >= 0.8


def writers(measured):
    return measured.onnx, measured.ranges, measured.crops


def kinds(artifact) -> list[str]:
    return [node.op_type for node in onnx.load(artifact.file("model.onnx")).graph.node]


@pytest.mark.parametrize("method", ["logits", "minmax", "percentile", "entropy", "mse"])
def test_onnx_is_close_by_every_method(measured, expected, method):
    made = quantize_onnx(*writers(measured), QuantConfig(method))
    assert_close_and_not_equal(run(ONNX, made, measured.others), expected)
    assert made.facts["corrected_biases"] == 26
    assert (
        made.file("model.onnx").stat().st_size
        < measured.onnx.file("model.onnx").stat().st_size * 0.3
    )


def test_trt_is_close_where_it_is_run_as_written(measured, expected):
    made = quantize_trt(*writers(measured), MSE)
    logits = run(ONNX, made, measured.others, optimize=False)
    assert_close_and_not_equal(logits, expected)


def test_trt_has_pairs_where_tensorrt_fuses_them_and_nothing_it_refuses(measured):
    graph = onnx.load(quantize_trt(*writers(measured), MSE).file("model.onnx")).graph
    constants = {one.name: onnx.numpy_helper.to_array(one) for one in graph.initializer}
    makers = {name: node for node in graph.node for name in node.output}
    layers = [node for node in graph.node if node.op_type == "Conv"]
    assert len(layers) == 26
    for layer in layers:
        assert makers[layer.input[0]].op_type == "DequantizeLinear"
        assert makers[layer.input[1]].op_type == "DequantizeLinear"
        assert layer.input[2] in constants  # the bias is float
        assert constants[layer.input[2]].dtype == np.float32
        (reader,) = [node.op_type for node in graph.node if layer.output[0] in node.input]
        lowered = BEHIND in layer.output[0]
        assert reader in (("MaxPool", "Concat", "QuantizeLinear") if lowered else ("Relu",))
    for node in graph.node:
        if node.op_type == "QuantizeLinear":
            zero = constants[node.input[2]]
            assert zero.dtype == np.int8
            assert not zero.any()


def test_a_layer_kept_in_float_has_no_pairs(measured):
    made = quantize_trt(*writers(measured), QuantConfig("mse", ("Conv.0", "Conv.25")))
    graph = onnx.load(made.file("model.onnx")).graph
    makers = {name: node.op_type for node in graph.node for name in node.output}
    plain = {
        node.name
        for node in graph.node
        if node.op_type == "Conv" and makers.get(node.input[0]) != "DequantizeLinear"
    }
    assert plain == {"Conv.0", "Conv.25"}


def test_onnx_runtime_does_not_quantize_what_is_kept_in_float(measured, tmp_path):
    made = quantize_onnx(*writers(measured), QuantConfig("mse", ("Conv.5", "Conv.25")))
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    onnxruntime.InferenceSession(
        made.file("model.onnx"), options, providers=["CPUExecutionProvider"]
    )
    graph = onnx.load(tmp_path / "optimized.onnx").graph
    assert [node.op_type for node in graph.node].count("QLinearConv") == 24


@pytest.mark.parametrize(
    "writer", [quantize_onnx, quantize_trt, quantize_openvino, quantize_mnn, quantize_ncnn]
)
def test_an_unknown_layer_is_refused_with_a_suggestion(measured, writer):
    with pytest.raises(UserError, match=r"no layer 'Conv\.99'.*Conv\.\d"):
        writer(*writers(measured), QuantConfig("mse", ("Conv.99",)))


def test_an_unknown_method_is_refused_with_a_suggestion():
    with pytest.raises(UserError, match=r"entropi.*entropy"):
        QuantConfig("entropi")


@pytest.mark.parametrize(("operators", "sums"), [({"Conv", "Relu"}, True), ({"Erf"}, False)])
def test_sums_of_networks_with_attention_stay_in_float(monkeypatch, operators, sums):
    monkeypatch.setattr("calib.quantize_onnx.to_qdq", lambda *arguments: arguments[4])
    onnx = SimpleNamespace(facts={"operators": dict.fromkeys(operators, 1)})
    placement = quantize_onnx(onnx, None, None, MSE)
    assert ("Add" in placement.operators) == sums
    assert {"Conv", "MatMul"} < set(placement.operators)


@pytest.mark.parametrize("method", ["mse", NNCF])
def test_openvino_is_close_with_our_ranges_and_with_nncfs(measured, expected, method):
    made = quantize_openvino(*writers(measured), QuantConfig(method))
    logits = run(OPENVINO, made, measured.others)
    spread = expected - expected.mean(axis=1, keepdims=True)
    assert 0.01 < np.linalg.norm(logits - expected) / np.linalg.norm(spread) < 0.3
    assert made.file("model.bin").stat().st_size < 2e6


def test_nncf_leaves_a_layer_in_float(measured):
    made = quantize_openvino(*writers(measured), QuantConfig(NNCF, ("Conv.0", "Conv.25")))
    operators = openvino.Core().read_model(made.file("model.xml")).get_ops()
    weights = [one for one in operators if one.get_type_name() == "Constant"]
    assert sum(one.get_element_type() == openvino.Type.i8 for one in weights) == 24


def results(measured) -> dict[str, str]:
    """The layers' results by their names: MNN calls a layer after its result."""
    graph = onnx.load(measured.onnx.file("model.onnx")).graph
    return {node.name: node.output[0] for node in graph.node if node.op_type == "Conv"}


def test_mnn_computes_all_layers_but_the_last_in_integers(measured, expected):
    made = quantize_mnn(*writers(measured), MSE)
    assert_close_and_not_equal(run(MNN, made, measured.others), expected)
    assert (made.facts["layers"], made.facts["layers_int8"]) == (26, 25)
    assert made.facts["corrected_biases"] == 25
    assert set(made.manifest["files"]) == {"model.mnn", "probe.npy", "tensors.json"}
    *inner, _ = results(measured).values()
    assert int8_layers(made.file("model.mnn")) == inner
    assert int8_layers(to_mnn(measured.onnx).file("model.mnn")) == []


def test_mnn_leaves_a_layer_in_float(measured):
    made = quantize_mnn(*writers(measured), QuantConfig("mse", ("Conv.0", "Conv.7")))
    left = results(measured)
    *inner, _ = [name for layer, name in left.items() if layer not in ("Conv.0", "Conv.7")]
    assert int8_layers(made.file("model.mnn")) == inner


def write_nonsense(output: str, **_: object) -> None:
    Path(output).write_text('{"pipeline": {"version": "0.0.0", "algo": []}}')


def test_scales_that_mnn_does_not_take_are_noticed(measured, tmp_path, monkeypatch):
    monkeypatch.setenv("BUILD_DIR", str(tmp_path))
    monkeypatch.setattr(mnn, "write_scales", write_nonsense)
    with pytest.raises(StepError, match="MNN's converter left every layer in float"):
        quantize_mnn(*writers(measured), MSE)
    assert not [path for path in tmp_path.rglob("*") if path.name == "model.mnn"]


def test_ncnn_computes_all_layers_in_integers(measured, expected):
    made = quantize_ncnn(*writers(measured), MSE)
    assert_close_and_not_equal(run(NCNN, made, measured.others), expected)
    assert (made.facts["layers"], made.facts["layers_int8"]) == (26, 26)
    assert made.facts["layers_float"] == {}
    assert made.facts["corrected_biases"] == 26
    assert made.facts["batch"] == 1
    assert set(made.manifest["files"]) == {
        *("model.param", "model.bin", "probe.npy", "tensors.json"),
    }
    assert made.file("model.bin").stat().st_size < 1.3e6  # 4.9 MB in float


def test_ncnn_leaves_a_layer_in_float(measured):
    made = quantize_ncnn(*writers(measured), QuantConfig("mse", ("Conv.0", "Conv.25")))
    layers = ncnn_file.read_graph(made.file(NCNN_GRAPH))
    terms = [layer.integer(ncnn_file.INT8_TERM) for layer in layers if "Conv" in layer.kind]
    assert terms == [0, *[2] * 24, 0]
    assert (made.facts["layers_int8"], made.facts["layers_float"]) == (24, {"Conv": 2})


def test_paddles_graph_gets_every_range_and_is_close(measured, expected):
    made = quantize_lite(measured.inference, *writers(measured), MSE)
    assert made.facts["layers"] == made.facts["layers_int8"] == 26
    assert made.facts["corrected_biases"] == 26
    assert made.facts["without_range"] == 0  # dropout's factor went into ONNX' weights
    assert_close_and_not_equal(run(PADDLE, made, measured.others, **AS_WRITTEN), expected)


@pytest.mark.parametrize("kept", [(), ("Conv.2", "Conv.7")])
def test_paddles_graph_computes_what_zero_points_would(measured, expected, tmp_path, kept):
    """Its integers, with the ReLUs and zero points that its lowered tensors do without."""
    made = quantize_lite(measured.inference, *writers(measured), QuantConfig("mse", kept))
    assert made.facts["layers_int8"] == 26 - len(kept)
    found = run(PADDLE, made, measured.others, **AS_WRITTEN)
    source = str(measured.onnx.file("model.onnx"))
    ranges = Ranges.load(measured.ranges).for_grid("mse", LITE_GRID)
    correction = Correction(source, ranges, asdict(LITE_GRID), skip=kept)
    for batch in measured.crops.batches(4, measured.onnx.preprocess):
        correction.add(batch)
    correction.write(str(tmp_path / "corrected.onnx"))
    placed = place_pairs(
        onnx.load(tmp_path / "corrected.onnx"),
        ranges,
        replace(LOWERED, grid=LITE_GRID),
        kept,
        shown=False,
    )
    for layer in placed.graph.node:
        if layer.name in kept:  # it reads what was not rounded
            layer.input[0] = layer.input[0].removesuffix("_DequantizeLinear_Output")
    sort_nodes(placed.graph)
    options = onnxruntime.SessionOptions()
    options.add_session_config_entry("session.disable_quant_qdq", "1")
    session = onnxruntime.InferenceSession(placed.SerializeToString(), options)
    simulated = np.concatenate([session.run(None, {"x": batch})[0] for batch in measured.others])
    error = np.linalg.norm(simulated - expected)
    assert np.linalg.norm(found - simulated) < 0.3 * error  # rounding falls the other way at times


@lite_only
def test_lite_makes_integer_kernels_of_it(measured):
    quantized = quantize_lite(measured.inference, *writers(measured), MSE)
    made = to_lite(quantized, "arm", "int8")
    assert made.file("model.nb").stat().st_size < 1.6e6  # 5.0 MB in float
    assert set(made.facts["kernels"]) == {"arm", "host"}
    assert b"int8" in made.file("model.nb").read_bytes()
