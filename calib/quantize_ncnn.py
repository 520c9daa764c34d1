"""INT8 for ncnn: our ranges, written into its files in the form of its tool `ncnn2int8`.

That tool is in no package, and takes scales without a name for more than plain convolutions.
"""

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from calib.bias_correction import measure_errors
from calib.chosen_ranges import chosen_ranges
from calib.fake_quant import LAYERS, Grid, channel_axis, group_count
from calib.placement import LAYER_INPUTS
from calib.qdq import calibrated_on, eight_photos, layer_names
from calib.quant_config import QuantConfig, check_layers
from calib.tensor_ranges import write_tensor_ranges
from common.errors import StepError
from convert import ncnn_file, step_check
from convert.artifact import Artifact, Step, produce
from convert.ncnn_file import CONVOLUTION, GEMM, GROUPED, INT8_TERM, LINEAR, Layer, Numbers
from convert.to_ncnn import GRAPH, KIND, SESSION, WEIGHTS, convert
from convert.to_onnx import FILE as ONNX_FILE
from convert.to_onnx import SESSION as ONNX_SESSION
from data.crops import Crops
from runtimes.environments import MAIN
from runtimes.worker import Worker

GRID = Grid(symmetric=True, weight_limit=127, per_group=True)

# How the term calls one scale per group and one per channel.
_TERMS = {CONVOLUTION: 2, GROUPED: 1, LINEAR: 2}


def quantize_ncnn(onnx: Artifact, ranges: Artifact, crops: Crops, quant: QuantConfig) -> Artifact:
    """`model.param` and `model.bin` in INT8, for one image at a time.

    Layers with weights compute in integers: signed activations with one scale, signed weights with
    one per channel, or per group of a grouped convolution. What is between layers stays in float,
    as do products of two activations. The manifest counts both.
    """
    label = f"quantize_ncnn of {onnx.name}"
    step = Step(
        name="quantize_ncnn",
        build=onnx.build,
        kind=KIND.name,
        precision="int8",
        inputs={"onnx": onnx.key, "ranges": ranges.key},
        parameters={"quant": asdict(quant)},
        tools={name: MAIN.version(name) for name in ("onnx", "onnxruntime", "pnnx", "ncnn")},
        code=(quantize_ncnn,),
    )

    def make(folder: Path) -> dict:
        corrected = folder / "corrected.onnx"
        scope = chosen_ranges(onnx, ranges, crops, quant.method, LAYER_INPUTS)
        with Worker("main", label) as worker:
            layers = worker.call(layer_names, source=str(onnx.file(ONNX_FILE)))
            check_layers(quant.keep_float, layers, onnx.model)
            measure_errors(worker, onnx, crops, scope, GRID, quant.keep_float)
            shifted = worker.use("write", output=str(corrected))
            prepared = convert(worker, corrected, onnx.facts["input_shape"], folder)
            counted = worker.call(
                write_integers,
                source=str(corrected),
                folder=str(folder),
                ranges=scope,
                keep_float=list(quant.keep_float),
            )
            corrected.unlink()
            write_tensor_ranges(
                *(folder, ranges, scope),
                symmetric=GRID.symmetric,
                layers=layers,
                **counted.pop("rounded"),
            )
            photos = eight_photos(crops, onnx.preprocess)
            checked = step_check.verify_on(photos, worker, SESSION, folder, onnx, ONNX_SESSION)
        return {
            **onnx.inherited_facts,
            "batch": 1,
            **prepared,
            **counted,
            **checked,
            **asdict(quant),
            "layers": len(layers),
            "corrected_biases": shifted,
            "calibration": calibrated_on(ranges),
        }

    return produce(step, make, shows=KIND.shown)


