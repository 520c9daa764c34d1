"""An inference graph that ends early: its part from the input to one tensor, as a graph of its own.

What shows no tensor but its result, as Paddle Lite, shows any tensor so.
"""

from pathlib import Path

from convert.artifact import Artifact, Step, produce
from convert.builds import GRAPH, PARAMETERS
from convert.kind import Kind
from runtimes.environments import MAIN
from runtimes.worker import Worker


def cut_graph(worker: Worker, inference: Artifact, tensor: str, place: int) -> Artifact:
    """`inference.pdmodel` and `.pdiparams` whose only result is a tensor, the `place`th in order.

    The graph is pruned as Paddle prunes it when it is saved: what the tensor needs is left as it
    was, quantization included. The worker's environment is "main"; it may make many.
    """
    kind = kind_of_cut(inference.manifest["kind"], place)
    step = Step(
        name="cut_graph",
        build=inference.build,
        kind=kind.name,
        precision=inference.manifest["precision"],
        inputs={"inference": inference.key},
        parameters={"tensor": tensor},
        tools={"paddlepaddle": MAIN.version("paddlepaddle")},
        code=(cut_graph,),
    )

    def make(folder: Path) -> dict:
        operators = worker.call(
            write_cut, source=str(inference.folder), output=str(folder), tensor=tensor
        )
        return {**inference.inherited_facts, "tensor": tensor, "operators_of_whole": operators}

    return produce(step, make, shows=kind.shown)


def kind_of_cut(kind: str, place: int) -> Kind:
    """Of a kind of graph, the cuts at a place: each lies in a folder of its own."""
    return Kind(f"cuts/{kind}-{place:04d}", (GRAPH, PARAMETERS), shown=GRAPH)


def write_cut(source: str, output: str, tensor: str) -> int:
    """In a child process: prune and write; returns how many operators the whole graph has."""
    import paddle

    paddle.enable_static()
    executor = paddle.static.Executor(paddle.CPUPlace())
    with paddle.static.scope_guard(paddle.static.Scope()):  # another graph's weights have its names
        program, feeds, _ = paddle.static.load_inference_model(f"{source}/inference", executor)
        block = program.global_block()
        paddle.static.save_inference_model(
            f"{output}/{Path(GRAPH).stem}",
            [block.var(name) for name in feeds],
            [block.var(tensor)],
            executor,
            program=program,
        )
    parameters = Path(output) / PARAMETERS
    if not parameters.exists():  # nothing with weights comes before the tensor
        parameters.write_bytes(b"")
    return len(program.global_block().ops)
