"""Quantization written into an ONNX file: QuantizeLinear and DequantizeLinear pairs (QDQ)."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import numpy as np

from calib import lowering
from calib.bias_correction import measure_errors
from calib.chosen_ranges import chosen_ranges
from calib.fake_quant import LAYERS, sort_nodes
from calib.placement import Placement, place_pairs
from calib.quant_config import QuantConfig, check_layers
from calib.tensor_ranges import write_tensor_ranges
from convert import step_check
from convert.artifact import Artifact, Step, produce
from convert.kind import Kind
from convert.to_onnx import FILE
from convert.to_onnx import SESSION as ONNX_SESSION
from data.crops import Crops
from data.images import spread_rows
from data.preprocess import Preprocess
from runtimes.environments import MAIN
from runtimes.worker import Worker


def to_qdq(
    onnx: Artifact,
    ranges: Artifact,
    crops: Crops,
    quant: QuantConfig,
    placement: Placement,
    kind: Kind,
) -> Artifact:
    """The INT8 form `model.onnx` of an ONNX file, as an artifact of a kind.

    `ranges` were measured on `crops`, of which some also serve to correct the biases. Raises
    UserError for an unknown layer in the configuration.
    """
    step = Step(
        name=f"quantize_{kind.name}",
        build=onnx.build,
        kind=kind.name,
        precision="int8",
        inputs={"onnx": onnx.key, "ranges": ranges.key},
        parameters={"quant": asdict(quant), "placement": asdict(placement)},
        tools={name: MAIN.version(name) for name in ("onnx", "onnxruntime")},
        code=(to_qdq,),
    )
    label = f"quantize_{kind.name} of {onnx.name}"

    def make(folder: Path) -> dict:
        with Worker("main", label) as worker:
            layers = worker.call(layer_names, source=str(onnx.file(FILE)))
            check_layers(quant.keep_float, layers, onnx.model)
            scope = chosen_ranges(
                *(onnx, ranges, crops, quant.method, placement), keep_float=quant.keep_float
            )
            corrected = folder / "corrected.onnx"
            measure_errors(worker, onnx, crops, scope, placement.grid, quant.keep_float)
            shifted = worker.use("write", output=str(corrected))
            facts = worker.call(
                write_qdq,
                source=str(corrected),
                output=str(folder / FILE),
                ranges=scope,
                placement=placement,
                keep_float=list(quant.keep_float),
            )
            rounded = facts.pop("rounded")
            write_tensor_ranges(
                *(folder, ranges, scope),
                symmetric=placement.grid.symmetric,
                layers=layers,
                **rounded,
            )
            corrected.unlink()
            checked = step_check.verify_on(
                eight_photos(crops, onnx.preprocess),
                *(worker, ONNX_SESSION, folder, onnx, ONNX_SESSION),
                optimize=placement.optimize,
            )
        return {
            **onnx.inherited_facts,
            **facts,
            **checked,
            **asdict(quant),
            "corrected_biases": shifted,
            "calibration": calibrated_on(ranges),
        }

    return produce(step, make, shows=kind.shown)


def calibrated_on(ranges: Artifact) -> dict:
    """What a manifest says of the photos that its ranges come from."""
    return {name: ranges.facts[name] for name in ("photos", "photo_set", "photos_sha256")}


def eight_photos(crops: Crops, preprocess: Preprocess) -> np.ndarray:
    """The network's input float32 [8, 3, S, S] of photos spread over the set; few are repeated."""
    rows = np.resize(spread_rows(len(crops), sum(step_check.BATCHES)), sum(step_check.BATCHES))
    return next(crops.batches(len(rows), preprocess, list(rows)))


def layer_names(source: str) -> list[str]:
    """In a child process: the layers of an ONNX file that quantization may leave in float."""
    import onnx

    graph = onnx.load(source, load_external_data=False).graph
    return [node.name for node in graph.node if node.op_type in LAYERS]


def write_qdq(
    source: str,
    output: str,
    ranges: Mapping[str, tuple[float, float]],
    placement: Placement,
    keep_float: list[str],
) -> dict:
    """In a child process: lower what ranges say, place the pairs, check and write; returns facts
    about the graph, and what is rounded."""
    import onnx

    model = onnx.load(source)
    bounds = lowering.lower(model, ranges, placement.grid, keep_float)
    placed = place_pairs(model, bounds, placement, keep_float)
    if placement.optimize:
        _keep_from_optimizer(placed, keep_float)
    sort_nodes(placed.graph)
    onnx.checker.check_model(placed)
    onnx.save(placed, output)
    kinds = [node.op_type for node in placed.graph.node]
    return {
        "nodes": len(kinds),
        "pairs": kinds.count("QuantizeLinear"),
        "rounded": _rounded(placed.graph, ranges),
    }


def _rounded(graph, ranges: Mapping[str, tuple[float, float]]) -> dict[str, list[str]]:
    """The tensors with a range that a graph rounds, and the layers that read only integers."""
    pairs = [node for node in graph.node if node.op_type == "QuantizeLinear"]
    read = dict.fromkeys(lowering.of(node.input[0]) for node in pairs)
    tensors = [name for name in read if name in ranges]
    integers = {
        name for node in graph.node if node.op_type == "DequantizeLinear" for name in node.output
    }
    layers = [
        node.name
        for node in graph.node
        if node.op_type in LAYERS and integers.issuperset(node.input[:2])
    ]
    return {"rounded": tensors, "in_int8": layers}


def _keep_from_optimizer(model, layers: list[str]) -> None:
    """Keep ONNX Runtime from quantizing layers that are to stay in float.

    Its optimizer quantizes the weights of any layer between a DequantizeLinear and a QuantizeLinear
    (pass WeightBiasQuantization; a Relu in between goes first, as redundant): in eight bits, and
    without asking. A Max, which it leaves alone, does what the Relu did, or nothing.
    """
    import onnx

    graph = model.graph
    for layer in [node for node in graph.node if node.name in layers]:
        result = layer.output[0]
        readers = [node for node in graph.node if result in node.input]
        floor = f"{layer.name}/floor"
        if [node.op_type for node in readers] == ["Relu"]:
            relu, lowest = readers[0], 0.0
            relu.op_type = "Max"
            relu.input.append(floor)
        elif any(node.op_type == "QuantizeLinear" for node in readers):
            lowest = float(np.finfo(np.float32).min)
            layer.output[0] = f"{result}/float"
            graph.node.append(onnx.helper.make_node("Max", [layer.output[0], floor], [result]))
        else:
            continue
        graph.initializer.append(onnx.numpy_helper.from_array(np.array(lowest, np.float32), floor))
