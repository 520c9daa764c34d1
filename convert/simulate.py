"""Another arithmetic on hardware that lacks it: every value rounded after every node.

A float32 file is rewritten so that each node's result, each weight and the input go through a
cast to float16 or bfloat16 and back. Run without optimizations (an optimizer removes the casts),
it computes what hardware with that type and float32 accumulators would, overflow to infinity
included. ONNX Runtime on a float16 file does not: on x86 it computes in float32.
"""

from pathlib import Path

from convert import probe
from convert.artifact import Artifact, Step, produce
from convert.to_onnx import FILE, SESSION
from convert.toolchain import MAIN
from convert.worker import Worker


def simulate(onnx: Artifact, precision: str) -> Artifact:
    """The ONNX file `model.onnx` that computes like `precision`, "fp16" or "bf16"."""
    step = Step(
        name="simulate",
        model=onnx.model,
        kind="simulated",
        precision=precision,
        inputs={"onnx": onnx.key},
        parameters={},
        tools={name: MAIN.version(name) for name in ("onnx", "onnxruntime")},
        sources=("convert/simulate.py",),
    )

    def make(folder: Path) -> dict:
        with Worker("main", f"simulate {precision} of {onnx.model}") as worker:
            facts = worker.call(
                "convert.simulate:write_rounded",
                source=str(onnx.file(FILE)),
                output=str(folder / FILE),
                precision=precision,
            )
            checked = probe.verify(worker, SESSION, folder, onnx, precision, optimize=False)
        return {**onnx.heritage, **facts, **checked}

    return produce(step, make, shows=FILE)


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
        short, back = f"{name}/narrow", result or f"{name}/rounded"
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
