"""ONNX to MNN: `model.mnn`, input `x`, output `logits`."""

import re
from collections.abc import Sequence
from pathlib import Path

from common.errors import StepError
from common.process import sentence
from convert import step_check
from convert.artifact import Artifact, Step, produce
from convert.kind import Kind
from convert.to_onnx import FILE as ONNX_FILE
from runtimes.environments import MAIN
from runtimes.worker import Worker

FILE = "model.mnn"
KIND = Kind("mnn", (FILE,), shown=FILE)
SESSION = "runtimes.sessions.mnn_cpu:Session"

_REASON = re.compile(r"^\[[\d:]+\] :\d+: (.+)$", re.MULTILINE)  # "[14:43:07] :35: Check failed"


def to_mnn(onnx: Artifact, precision: str = "fp32") -> Artifact:
    """The MNN file of an ONNX file for "fp32" or "fp16", batch dynamic.

    For fp16 the weights are stored as float16; what is computed in float16 is the runtime's choice.
    Checked against the ONNX file's logits. x86 computes both in float32: that shows that the file
    is whole, not that float16 is enough.
    """
    step = Step(
        name="to_mnn",
        build=onnx.build,
        kind=KIND.name,
        precision=precision,
        inputs={"onnx": onnx.key},
        parameters={},
        tools={"MNN": MAIN.version("MNN")},
        code=(to_mnn,),
    )

    def make(folder: Path) -> dict:
        with Worker("main", f"to_mnn {precision} of {onnx.name}") as worker:
            words = ("--fp16",) if precision == "fp16" else ()
            convert(worker, onnx.file(ONNX_FILE), folder / FILE, *words)
            checked = step_check.verify(worker, SESSION, folder, onnx, precision)
        return {**onnx.inherited_facts, **checked}

    return produce(step, make, shows=KIND.shown)


def convert(worker: Worker, source: Path, output: Path, *words: str) -> None:
    """Convert in a worker, with further words for MNN's converter. StepError says why not."""
    worker.call(write_mnn, source=str(source), output=str(output), words=words)
    if not output.exists():  # its only sign of failure
        reasons = _REASON.findall(worker.printed())
        how = "MNN's converter wrote no file"
        raise StepError(sentence(worker.label, how, reasons[-1] if reasons else None))


def write_mnn(source: str, output: str, words: Sequence[str]) -> None:
    """In a child process: convert and write, or print why not.

    Never by `MNN.tools`, which installs packages when it is imported. GELU stays exact: by default
    the converter approximates it, and the Twins' logits are off by 3e-4 in place of 1e-6.
    """
    import _tools

    _tools.mnnconvert(
        [
            *("mnnconvert", "-f", "ONNX", "--modelFile", source, "--MNNModel", output),
            *("--bizCode", "portage", "--useGeluApproximation", "0", *words),
        ]
    )
