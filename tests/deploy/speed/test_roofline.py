"""What a model takes: multiply-adds against published counts, and the floor that follows."""

import os
import types

import onnx
import pytest
from onnx import TensorProto, helper

from deploy.speed import roofline

# VGG16's convolutions (output channels; M halves the picture) and its classifier.
_VGG16 = [64, 64, "M", 128, 128, "M", *[256] * 3, "M", *[512] * 3, "M", *[512] * 3, "M"]


def save(path, nodes, sizes: dict[str, list], output: str, weights: dict[str, list] | None = None):
    """A model whose weights are further inputs, so that it needs no data."""

    def value(name, shape):
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

    inputs = [value(name, shape) for name, shape in sizes.items()]
    initializers = [
        helper.make_tensor(name, TensorProto.FLOAT, shape, bytes(4 * shape[0] * shape[1]), raw=True)
        for name, shape in (weights or {}).items()
    ]
    graph = helper.make_graph(nodes, "toy", inputs, [value(output, None)], initializers)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), path)
    return str(path)


def vgg16(path):
    nodes, sizes, name, channels = [], {"x": ["N", 3, 224, 224]}, "x", 3
    for number, width in enumerate(_VGG16):
        if width == "M":
            step = {"kernel_shape": [2, 2], "strides": [2, 2]}
            nodes.append(helper.make_node("MaxPool", [name], [f"v{number}"], **step))
        else:
            sizes[f"w{number}"] = [width, channels, 3, 3]
            ends = [name, f"w{number}"], [f"v{number}"]
            nodes.append(helper.make_node("Conv", *ends, pads=[1, 1, 1, 1]))
            channels = width
        name = f"v{number}"
    nodes.append(helper.make_node("Flatten", [name], ["flat"]))
    name = "flat"
    for number, (inner, outer) in enumerate([(512 * 49, 4096), (4096, 4096), (4096, 1000)]):
        sizes[f"fc{number}"] = [inner, outer]
        nodes.append(helper.make_node("Gemm", [name, f"fc{number}"], [f"y{number}"]))
        name = f"y{number}"
    return save(path, nodes, sizes, name)


@pytest.mark.parametrize("batch", [1, 4])
def test_vgg16_takes_the_multiply_adds_that_are_published(tmp_path, batch):
    found = roofline.count_in(vgg16(tmp_path / "model.onnx"), batch)
    # 15.3 thousand millions in the convolutions (Simonyan and Zisserman's network at 224 x 224),
    # the rest in the classifier; the published 30.81 GFLOPs count each as two.
    assert found["multiply_adds"] == batch * (15_346_630_656 + 123_633_664)
    assert 2e-9 * found["multiply_adds"] / batch == pytest.approx(30.81, rel=0.01)


def test_groups_transposes_batched_products_and_bytes(tmp_path):
    nodes = [
        helper.make_node("Conv", ["x", "k"], ["c"], group=4, strides=[2, 2]),
        helper.make_node("Relu", ["c"], ["r"]),
        helper.make_node("MatMul", ["r", "w"], ["m"]),
        helper.make_node("Flatten", ["m"], ["f"], axis=1),
        helper.make_node("Gemm", ["f", "g"], ["y"], transA=1),
    ]
    sizes = {"x": ["N", 8, 16, 16], "k": [12, 2, 2, 2], "g": ["N", 5]}
    path = save(tmp_path / "model.onnx", nodes, sizes, "y", weights={"w": [8, 3]})
    model = onnx.load(path)
    model.graph.input[2].type.tensor_type.shape.dim[0].dim_value = 2
    onnx.save(model, path)
    found = roofline.count_in(path, 2)
    conv, product, gemm = 2 * 12 * 8 * 8, 2 * 12 * 8 * 3, 12 * 8 * 3 * 5
    assert found["multiply_adds"] == conv * 2 * 2 * 2 + product * 8 + gemm * 2
    assert found["activation_bytes"] == 4 * (conv + product + gemm)
    assert found["weight_bytes"] == 4 * 8 * 3


def test_the_floor_is_the_larger_of_the_two_times():
    work = roofline.Work(multiply_adds=10**9, weight_bytes=4 * 10**8, activation_bytes=10**8)
    assert work.bytes == 6 * 10**8
    assert roofline.Peak(gmacs=100.0, gbytes=600.0).floor_ms(work) == pytest.approx(10)
    assert roofline.Peak(gmacs=100.0, gbytes=20.0).floor_ms(work) == pytest.approx(30)


def test_a_core_reaches_something_for_each_batch(tmp_path):
    path = vgg16(tmp_path / "model.onnx")
    onnx = types.SimpleNamespace(model="VGG16", name="VGG16", file=lambda name: path)
    cores = sorted(os.sched_getaffinity(0))[:1]
    found = roofline.floors(onnx, [1, 2], cores)
    (one, peak), (two, peak_of_two) = found[1], found[2]
    assert two.multiply_adds == 2 * one.multiply_adds
    assert two.bytes == 2 * one.bytes  # the weights are inputs here
    assert peak.gmacs == peak_of_two.gmacs
    for rate in (peak.gmacs, peak.gbytes, peak_of_two.gbytes):
        assert 0.1 < rate < 10_000
