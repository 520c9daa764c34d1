"""INT8 for MNN: our ranges, in the JSON form in which its converter takes them."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from calib.bias_correction import measure_errors
from calib.chosen_ranges import chosen_ranges
from calib.fake_quant import LAYERS, Grid
from calib.placement import LAYER_INPUTS
from calib.qdq import calibrated_on, eight_photos, layer_names
from calib.quant_config import QuantConfig, check_layers
from calib.tensor_ranges import write_tensor_ranges
from common.errors import StepError
from convert import step_check
from convert.artifact import Artifact, Step, produce
from convert.mnn_file import int8_layers
from convert.to_mnn import FILE, KIND, SESSION, convert
from convert.to_onnx import FILE as ONNX_FILE
from convert.to_onnx import SESSION as ONNX_SESSION
from data.crops import Crops
from runtimes.environments import MAIN
from runtimes.worker import Worker

GRID = Grid(symmetric=True, weight_limit=127)
_CONVERTED = "__matmul_converted"  # behind the name of what a convolution computes in its place


def quantize_mnn(onnx: Artifact, ranges: Artifact, crops: Crops, quant: QuantConfig) -> Artifact:
    """`model.mnn` in INT8: signed activations with one scale, signed weights with one per channel.

    The last layer stays in float: MNN rounds what an integer layer gives, and averages such
    integers wrongly (logits of 1e21). How many layers compute in integers is read from the file.
    """
    label = f"quantize_mnn of {onnx.name}"
    step = Step(
        name="quantize_mnn",
        build=onnx.build,
        kind=KIND.name,
        precision="int8",
        inputs={"onnx": onnx.key, "ranges": ranges.key},
        parameters={"quant": asdict(quant)},
        tools={name: MAIN.version(name) for name in ("onnx", "onnxruntime", "MNN")},
        code=(quantize_mnn,),
    )

    def make(folder: Path) -> dict:
        corrected, scales = folder / "corrected.onnx", folder / "scales.json"
        scope = chosen_ranges(onnx, ranges, crops, quant.method, LAYER_INPUTS)
        with Worker("main", label) as worker:
            layers = worker.call(layer_names, source=str(onnx.file(ONNX_FILE)))
            check_layers(quant.keep_float, layers, onnx.model)
            in_float = [*quant.keep_float, layers[-1]]
            measure_errors(worker, onnx, crops, scope, GRID, in_float)
            shifted = worker.use("write", output=str(corrected))
            scaled = worker.call(
                write_scales,
                source=str(corrected),
                output=str(scales),
                ranges=scope,
                keep_float=in_float,
            )
            convert(worker, corrected, folder / FILE, "--compressionParamsFile", str(scales))
            corrected.unlink()
            scales.unlink()
            found = int8_layers(folder / FILE)
            if not found:  # it does not mind scales that it cannot read, or that are no layer's
                raise StepError(f"{label}: MNN's converter left every layer in float")
            write_tensor_ranges(
                *(folder, ranges, scope), symmetric=GRID.symmetric, layers=layers, **scaled
            )
            photos = eight_photos(crops, onnx.preprocess)
            checked = step_check.verify_on(photos, worker, SESSION, folder, onnx, ONNX_SESSION)
        return {
            **onnx.inherited_facts,
            **checked,
            **asdict(quant),
            "layers": len(layers),
            "layers_int8": len(found),
            "corrected_biases": shifted,
            "calibration": calibrated_on(ranges),
        }

    return produce(step, make, shows=KIND.shown)


def write_scales(
    source: str, output: str, ranges: Mapping[str, tuple[float, float]], keep_float: list[str]
) -> dict[str, list[str]]:
    """In a child process: write MNN's "compression parameters" of an ONNX file's layers; returns
    what is rounded by them.

    MNN finds a layer's by the tensor that it gives: its own, that of a Relu that MNN fuses, or a
    convolution's that MNN makes of a product. So each layer is there by all of them.
    """
    import onnx
    from onnx import numpy_helper

    graph = onnx.load(source).graph
    weights = {tensor.name: tensor for tensor in graph.initializer}
    layers, rounded, in_int8 = [], [], []
    for node in graph.node:
        entry, result = node.input[0], node.output[0]
        if node.op_type not in LAYERS or node.name in keep_float:
            continue
        if node.input[1] not in weights or not {entry, result} <= ranges.keys():
            continue
        weight = numpy_helper.to_array(weights[node.input[1]])
        layer = {
            "input": [_scales(entry, [_of_range(ranges[entry])])],
            "weight": [_scales(node.input[1], GRID.weight_scales(weight, node).ravel())],
            "method": 0,
        }
        behind = [
            other.output[0]
            for other in graph.node
            if other.op_type == "Relu" and other.input[0] == result
        ]
        layers += [
            {**layer, "output": [_scales(name, [_of_range(ranges[result])])]}
            for name in (result, f"{result}{_CONVERTED}", *behind)
        ]
        rounded += [entry, result]
        in_int8.append(node.name)
    algorithm = {"type": 0, "quant_params": {"round_mode": 0, "layer": layers}}
    Path(output).write_text(json.dumps({"version": "0.0.0", "algo": [algorithm]}))
    return {"rounded": rounded, "in_int8": in_int8}


def _of_range(bounds: tuple[float, float]) -> float:
    return float(GRID.of_range(bounds)[0])


def _scales(name: str, scales) -> dict:
    """Scales of a tensor's numbers, float [1] or [channels], as MNN's JSON has them."""
    integers = {"bits": 8, "zero_point": 0, "clamp_min": -127, "clamp_max": 127}
    return {"name": name, "scales": [float(scale) for scale in scales], **integers}
