"""ONNX to OpenVINO's intermediate representation: `model.xml` and `model.bin`."""

from pathlib import Path

from convert import step_check
from convert.artifact import Artifact, Step, produce
from convert.kind import Kind
from convert.to_onnx import FILE as ONNX_FILE
from runtimes.environments import MAIN
from runtimes.worker import Worker

GRAPH = "model.xml"
WEIGHTS = "model.bin"
KIND = Kind("openvino", (GRAPH, WEIGHTS), shown=WEIGHTS)
SESSION = "runtimes.sessions.openvino_cpu:Session"


def to_openvino(onnx: Artifact, precision: str) -> Artifact:
    """The IR of an ONNX file for "fp32", "bf16" or "fp16".

    For fp16 the weights are stored as float16. For bf16 they stay float32: OpenVINO rounds them
    when it loads the model. Checked against the ONNX file's logits.
    """
    step = Step(
        name="to_openvino",
        build=onnx.build,
        kind=KIND.name,
        precision=precision,
        inputs={"onnx": onnx.key},
        parameters={},
        tools={"openvino": MAIN.version("openvino")},
        code=(to_openvino,),
    )

    def make(folder: Path) -> dict:
        with Worker("main", f"to_openvino {precision} of {onnx.name}") as worker:
            worker.call(
                write_ir,
                source=str(onnx.file(ONNX_FILE)),
                output=str(folder / GRAPH),
                fp16=precision == "fp16",
            )
            checked = step_check.verify(worker, SESSION, folder, onnx, precision)
        return {**onnx.inherited_facts, **checked}

    return produce(step, make, shows=KIND.shown)


def write_ir(source: str, output: str, fp16: bool) -> None:
    """In a child process: convert and write."""
    import openvino

    openvino.save_model(openvino.convert_model(source), output, compress_to_fp16=fp16)
