"""FP16 as Paddle Lite's ARM kernels compute it, held against what real ARM code computed."""

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from convert import arm_fp16, step_check
from convert.export import export
from convert.simulate import explain_arm_overflow
from convert.simulate_arm_fp16 import Session
from convert.to_onnx import to_onnx
from data.crops import load_crops
from data.images import ImageSet
from models.registry import MODELS
from models.weights import find_weights
from tests.conftest import SHARED, needs_shared
from tests.convert import toy


def numbers(*shape, size=1.0) -> np.ndarray:
    return (size * np.random.default_rng(1).standard_normal(shape)).astype(np.float16)


def test_every_sum_is_rounded_after_each_product():
    left, right, bias = numbers(3, 70), numbers(70, 5, size=200), numbers(3, size=1000)
    expected = np.repeat(bias[:, None], 5, axis=1)
    for place in range(70):
        product = left[:, place, None].astype(np.float64) * right[place].astype(np.float64)
        expected = (expected + product).astype(np.float16)
    np.testing.assert_array_equal(arm_fp16.multiply(left, right, bias), expected)


@pytest.mark.parametrize("size", [1e-7, 3e-5, 1.0, 65519.0, 65520.0, 1e5, np.inf, np.nan])
def test_products_are_rounded_as_ieee_says(size):
    with np.errstate(over="ignore"):
        left = np.float16([[1.0]]), np.float32([[size]])
        expected = np.float32([[size]]).astype(np.float16)
        half = arm_fp16._multiply(left[0].astype(np.float32), left[1], np.zeros(1, np.float32))
    np.testing.assert_array_equal(half.astype(np.float16), expected)


def test_a_vector_is_multiplied_in_eight_sums():
    left, vector = numbers(4, 100), numbers(100)
    exact = left.astype(np.float64) @ vector.astype(np.float64)
    assert np.abs(arm_fp16.multiply_vector(left, vector) - exact).max() < 0.1


@pytest.mark.parametrize(
    ("weights", "options", "output", "side"),
    [
        ((64, 16, 3, 3), {}, (55, 55), 4),
        ((64, 16, 3, 3), {}, (7, 7), 2),
        ((64, 16, 3, 3), {"strides": (2, 2)}, (55, 55), 0),
        ((64, 16, 3, 3), {"dilations": (2, 2)}, (55, 55), 0),
        ((64, 16, 3, 3), {"groups": 2}, (55, 55), 0),
        ((64, 8, 3, 3), {}, (55, 55), 0),
        ((8, 64, 3, 3), {}, (55, 55), 0),
        ((64, 16, 1, 1), {}, (55, 55), 0),
        ((64, 16, 5, 5), {}, (55, 55), 0),
    ],
)
def test_winograd_is_used_where_paddle_lite_uses_it(weights, options, output, side):
    usual = {"groups": 1, "strides": (1, 1), "dilations": (1, 1)}
    assert arm_fp16.tile(weights, output=output, **usual | options) == side


