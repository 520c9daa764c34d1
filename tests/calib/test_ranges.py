"""One pass over photos: what it finds is what the network's tensors really hold."""

import hashlib
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from calib import tensors
from calib.histogram import Histogram
from calib.methods import METHODS
from calib.observer import Observer
from calib.ranges import Ranges, collect
from common.errors import UserError
from common.paths import ROOT
from convert.artifact import Artifact
from data.crops import Crops, load_crops
from data.images import ImageSet
from data.preprocess import Preprocess

SIDE = 16
PREPROCESS = Preprocess(resize_short=SIDE, crop=SIDE)
RANDOM = np.random.default_rng(2)
PHOTOS = RANDOM.integers(0, 256, (7, SIDE, SIDE, 3), np.uint8)


def photo_set(pixels: np.ndarray = PHOTOS) -> Crops:
    labels = np.zeros(len(pixels), np.int64)
    return Crops(pixels, labels, hashlib.sha256(pixels.tobytes()).hexdigest(), "made up")


def network(fill: float | None = None) -> onnx.ModelProto:
    """Conv, Relu, pool; its halves joined again; a residual sum; logits. `fill` spoils a weight."""

    def weight(name: str, *shape: int) -> onnx.TensorProto:
        values = RANDOM.standard_normal(shape).astype(np.float32)
        if name == "w2" and fill is not None:
            values[:] = fill
        return numpy_helper.from_array(values, name)

    nodes = [
        helper.make_node("Conv", ["x", "w1"], ["conv"], "first", pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["conv"], ["relu"], "cut"),
        helper.make_node(
            "MaxPool", ["relu"], ["pool"], "pool", kernel_shape=[2, 2], strides=[2, 2]
        ),
        helper.make_node("Split", ["pool"], ["left", "right"], "halves", axis=1),
        helper.make_node("Sigmoid", ["left"], ["gate"], "gate"),
        helper.make_node("Concat", ["gate", "right"], ["joined"], "join", axis=1),
        helper.make_node("Conv", ["joined", "w2"], ["second"], "second", pads=[1, 1, 1, 1]),
        helper.make_node("Add", ["second", "pool"], ["sum"], "sum"),
        helper.make_node("GlobalAveragePool", ["sum"], ["mean"], "mean"),
        helper.make_node("Flatten", ["mean"], ["flat"], "flat"),
        helper.make_node("Gemm", ["flat", "w3"], ["logits"], "classify"),
    ]
    graph = helper.make_graph(
        nodes,
        "toy",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, SIDE, SIDE])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", 5])],
        [weight("w1", 8, 3, 3, 3), weight("w2", 8, 8, 3, 3), weight("w3", 8, 5)],
    )
    return helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8, producer_name="tests"
    )


def stored(model: onnx.ModelProto, folder: Path) -> Artifact:
    """The model as the ONNX step leaves it, as far as this matters here."""
    folder.mkdir(parents=True, exist_ok=True)
    onnx.save(model, folder / "model.onnx")
    inherited_facts = {
        **{"weights": "random", "class_num": 5, "input_shape": [3, SIDE, SIDE]},
        "preprocess": Preprocess().to_json(),
    }
    key = hashlib.sha256(model.SerializeToString(deterministic=True)).hexdigest()
    return Artifact(folder, {"model": "Toy", "key": key, "facts": inherited_facts})


def values_of(model: onnx.ModelProto, batch: np.ndarray) -> dict[str, np.ndarray]:
    """Every tensor of the model for a batch, by ONNX's own reference implementation."""
    from onnx.reference import ReferenceEvaluator

    plain = onnx.ModelProto()
    plain.CopyFrom(model)
    names = [name for node in model.graph.node for name in node.output]
    del plain.graph.output[:]
    plain.graph.output.extend(helper.make_empty_tensor_value_info(name) for name in names)
    results = ReferenceEvaluator(plain).run(None, {"x": batch})
    return {"x": batch, **dict(zip(names, results, strict=True))}


def quiet(done: int, total: int | None) -> None:
    pass


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    """The toy network, its collected ranges, and all its tensors' values on the photos."""
    folder = tmp_path_factory.mktemp("toy")
    model = network()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BUILD_DIR", str(folder / "build"))
        artifact = collect(stored(model, folder), photo_set(), PREPROCESS, quiet)
    return model, artifact, values_of(model, PREPROCESS.normalize(PHOTOS))


def test_what_is_observed_and_what_is_told_from_it(toy):
    model, _, _ = toy
    assert tensors.observed(model) == ["x", "relu", "gate", "second", "sum", "mean", "logits"]
    assert tensors.aliases(model) == {
        "conv": ("relu",),  # cut off at zero in the same kernel
        "pool": ("relu",),
        "left": ("relu",),
        "right": ("relu",),
        "joined": ("gate", "relu"),
        "flat": ("mean",),
    }