def write_integers(
    source: str, folder: str, ranges: Mapping[str, tuple[float, float]], keep_float: list[str]
) -> dict:
    """In a child process: give the layers of a float file the integers that an ONNX file's have.

    pnnx gives layers names of its own, so that a layer is known by its weights. Returns how many
    compute in integers, how many of which operator stay in float, and what is rounded. StepError
    where a layer is not in the file.
    """
    import onnx

    graph, weights = Path(folder, GRAPH), Path(folder, WEIGHTS)
    model = onnx.load(source).graph
    operators = Counter(node.op_type for node in model.node if node.op_type in LAYERS)
    waiting = _integers(model, ranges, keep_float)
    every = [one for found in waiting.values() for one in found]
    rounded = {"rounded": [one.tensor for one in every], "in_int8": [one.name for one in every]}
    layers, done = ncnn_file.read(graph, weights), 0
    for layer in layers:
        if layer.kind in (CONVOLUTION, GROUPED, LINEAR, GEMM):
            found = waiting.get(_digest(layer.numbers[0].values))
            if found:
                integers = found.pop(0)
                _quantize(layer, integers)
                operators[integers.operator] -= 1
                done += 1
    absent = sum(map(len, waiting.values()))
    if absent:
        raise StepError(f"pnnx changed the weights of {absent} layers that are to be in INT8")
    ncnn_file.write(layers, graph, weights)
    return {"layers_int8": done, "layers_float": dict(+operators), "rounded": rounded}


@dataclass(frozen=True)
class _Integers:
    """A layer's weights int8 [outputs, inputs], and ncnn's scales: what makes integers of floats.

    `scales` float32 [outputs], or [groups] of a grouped convolution; `entry` that of the input,
    the tensor `tensor`.
    """

    name: str
    operator: str
    tensor: str
    weight: np.ndarray
    scales: np.ndarray
    entry: np.ndarray


def _integers(
    model, ranges: Mapping[str, tuple[float, float]], keep_float: list[str]
) -> dict[bytes, list[_Integers]]:
    """The layers to quantize, by their float weights; equal ones in the order of the graph."""
    from onnx import numpy_helper

    tensors = {tensor.name: tensor for tensor in model.initializer}
    found: dict[bytes, list[_Integers]] = {}
    for node in model.node:
        if node.op_type not in LAYERS or node.name in keep_float:
            continue
        if node.input[1] not in tensors or node.input[0] not in ranges:
            continue
        weight = numpy_helper.to_array(tensors[node.input[1]])
        scales = GRID.weight_scales(weight, node)
        rows = [
            np.moveaxis(values, channel_axis(node), 0).reshape(scales.size, -1)
            for values in (weight, np.rint(weight / scales).astype(np.int8), scales)
        ]
        groups = group_count(node)
        kept = rows[2].reshape(groups, -1)[:, 0] if groups > 1 else rows[2]
        entry, _ = GRID.of_range(ranges[node.input[0]])
        integers = _Integers(
            *(node.name, node.op_type, node.input[0]),
            *(rows[1], 1 / kept.ravel(), 1 / entry.reshape(1)),
        )
        found.setdefault(_digest(rows[0]), []).append(integers)
    return found


def _digest(weight: np.ndarray) -> bytes:
    return hashlib.blake2b(weight.tobytes()).digest()


def _quantize(layer: Layer, integers: _Integers) -> None:
    """Turn a float layer into one in integers.

    A Gemm becomes an InnerProduct, which does the same with rows: ncnn's integer Gemm has one scale
    for all weights, and takes none for its input.
    """
    bias = [numbers.values for numbers in layer.numbers[1:]]
    if layer.kind == GEMM:
        outputs, inputs = integers.weight.shape
        layer.kind = LINEAR
        layer.parameters = {0: str(outputs), 1: str(len(bias)), 2: str(outputs * inputs)}
    layer.parameters[INT8_TERM] = str(_TERMS[layer.kind])
    layer.numbers = [
        Numbers(integers.weight, tagged=True),
        *(Numbers(values, tagged=False) for values in (*bias, integers.scales, integers.entry)),
    ]
