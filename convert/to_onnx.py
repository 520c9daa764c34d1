"""Inference graph to a simplified ONNX file: `model.onnx`, input `x`, output `logits`."""

import collections
from pathlib import Path

from common import files
from common.errors import StepError
from convert import range_fitting, step_check, work
from convert.artifact import MANIFEST, Artifact, Step, produce
from convert.builds import GRAPH, PARAMETERS
from convert.kind import Kind
from runtimes.environments import MAIN
from runtimes.worker import Worker

FILE = "model.onnx"
KIND = Kind("onnx", (FILE,), shown=FILE)
FITTED = {  # of graphs whose ranges are fitted to FP16, by their kind
    one.kind.name: Kind(f"{one.kind.name}-onnx", (FILE,), shown=FILE)
    for one in (range_fitting.ARM, range_fitting.FP32_SUMS)
}
SESSION = "runtimes.sessions.onnx_runtime:Session"

# 17 is the first opset that has LayerNormalization as one operator.
DEFAULT_OPSET = 17
OPSETS = range(11, 20)

# It turns each batched MatMul with a bias into Reshape, Gemm, Reshape: more nodes, not more speed.
_SKIPPED = ["fuse_matmul_add_bias_into_gemm_batched"]


def to_onnx(inference: Artifact, opset: int = DEFAULT_OPSET) -> Artifact:
    """The ONNX file of an inference graph, batch dynamic, simplified by onnxsim and onnxslim.

    Checked by ONNX's checker, to hold no `Shape` operator (the batch is the only dynamic size and
    needs none), and against the inference graph's logits.
    """
    step = Step(
        name="to_onnx",
        build=inference.build,
        kind=FITTED.get(inference.manifest["kind"], KIND).name,
        precision=inference.manifest["precision"],
        inputs={"inference": inference.key},
        parameters={"opset": opset},
        tools={
            name: MAIN.version(name)
            for name in ("paddle2onnx", "onnx", "onnxsim", "onnxslim", "onnxruntime")
        },
        code=(to_onnx,),
    )

    def make(folder: Path) -> dict:
        with Worker("main", f"to_onnx of {inference.name}") as worker:
            facts = worker.call(
                write_onnx,
                source=str(inference.folder),
                output=str(folder / FILE),
                opset=opset,
            )
            checked = step_check.verify(worker, SESSION, folder, inference)
        return {**inference.inherited_facts, "opset": opset, **facts, **checked}

    return produce(step, make, shows=KIND.shown)


def write_onnx(source: str, output: str, opset: int) -> dict:
    """In a child process: convert, simplify, check and write; return facts about the graph."""
    import onnx
    import onnxsim
    import onnxslim
    import paddle2onnx

    raw_file = f"{output}.raw"
    paddle2onnx.export(
        f"{source}/{GRAPH}",
        f"{source}/{PARAMETERS}",
        raw_file,
        opset_version=opset,
        auto_upgrade_opset=False,
        enable_onnx_checker=False,
        optimize_tool="None",  # its own constant folding costs seconds, and onnxsim folds too
    )
    raw = onnx.load(raw_file)
    Path(raw_file).unlink()
    _rename_ends(raw)
    simplified, same = onnxsim.simplify(raw, check_n=0, skipped_optimizers=_SKIPPED)
    if not same:
        raise StepError("onnxsim says that its result differs from its input")
    model = onnxslim.slim(simplified)
    onnx.checker.check_model(model, full_check=True)
    operators = collections.Counter(node.op_type for node in model.graph.node)
    if operators["Shape"]:
        raise StepError(f"the simplified graph computes shapes: {operators['Shape']} Shape nodes")
    onnx.save(model, output)
    return {
        "nodes_raw": len(raw.graph.node),
        "nodes": len(model.graph.node),
        "operators": dict(sorted(operators.items())),
        "multiply_adds": work.count(model)["multiply_adds"],
    }


def multiply_adds(build: str) -> int | None:
    """How many multiply-adds one image takes in a build's ONNX file; None where there is none."""
    manifest = files.read_json(KIND.folder(build) / MANIFEST)
    return manifest["facts"].get("multiply_adds") if manifest else None


def _rename_ends(model) -> None:
    """Give the graph's only input and output the names that every target relies on."""
    graph = model.graph
    names = {graph.input[0].name: "x", graph.output[0].name: "logits"}
    for value in (*graph.input, *graph.output):
        value.name = names.get(value.name, value.name)
    for node in graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