@pytest.mark.parametrize(
    ("channels", "size", "kernel", "stride", "pad", "groups", "dilation"),
    [
        (16, 30, 3, 1, 1, 1, 1),  # F(4×4, 3×3), the last tiles cut
        (16, 7, 3, 1, 1, 1, 1),  # F(2×2, 3×3)
        (16, 9, 3, 2, 0, 1, 1),
        (16, 9, 3, 1, 1, 4, 1),
        (16, 11, 5, 1, 2, 1, 2),
    ],
)
def test_a_convolution_is_close_to_the_exact_one(
    channels, size, kernel, stride, pad, groups, dilation
):
    image, bias = numbers(channels, size, size), numbers(24)
    weights = numbers(24, channels // groups, kernel, kernel, size=0.1)
    node = {"strides": [stride] * 2, "pads": [pad] * 4, "dilations": [dilation] * 2}
    computed = arm_fp16.convolve(image, weights, bias, groups=groups, **node)
    graph = helper.make_graph(
        [helper.make_node("Conv", ["x", "w", "b"], ["y"], group=groups, **node)],
        "exact",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, None)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [
            numpy_helper.from_array(value.astype(np.float32), name)
            for name, value in (("w", weights), ("b", bias))
        ],
    )
    opsets = [helper.make_opsetid("", 17)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    exact = session.run(None, {"x": image[None].astype(np.float32)})[0][0]
    assert computed.shape == exact.shape
    assert 0 < np.abs(computed - exact).max() / np.abs(exact).max() < 0.05


def test_winograd_overflows_where_a_product_does_not():
    image = np.full((16, 30, 30), 9000, np.float16)
    weights = numbers(24, 16, 3, 3, size=0.02)
    options = {"strides": (1, 1), "pads": (1, 1, 1, 1), "dilations": (1, 1)}
    assert not np.isfinite(arm_fp16.convolve(image, weights, None, groups=1, **options)).all()
    halves = np.concatenate([weights[:, :8], weights[:, 8:]])  # two groups: no Winograd
    assert np.isfinite(arm_fp16.convolve(image, halves, None, groups=2, **options)).all()


def test_a_whole_network_batch_by_batch(tmp_path):
    folder = toy.make(tmp_path / "onnx", toy.FULLY_CONNECTED).folder
    images = np.random.default_rng(2).standard_normal((3, *toy.SHAPE), np.float32)
    logits = Session(str(folder), "fp16", 1).run(images)
    exact = onnxruntime.InferenceSession(folder / "model.onnx").run(None, {"x": images})[0]
    assert logits.dtype == np.float32
    assert 0 < np.abs(logits - exact).max() / np.abs(exact).max() < 0.02


def test_a_layer_that_overflows_inside_is_named(tmp_path):
    folder = toy.make(tmp_path / "onnx", toy.CONVOLUTIONAL, scale=500.0).folder
    images = step_check.images(toy.SHAPE)[:1]
    assert explain_arm_overflow(folder, images) == ""
    assert "Conv 'Conv.0'" in explain_arm_overflow(folder, 1000 * images)


# ---- real ARM code ----


@pytest.fixture(scope="module")
def real(built, tmp_path_factory):
    """`real(model, rows)`: the simulation's logits and real ARM's, in FP16 and in FP32."""
    shared, weights = SHARED, SHARED / "data" / "weights"
    lines = (shared / "data" / "val_list.txt").read_text().splitlines()[:20]
    folder = tmp_path_factory.mktemp("first20")
    (folder / "images").symlink_to(shared / "data" / "images")
    (folder / "val_list.txt").write_text("\n".join(lines) + "\n")

    def run(model: str, rows: list[int]):
        spec = MODELS[model]
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("BUILD_DIR", str(built))
            graph = to_onnx(export(spec, find_weights(spec, str(weights)), 1000, spec.name))
            crops = load_crops(ImageSet.open(folder), spec.preprocess)
        photos = next(crops.batches(len(rows), spec.preprocess, rows))
        simulated = Session(str(graph.folder), "fp16", 1, fused=False).run(photos)
        kept = (np.load(shared / "arm" / f"{model}-{name}.npy") for name in ("fp16", "fp32"))
        return simulated, *(logits[rows] for logits in kept)

    return run


@needs_shared
def test_the_photos_that_overflow_on_arm_overflow_and_the_others_err_as_much(real):
    simulated, half, single = real("SqueezeNet1_1", [2, 4, 5, 7, 9, 12, 13, 15, 18])
    broken = ~np.isfinite(half).all(axis=1)
    assert broken.tolist() == [False, True, False, True, False, True, False, False, False]
    np.testing.assert_array_equal(~np.isfinite(simulated).all(axis=1), broken)
    scale = np.abs(single[~broken]).max(axis=1)
    errors, expected = (
        np.median(np.abs(logits - single)[~broken].max(axis=1) / scale)
        for logits in (simulated, half)
    )
    assert expected / 2 < errors < 2 * expected


@needs_shared
def test_every_photo_overflows_in_squeezenet1_0_as_on_arm(real):
    simulated, half, _ = real("SqueezeNet1_0", [0, 6, 13])
    assert not np.isfinite(half).all(axis=1).any()
    assert not np.isfinite(simulated).all(axis=1).any()
