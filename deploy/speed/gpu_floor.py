"""The time that a GPU needs for a model at the very least, in the precision that its engine has.

As on a CPU (`deploy.speed.roofline`) it is the larger of two times: the multiply-adds at the rate
of matrix products, and the bytes at that of memory. The first rate is measured in an engine of the
same library and precision that is nothing but 1×1 convolutions, each of them one such product.
"""

from collections.abc import Sequence
from typing import Any

from common.temporary import temporary_folder
from convert.artifact import Artifact
from convert.to_onnx import FILE
from convert.to_tensorrt import ENGINE, build_engine
from deploy.speed.roofline import Peak, Work, count_in
from runtimes.nvidia import Gpu
from runtimes.tensorrt_library import Library
from runtimes.worker import Worker

_LAYERS, _CHANNELS, _SIDE, _BATCH = 4, 1024, 32, 8  # 8.6e9 multiply-adds a layer: a T4's ms or two
_BYTES = {"fp32": 4, "fp16": 2, "int8": 1}  # of a value
_SOURCE = "products.onnx"


def floors(
    onnx: Artifact, batches: Sequence[int], precision: str, gpu: Gpu, library: Library
) -> dict[int, tuple[Work, Peak]]:
    """For each batch, what an ONNX file's model takes and what the GPU reaches now.

    Weights and activations are counted in the precision's bytes. StepError where the GPU or its
    library fails.
    """
    label = f"measuring what {gpu.name} reaches in {precision}"
    with temporary_folder() as folder, Worker("main", label) as main:
        path = str(onnx.file(FILE))
        works = [_narrow(main.call(count_in, path=path, batch=one), precision) for one in batches]
        size = {"layers": _LAYERS, "channels": _CHANNELS, "side": _SIDE}
        source = folder / _SOURCE
        main.call(write_products, output=str(source), quantized=precision == "int8", **size)
        with Worker(library.environment, label) as worker:
            profiles = ((_BATCH, _BATCH, _BATCH),)
            engine = folder / ENGINE
            build_engine(worker, main, source, engine, precision, gpu, library, profiles)
            reached = worker.call(
                "runtimes.sessions.gpu_peaks:reach",
                folder=str(folder),
                precision=precision,
                gpu=vars(gpu),
                library=library.module,
                shape=[_BATCH, _CHANNELS, _SIDE, _SIDE],
            )
    products = _LAYERS * _CHANNELS**2 * _SIDE**2 * _BATCH
    peak = Peak(1e-9 * products / reached["seconds"], 1e-9 * reached["bytes_per_s"])
    return dict(zip(batches, ((work, peak) for work in works), strict=True))


def _narrow(counted: dict[str, int], precision: str) -> Work:
    width = _BYTES[precision]
    return Work(
        counted["multiply_adds"],
        counted["weight_bytes"] * width // 4,
        counted["activation_bytes"] * width // 4,
    )


def write_products(output: str, layers: int, channels: int, side: int, quantized: bool) -> None:
    """In a child process: write an ONNX file of so many 1×1 convolutions, one after another.

    Its input `x` is float32 [N, channels, side, side], its logits [N, channels]; quantized, each
    convolution has a pair of QuantizeLinear and DequantizeLinear before both of its inputs.
    """
    import numpy as np
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    nodes, weights = [], []

    def constant(name: str, value: Any) -> str:
        weights.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def node(kind: str, inputs: list[str], output: str) -> str:
        nodes.append(helper.make_node(kind, inputs, [output], output))
        return output

    random = np.random.default_rng(0)
    width = 1 / np.sqrt(channels)  # so that results keep the size of what went in
    if quantized:
        step = [constant("step", np.float32(1 / 32)), constant("zero", np.int8(0))]
        steps = [constant("steps", np.float32(width / 32)), "zero"]
    name = "x"
    for number in range(layers):
        kernel = random.standard_normal((channels, channels, 1, 1), np.float32)
        if quantized:
            small = np.clip(np.rint(32 * kernel), -127, 127).astype(np.int8)
            integers = [constant(f"weight.{number}", small), *steps]
            weight = node("DequantizeLinear", integers, f"weight.{number}/float")
            name = node("QuantizeLinear", [name, *step], f"{name}/small")
            name = node("DequantizeLinear", [name, *step], f"{name}/float")
        else:
            weight = constant(f"weight.{number}", kernel * np.float32(width))
        name = node("Conv", [name, weight], f"conv.{number}")
    name = node("GlobalAveragePool", [name], "pool")
    node("Flatten", [name], "logits")

    def value(name: str, shape: list) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

    ends = [value("x", ["N", channels, side, side])], [value("logits", ["N", channels])]
    graph = helper.make_graph(nodes, "products", *ends, weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), output)