def test_the_ranges_are_those_of_the_real_values(toy):
    model, artifact, values = toy
    ranges = Ranges.load(artifact)
    assert sorted(ranges.names) == sorted(values)
    for name in tensors.observed(model):
        entry, exact = ranges.tensors[name], values[name].astype(np.float64)
        # ONNX Runtime and the reference implementation add up in different orders.
        close = {"rel": 1e-5, "abs": 1e-5 * np.abs(exact).max()}
        assert entry["min"] == pytest.approx(exact.min(), **close)
        assert entry["max"] == pytest.approx(exact.max(), **close)
        assert entry["mean"] == pytest.approx(exact.mean(), **close)
        assert entry["std"] == pytest.approx(exact.std(), **close)
        assert (entry["count"], entry["non_finite"]) == (exact.size, 0)
        low, high = ranges.range_of(name, "minmax", symmetric=False)
        assert (low, high) == (min(entry["min"], 0), max(entry["max"], 0))
    assert ranges.tensors["relu"]["zeros"] == (values["relu"] == 0).sum()
    np.testing.assert_array_equal(ranges.histogram("x").counts, Histogram.of(values["x"]).counts)
    joined = ranges.range_of("joined", "minmax", symmetric=True)
    assert joined[1] == pytest.approx(values["relu"].max(), rel=1e-5)


def test_every_method_has_a_range_for_every_tensor(toy):
    ranges = Ranges.load(toy[1])
    for name in ranges.names:
        for method in METHODS:
            low, high = ranges.range_of(name, method, symmetric=False)
            assert low <= 0 <= high
            symmetric = ranges.range_of(name, method, symmetric=True)
            assert symmetric[0] == -symmetric[1] < 0


def test_the_artifact_says_what_it_is_of_and_is_found_again(toy, monkeypatch):
    model, artifact, _ = toy
    monkeypatch.setenv("BUILD_DIR", str(artifact.folder.parents[2]))
    facts = artifact.facts
    assert (facts["photos"], facts["photo_set"], facts["tensors"]) == (7, "made up", 7)
    assert facts["photos_sha256"] == photo_set().sha256
    seen = []
    again = collect(
        stored(model, artifact.folder.parents[3]),
        photo_set(),
        PREPROCESS,
        lambda done, total: seen.append(done),
    )
    assert again.key == artifact.key
    assert not seen
    assert [path.name for path in artifact.folder.parent.glob(".*.npz")] == []


def test_the_order_of_the_photos_does_not_matter(toy, build_folder, tmp_path):
    model, artifact, _ = toy
    turned = collect(stored(model, tmp_path), photo_set(PHOTOS[::-1]), PREPROCESS, quiet)
    one, other = Ranges.load(artifact), Ranges.load(turned)
    for name in tensors.observed(model):
        np.testing.assert_array_equal(one.histogram(name).counts, other.histogram(name).counts)


def test_an_unknown_tensor_is_named_with_the_closest(toy):
    with pytest.raises(KeyError, match="no range of a tensor 'secnd': did you mean second"):
        Ranges.load(toy[1]).range_of("secnd", "minmax", symmetric=True)


def test_no_photos_and_photos_of_another_size_are_refused(build_folder, tmp_path):
    toy = stored(network(), tmp_path)
    with pytest.raises(UserError, match="made up: no calibration photos"):
        collect(toy, photo_set(PHOTOS[:0]), PREPROCESS, quiet)
    with pytest.raises(UserError, match="cropped to 8 pixels, but Toy takes 16"):
        collect(toy, photo_set(PHOTOS[:, :8, :8]), PREPROCESS, quiet)
    assert not build_folder.exists()


def test_values_that_are_not_finite_name_the_layer_and_the_photo(build_folder, tmp_path):
    toy = stored(network(fill=np.inf), tmp_path)
    with pytest.raises(UserError, match=r"second \(Conv\) gives \d+ values that .* on photo 1"):
        collect(toy, photo_set(), PREPROCESS, quiet)
    assert not (build_folder / "Toy" / "ranges" / "fp32").exists()


def test_a_constant_activation_is_named_and_has_a_range(build_folder, tmp_path, capsys):
    artifact = collect(stored(network(fill=0), tmp_path), photo_set(), PREPROCESS, quiet)
    assert (
        "warning: second, of second (Conv), has one value on all photos" in capsys.readouterr().err
    )
    assert artifact.facts["constant"] == {"second": "second (Conv)"}
    for method in METHODS:
        assert Ranges.load(artifact).range_of("second", method, symmetric=True) == (-1, 1)


def test_logits_that_never_change_are_an_error(build_folder, tmp_path):
    same = np.repeat(PHOTOS[:1], 3, axis=0)
    with pytest.raises(UserError, match="the 3 photos all give the same logits"):
        collect(stored(network(), tmp_path), photo_set(same), PREPROCESS, quiet)


