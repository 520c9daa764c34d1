"""What shows a GPU's peak: an engine's file of known work, which the real parser takes."""

import numpy as np
import onnx
import onnxruntime
import pytest

from convert.fp16_graph import write_fp16
from convert.tensorrt_builder import Network
from convert.work import count
from deploy.speed.gpu_floor import write_products


def test_the_products_take_the_multiply_adds_that_the_peak_is_reckoned_with(tmp_path):
    path = tmp_path / "products.onnx"
    write_products(str(path), layers=3, channels=32, side=8, quantized=False)
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    assert count(model, 4)["multiply_adds"] == 3 * 32**2 * 8**2 * 4


def test_quantized_they_compute_the_same_within_their_steps(tmp_path):
    images = np.random.default_rng(0).standard_normal((2, 32, 8, 8), np.float32)
    logits = {}
    for quantized in (False, True):
        path = tmp_path / f"{quantized}.onnx"
        write_products(str(path), layers=3, channels=32, side=8, quantized=quantized)
        (logits[quantized],) = onnxruntime.InferenceSession(path).run(None, {"x": images})
    assert logits[True].shape == (2, 32)
    error = np.abs(logits[True] - logits[False]).max() / np.abs(logits[False]).max()
    assert 0 < error < 0.1


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_tensorrt_rtx_builds_them_for_a_t4(tmp_path, precision):
    path, engine = tmp_path / "products.onnx", tmp_path / "products.engine"
    write_products(str(path), layers=2, channels=64, side=8, quantized=precision == "int8")
    if precision == "fp16":
        write_fp16(str(path), str(tmp_path / "fp16.onnx"))
        path = tmp_path / "fp16.onnx"
    network = Network(str(path), "tensorrt_rtx")
    network.build(str(engine), precision, [(8, 8, 8)], architecture="sm_75")
    assert engine.stat().st_size > 1000
