"""INT8 for Paddle Lite on ARM: Paddle's quantized graph, with our ranges as its scales.

The graph holds a rounding operator before, and one after, each layer. Paddle Lite's optimizer turns
them into integer kernels; Paddle's own executor computes the same numbers in float, which is the
simulation of the ARM kernels.
"""

import shutil
from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from calib.bias_correction import measure_errors
from calib.chosen_ranges import chosen_ranges
from calib.fake_quant import LAYERS
from calib.lowering import BEHIND, lowerings
from calib.paddle_graph import OPERATORS, correct_biases, lower
from calib.placement import LOWERED
from calib.qdq import calibrated_on, eight_photos, layer_names
from calib.quant_config import QuantConfig, check_layers
from calib.tensor_ranges import write_tensor_ranges
from convert import step_check
from convert.artifact import Artifact, Step, produce
from convert.builds import GRAPH, PARAMETERS
from convert.export import SESSION
from convert.fingerprint import fingerprint
from convert.kind import Kind
from convert.to_onnx import FILE as ONNX_FILE
from data.crops import Crops
from runtimes.environments import MAIN
from runtimes.worker import Worker

KIND = Kind("quantized", (GRAPH, PARAMETERS), shown=PARAMETERS)
# How the graph is run to see its integers' effect: nothing fused, nothing replaced.
AS_WRITTEN = {"onednn": False, "optimize": False}

GRID = replace(LOWERED.grid, lowest=-127)  # its kernels, and Paddle's operators, cut off there
_SAME = 1e-3  # of a tensor's size: float32's rounding, even in a deep network, stays below it


def quantize_lite(
    inference: Artifact, onnx: Artifact, ranges: Artifact, crops: Crops, quant: QuantConfig
) -> Artifact:
    """The fake-quantized form of an inference graph, for `to_lite` and for the simulation.

    Activations are signed with one scale, weights signed with a scale per output channel. The
    ranges have the ONNX file's names; which tensor of the graph is which is found by running both
    on a photo. A layer whose input has no counterpart stays in float, and the facts count it.
    """
    step = Step(
        name="quantize_lite",
        build=inference.build,
        kind=KIND.name,
        precision="int8",
        inputs={"inference": inference.key, "onnx": onnx.key, "ranges": ranges.key},
        parameters={"quant": asdict(quant)},
        tools={name: MAIN.version(name) for name in ("paddlepaddle", "onnxruntime")},
        code=(quantize_lite,),
    )
    label = f"quantize_lite of {inference.name}"

    def make(folder: Path) -> dict:
        photo = next(crops.batches(1, inference.preprocess))
        scope = chosen_ranges(
            *(onnx, ranges, crops, quant.method, LOWERED), keep_float=quant.keep_float
        )
        with Worker("main", label) as worker:
            layers = worker.call(layer_names, source=str(onnx.file(ONNX_FILE)))
            check_layers(quant.keep_float, layers, onnx.model)
            measure_errors(worker, onnx, crops, scope, GRID, quant.keep_float)
            facts = worker.call(
                write_quantized,
                source=str(inference.folder),
                onnx_file=str(onnx.file(ONNX_FILE)),
                output=str(folder),
                photo=photo,
                ranges=scope,
                shifts=worker.use("shifts"),
                keep_float=list(quant.keep_float),
            )
            rounded = facts.pop("rounded")
            write_tensor_ranges(
                *(folder, ranges, scope), symmetric=GRID.symmetric, layers=layers, **rounded
            )
            photos = eight_photos(crops, inference.preprocess)
            checked = step_check.verify_on(
                photos, worker, SESSION, folder, inference, SESSION, **AS_WRITTEN
            )
        return {
            **inference.inherited_facts,
            **facts,
            **checked,
            **asdict(quant),
            "calibration": calibrated_on(ranges),
        }

    return produce(step, make, shows=KIND.shown)


def write_quantized(
    source: str,
    onnx_file: str,
    output: str,
    photo: np.ndarray,
    ranges: Mapping[str, tuple[float, float]],
    shifts: Mapping[str, np.ndarray],
    keep_float: list[str],
) -> dict:
    """In a child process: lower what ranges say, insert the rounding operators and write; returns
    facts, and what is rounded, by the ONNX file's names.

    `photo` is float32 [1, 3, S, S]; `ranges` are of the ONNX file's tensors, `shifts` has for some
    of them what their bias needs more of, [channels].
    """
    import onnx
    import paddle
    from paddle.static.quantization import PostTrainingQuantization

    paddle.enable_static()
    executor = paddle.static.Executor(paddle.CPUPlace())
    values = _onnx_values(onnx_file, photo, ranges)
    names = _counterparts(executor, source, photo, values)
    program, feeds, fetched = paddle.static.load_inference_model(f"{source}/inference", executor)
    corrected = correct_biases(program, shifts, names)
    lowered: dict[str, float] = {}
    for lowering in lowerings(onnx.load(onnx_file), ranges, GRID, keep_float):
        lowered |= lower(program, lowering, names)
    # The magnitudes that become 127.
    known = {
        name: ranges[counterpart][1] * factor or 1.0
        for name, (counterpart, factor) in names.items()
    } | lowered
    corrected_graph = Path(output) / "corrected"
    entry = [program.global_block().var(name) for name in feeds]
    paddle.static.save_inference_model(
        str(corrected_graph / "inference"), entry, fetched, executor, program=program
    )
    inputs = _layer_inputs(program)
    skipped = [
        *(name for name in inputs if name not in known),
        *_readers_to_skip(onnx_file, keep_float, names),
    ]
    quantization = PostTrainingQuantization(
        executor,
        str(corrected_graph),
        model_filename=GRAPH,
        params_filename=PARAMETERS,
        data_loader=lambda: iter([{"x": photo}]),  # it insists on a run; its ranges are replaced
        batch_nums=1,
        algo="abs_max",
        quantizable_op_type=OPERATORS,
        skip_tensor_list=skipped,
        scale_dict=known | _weight_scales(program),
    )
    quantized = quantization.quantize()
    _set_output_scales(quantized, known)
    quantization.save_quantized_model(output, GRAPH, PARAMETERS)
    shutil.rmtree(corrected_graph)
    block = quantized.global_block()
    layers = [operator for operator in block.ops if operator.type in OPERATORS]
    rounded = {
        name
        for operator in block.ops
        if operator.type.startswith("fake_quantize")
        for name in operator.output_arg_names
    }
    in_onnx = [names[name][0] for name in inputs if name not in skipped]
    return {
        "layers": len(layers),
        "layers_int8": sum(bool(rounded & set(layer.input_arg_names)) for layer in layers),
        "rounded": {"rounded": in_onnx, "in_int8": _readers(onnx_file, in_onnx, keep_float)},
        "corrected_biases": corrected,
        "without_range": len([name for name in inputs if name not in known]),
    }