def test_a_killed_run_goes_on_where_it_was(toy, build_folder, tmp_path):
    model, artifact, _ = toy
    mine = stored(model, tmp_path)
    child = subprocess.Popen(
        [sys.executable, "-m", "tests.calib.slowly", tmp_path],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with child:
        for line in child.stdout:
            if line == "6\n":
                child.send_signal(signal.SIGKILL)
    assert child.returncode == -signal.SIGKILL
    assert not (build_folder / "Toy" / "ranges" / "fp32").exists()

    seen = []
    resumed = collect(mine, photo_set(), PREPROCESS, lambda done, total: seen.append(done))
    assert seen[0] == 4  # what was saved before the photos it was killed at
    one, other = Ranges.load(artifact), Ranges.load(resumed)
    for name in tensors.observed(model):
        np.testing.assert_array_equal(one.histogram(name).counts, other.histogram(name).counts)
        assert one.tensors[name] == other.tensors[name]
    assert not list(build_folder.glob("Toy/ranges/.*.npz"))


@pytest.mark.parametrize("content", [b"", b"not an archive"])
def test_a_damaged_state_is_not_taken_up(toy, build_folder, tmp_path, content):
    partial = build_folder / "Toy" / "ranges" / ".fp32.partial.npz"
    partial.parent.mkdir(parents=True)
    partial.write_bytes(content)
    seen = []
    mine = stored(toy[0], tmp_path)
    collect(mine, photo_set(), PREPROCESS, lambda done, total: seen.append(done))
    assert seen[0] == 0


def test_a_state_that_says_another_number_of_photos_is_not_taken_up(tmp_path):
    onnx.save(network(), tmp_path / "net.onnx")
    state = str(tmp_path / "state.npz")

    def observer() -> Observer:
        return Observer(
            "net", str(tmp_path / "net.onnx"), str(tmp_path), PREPROCESS.to_json(), threads=1
        )

    first = observer()
    first.fold(PHOTOS[:2])
    first.save(state, "key")
    assert observer().resume(state, "key") == 2
    assert observer().resume(state, "another key") == 0
    with np.load(state) as archive:
        kept = dict(archive)
    np.savez(state, **kept | {"photos": np.array(3)})
    assert observer().resume(state, "key") == 0


@pytest.mark.parametrize("quant", ["onnxruntime", "tensorrt"])
def test_onnx_runtimes_quantizer_asks_for_no_other_tensor(toy, quant):
    from onnxruntime.quantization import CalibrationMethod, QuantType
    from onnxruntime.quantization.calibrate import TensorData, TensorsData
    from onnxruntime.quantization.qdq_quantizer import QDQQuantizer
    from onnxruntime.quantization.registry import QDQRegistry, QLinearOpsRegistry

    model, artifact, _ = toy
    ranges = Ranges.load(artifact)
    symmetric = quant == "tensorrt"
    found = {
        name: TensorData(lowest=np.float32(low), highest=np.float32(high))
        for name in ranges.names
        for low, high in [ranges.range_of(name, "minmax", symmetric=symmetric)]
    }
    asked = {}

    class Recorder(dict):
        def __contains__(self, name):
            asked[name] = super().__contains__(name)
            return asked[name]

    weighted = ["Conv", "MatMul", "Gemm"]
    options = {
        "onnxruntime": {},
        "tensorrt": {
            "ActivationSymmetric": True,
            "AddQDQPairToWeight": True,
            "QuantizeBias": False,
            "OpTypesToExcludeOutputQuantization": weighted,
        },
    }
    quantizer = QDQQuantizer(
        onnx.shape_inference.infer_shapes(model),
        per_channel=True,
        reduce_range=False,
        weight_qType=QuantType.QInt8,
        activation_qType=QuantType.QInt8 if symmetric else QuantType.QUInt8,
        tensors_range=TensorsData(CalibrationMethod.MinMax, found),
        nodes_to_quantize=[],
        nodes_to_exclude=[],
        op_types_to_quantize=weighted if symmetric else [*QLinearOpsRegistry, *QDQRegistry],
        extra_options=options[quant],
    )
    quantizer.quantization_params = Recorder(quantizer.quantization_params)
    quantizer.quantize_model()
    assert asked
    assert all(asked.values())


def test_real_photos(photos, build_folder, tmp_path):
    preprocess = Preprocess(resize_short=24, crop=SIDE)
    crops = load_crops(ImageSet.open(photos(5)), preprocess)
    ranges = Ranges.load(collect(stored(network(), tmp_path), crops, preprocess, quiet))
    (batch,) = crops.batches(5, preprocess)
    np.testing.assert_array_equal(ranges.histogram("x").counts, Histogram.of(batch).counts)
