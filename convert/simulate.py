"""Another arithmetic on hardware that lacks it: every value rounded after every node.

A float32 file is rewritten so that each node's result, each weight and the input go through a
cast to float16 or bfloat16 and back. Run without optimizations (an optimizer removes the casts),
it computes what hardware with that type and float32 accumulators would, overflow to infinity
included. ONNX Runtime on a float16 file does not: on x86 it computes in float32.

It cannot see what happens inside of a layer. Hardware whose sums are of the narrow type too, or
that transforms a convolution's input (Winograd) in it, overflows earlier and errs more: for
Paddle Lite on ARM there is `convert.simulate_arm_fp16`.
"""

from collections.abc import Collection
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

    model = onnx.shape_inference.infer_shapes(onnx.load(source), data_prop=True)
    graph = model.graph
    nodes = rounded_nodes(list(graph.node), floats_of(graph), graph.output[0].name, precision)
    del graph.node[:]
    del graph.value_info[:]
    graph.node.extend(nodes)
    onnx.checker.check_model(model)
    onnx.save(model, output)
    return {"casts": sum(node.output[0].endswith(_NARROW) for node in nodes) * 2}


def floats_of(graph) -> set[str]:
    """The float32 tensors of an ONNX graph with inferred shapes, weights included."""
    from onnx import TensorProto

    typed = (*graph.value_info, *graph.output, *graph.input)
    kinds = {value.name: value.type.tensor_type.elem_type for value in typed}
    kinds |= {tensor.name: tensor.data_type for tensor in graph.initializer}
    return {name for name, kind in kinds.items() if kind == TensorProto.FLOAT}


def rounded_nodes(
    nodes: list,
    floats: Collection[str],
    result: str,
    precision: str,
    chosen: Collection[str] | None = None,
) -> list:
    """Sorted nodes, with casts of what the `chosen` ones (None: all) read and give, which is to be
    float32; the last one's `result` keeps its name. The nodes are changed."""
    from onnx import TensorProto, helper

    narrow = {"fp16": TensorProto.FLOAT16, "bf16": TensorProto.BFLOAT16}[precision]
    made: dict[str, str] = {}  # by chosen nodes: all others read it rounded, too
    read: dict[str, str] = {}
    found = []

    def round_value(name: str, back: str) -> None:
        short = f"{name}{_NARROW}"
        found.append(helper.make_node("Cast", [name], [short], f"{back}/to", to=narrow))
        found.append(
            helper.make_node("Cast", [short], [back], f"{back}/back", to=TensorProto.FLOAT)
        )

    for node in nodes:
        own = chosen is None or node.name in chosen
        for name in node.input:
            if own and name in floats and name not in made and name not in read:
                read[name] = f"{name}{_ROUNDED}"
                round_value(name, read[name])
        known = made | read if own else made
        node.input[:] = [known.get(name, name) for name in node.input]
        outputs = [name for name in node.output if own and name in floats]
        if result in outputs:
            node.output[:] = [f"{name}/raw" if name == result else name for name in node.output]
        found.append(node)
        for name in outputs:
            if name == result:
                round_value(f"{name}/raw", name)
            else:
                made[name] = f"{name}{_ROUNDED}"
                round_value(name, made[name])
    return found


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