def _layer_inputs(program) -> list[str]:
    """The activations that the layers with weights read."""
    block = program.global_block()
    found: dict[str, None] = {}
    for operator in block.ops:
        if operator.type in OPERATORS:
            found |= dict.fromkeys(
                name for name in operator.input_arg_names if not block.var(name).persistable
            )
    return list(found)


def _weight_scales(program) -> dict[str, list[float]]:
    """The layers' weights, each with the largest magnitude of every output channel."""
    import paddle

    block = program.global_block()
    found: dict[str, list[float]] = {}
    for operator in block.ops:
        if operator.type in OPERATORS:
            for name in operator.input_arg_names:
                if block.var(name).persistable:
                    values = np.abs(
                        np.array(paddle.static.global_scope().find_var(name).get_tensor())
                    )
                    axis = 0 if "conv" in operator.type else values.ndim - 1
                    others = tuple(row for row in range(values.ndim) if row != axis)
                    found[name] = [float(value) for value in values.max(others)]
    return found


def _onnx_values(onnx_file: str, photo: np.ndarray, names: Iterable[str]) -> dict:
    """The values of tensors of an ONNX file on a photo, by name."""
    import onnx
    import onnxruntime

    model = onnx.load(onnx_file)
    entry = model.graph.input[0].name
    wanted = [name for name in names if name != entry]
    del model.graph.output[:]
    model.graph.output.extend(onnx.helper.make_empty_tensor_value_info(name) for name in wanted)
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    results = session.run(wanted, {entry: photo})
    return {entry: photo, **dict(zip(wanted, results, strict=True))}


def _counterparts(
    executor, source: str, photo: np.ndarray, values: dict
) -> dict[str, tuple[str, float]]:
    """For the graph's tensors, the tensor of the ONNX file that has the same values in any order.

    Or has them times a number, which is given too: a factor may have moved into the weights.
    """
    import paddle

    program, feeds, _ = paddle.static.load_inference_model(f"{source}/inference", executor)
    block = program.global_block()
    floats = {
        name: None
        for operator in block.ops
        if operator.type not in ("feed", "fetch")
        for name in (*operator.input_arg_names, *operator.output_arg_names)
        if not block.var(name).persistable and block.var(name).dtype == paddle.float32
    }
    results = executor.run(
        program, feed={feeds[0]: photo}, fetch_list=[block.var(name) for name in floats]
    )
    candidates: dict[int, list[tuple]] = {}
    for name, value in values.items():
        candidates.setdefault(value.size, []).append((name, *fingerprint(value)))
    found = {}
    for name, value in zip(floats, results, strict=True):
        if (
            value is None or value.size not in candidates
        ):  # shapes that nobody reads are not computed
            continue
        shape, scale = fingerprint(value)
        best = min(
            (
                float(np.abs(shape - other).max()),
                abs(np.log(scale / size)),
                counterpart,
                scale / size,
            )
            for counterpart, other, size in candidates[value.size]
        )
        if best[0] <= _SAME:
            found[name] = best[2:]
    return found


def _readers(onnx_file: str, tensors: list[str], keep_float: list[str]) -> list[str]:
    """The layers of an ONNX file, but some, whose activations are all among some tensors."""
    import onnx

    graph = onnx.load(onnx_file, load_external_data=False).graph
    weights = {tensor.name for tensor in graph.initializer}
    return [
        node.name
        for node in graph.node
        if node.op_type in LAYERS
        and node.name not in keep_float
        and set(node.input[:2]) - weights <= set(tensors)
    ]


def _readers_to_skip(
    onnx_file: str, keep_float: list[str], names: Mapping[str, tuple[str, float]]
) -> list[str]:
    """The graph's tensors that the layers to keep in float read.

    Paddle skips by tensor, so every layer that reads one of them stays in float as well, but where
    it reads a lowered one.
    """
    import onnx

    graph = onnx.load(onnx_file, load_external_data=False).graph
    read = {node.input[0] for node in graph.node if node.name in keep_float}
    return [
        name
        for name, (counterpart, _) in names.items()
        if counterpart in read and BEHIND not in name
    ]


def _set_output_scales(program, scales: Mapping[str, float]) -> None:
    """Replace the operators' output scales, which come from a single photo, by ours."""
    for operator in program.global_block().ops:
        if not operator.has_attr("out_threshold"):
            continue
        name = operator.output_arg_names[0]
        for attribute in [word for word in operator.attr_names if word.endswith("_threshold")]:
            if name in scales:
                operator._set_attr(attribute, float(scales[name]))
            else:
                operator._remove_attr(attribute)
