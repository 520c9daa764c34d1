"""Another arithmetic on hardware that lacks it: every value rounded after every node.

A float32 file is rewritten so that each node's result, each weight and the input go through a
cast to float16 or bfloat16 and back. Run without optimizations (an optimizer removes the casts),
it computes what hardware with that type and float32 accumulators would, overflow to infinity
included. ONNX Runtime on a float16 file does not: on x86 it computes in float32.

It cannot see what happens inside of a layer. Hardware whose sums are of the narrow type too, or
that transforms a convolution's input (Winograd) in it, overflows earlier and errs more: for
Paddle Lite on ARM there is `convert.simulate_arm_fp16`.
"""

from pathlib import Path

import numpy as np

from common.errors import StepError
from convert import step_check
from convert.artifact import Artifact, Step, produce
from convert.kind import Kind
from convert.to_onnx import FILE, SESSION
from runtimes.environments import MAIN
from runtimes.worker import Worker

KIND = Kind("simulated", (FILE,), shown=FILE)
ARM_SESSION = "convert.simulate_arm_fp16:Session"  # slow: some photos a minute
# What a result has to say of it.
BLIND = "simulated by rounding after every node, which shows no overflow inside of a layer"
_NARROW, _ROUNDED = "/narrow", "/rounded"  # what a value's casts are called


def simulate(onnx: Artifact, precision: str) -> Artifact:
    """The ONNX file `model.onnx` that computes like `precision`, "fp16" or "bf16".

    StepError names the first layer that overflows on the synthetic images, where one does.
    """
    step = Step(
        name="simulate",
        build=onnx.build,
        kind=KIND.name,
        precision=precision,
        inputs={"onnx": onnx.key},
        parameters={},
        tools={name: MAIN.version(name) for name in ("onnx", "onnxruntime")},
        code=(simulate,),
    )

    def make(folder: Path) -> dict:
        with Worker("main", f"simulate {precision} of {onnx.name}") as worker:
            facts = worker.call(
                write_rounded,
                source=str(onnx.file(FILE)),
                output=str(folder / FILE),
                precision=precision,
            )
            try:
                checked = step_check.verify(
                    worker, SESSION, folder, onnx, precision, optimize=False
                )
            except StepError as error:
                synthetic = step_check.images(tuple(onnx.facts["input_shape"]))
                reason = explain_overflow(folder, synthetic[:1])
                raise StepError(f"{error}{reason}") from error
        return {**onnx.inherited_facts, **facts, **checked}

    return produce(step, make, shows=KIND.shown)


def write_rounded(source: str, output: str, precision: str) -> dict:
    """In a child process: put the casts in, and write. Returns how many there are."""
    import onnx
    from onnx import TensorProto, helper

    narrow = {"fp16": TensorProto.FLOAT16, "bf16": TensorProto.BFLOAT16}[precision]
    model = onnx.shape_inference.infer_shapes(onnx.load(source), data_prop=True)
    graph = model.graph
    typed = (*graph.value_info, *graph.output, *graph.input)
    floats = {
        value.name for value in typed if value.type.tensor_type.elem_type == TensorProto.FLOAT
    }
    weights = [tensor for tensor in graph.initializer if tensor.data_type == TensorProto.FLOAT]
    floats |= {tensor.name for tensor in weights}

    rounded: dict[str, str] = {}
    nodes = []

    def round_value(name: str, result: str | None = None) -> None:
        short, back = f"{name}{_NARROW}", result or f"{name}{_ROUNDED}"
        nodes.append(helper.make_node("Cast", [name], [short], f"{back}/to", to=narrow))
        nodes.append(
            helper.make_node("Cast", [short], [back], f"{back}/back", to=TensorProto.FLOAT)
        )
        rounded[name] = back

    for value in (graph.input[0], *weights):
        round_value(value.name)
    logits = graph.output[0].name
    for node in graph.node:
        node.input[:] = [rounded.get(name, name) for name in node.input]
        if logits in node.output:
            node.output[:] = [f"{name}/raw" if name == logits else name for name in node.output]
        nodes.append(node)
        for name in node.output:
            if name == f"{logits}/raw":
                round_value(name, logits)
            elif name in floats:
                round_value(name)
    del graph.node[:]
    del graph.value_info[:]
    graph.node.extend(nodes)
    onnx.checker.check_model(model)
    onnx.save(model, output)
    return {"casts": 2 * len(rounded)}


def explain_overflow(folder: Path, batch: np.ndarray) -> str:
    """A clause that names the layer of a simulated file where a batch first becomes infinite.

    Empty where none does. `batch` is float32 [N, 3, S, S].
    """
    with Worker("main", f"looking for an overflow in {folder}") as worker:
        found = worker.call(first_overflow, source=str(folder / FILE), batch=batch)
    if found is None:
        return ""
    layer, largest, limit = found
    return f"; the first to overflow is {layer}, whose {largest:.6g} is more than {limit:g}"


def explain_arm_overflow(folder: Path, batch: np.ndarray) -> str:
    """The same of a file and a photo in `ARM_SESSION`: float32 [1, 3, S, S]."""
    with Worker("main", f"looking for an overflow in {folder}") as worker:
        worker.open(ARM_SESSION, folder=str(folder), precision="fp16", threads=1)
        layer = worker.use("first_overflow", batch=batch)
    return f"; the first to overflow, inside or after it, is {layer}" if layer else ""


def first_overflow(source: str, batch: np.ndarray) -> tuple[str, float, float] | None:
    """In a child process: the first value of a simulated file that only its cast makes infinite.

    What it is, its largest magnitude in float32, and the largest that the type holds.
    """
    import onnx
    import onnxruntime
    from onnx import helper, numpy_helper

    model = onnx.load(source)
    graph = model.graph
    makers = {name: node for node in graph.node for name in node.output}
    casts = [node for node in graph.node if node.output[0].endswith(_NARROW)]
    known = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    weights = set(known)
    known[graph.input[0].name] = batch
    wanted = [node.input[0] for node in casts if node.input[0] not in known]
    del graph.output[:]
    graph.output.extend(helper.make_empty_tensor_value_info(name) for name in wanted)

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model.SerializeToString(), options)
    computed = session.run(wanted, {graph.input[0].name: batch})
    known |= dict(zip(wanted, computed, strict=True))
    for node in casts:
        name = node.input[0]
        kind = helper.tensor_dtype_to_np_dtype(node.attribute[0].i)
        largest = np.abs(known[name]).max()
        with np.errstate(over="ignore"):
            overflows = np.isfinite(largest) and not np.isfinite(largest.astype(kind))
        if overflows:
            limit = float(np.finfo(kind).max)
            return _describe(name, makers.get(name), weights), float(largest), limit
    return None


def _describe(value: str, maker, weights: set[str]) -> str:
    """A value in words: the node that makes it, with the weights that it is known by."""
    if maker is None:
        return f"the weights '{value}'" if value in weights else f"the input '{value}'"
    inputs = [name.removesuffix(_ROUNDED) for name in maker.input]
    own = next((f" with the weights '{name}'" for name in inputs if name in weights), "")
    return f"{maker.op_type} '{maker.name}'{own}"
