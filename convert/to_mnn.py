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
            if precision == "fp16":
                rounded = folder / "rounded.onnx"
                worker.call(write_rounded, source=str(onnx.file(ONNX_FILE)), output=str(rounded))
                convert(worker, rounded, folder / FILE, "--fp16")
                rounded.unlink()
            else:
                convert(worker, onnx.file(ONNX_FILE), folder / FILE)
            checked = step_check.verify(worker, SESSION, folder, onnx, precision)
        return {**onnx.inherited_facts, **checked}

    return produce(step, make, shows=KIND.shown)


def write_rounded(source: str, output: str) -> None:
    """In a child process: write an ONNX file whose weights float16 can hold, each the nearest.

    MNN's converter cuts off the digits that float16 lacks. So every weight gets smaller, and what
    26 layers lose by that adds up: to ten times the error of rounding.
    """
    import numpy as np
    import onnx
    from onnx import numpy_helper

    model = onnx.load(source)
    for tensor in model.graph.initializer:
        if tensor.data_type == onnx.TensorProto.FLOAT:
            with np.errstate(over="ignore"):
                narrow = numpy_helper.to_array(tensor).astype(np.float16)
            tensor.CopyFrom(numpy_helper.from_array(narrow.astype(np.float32), tensor.name))
    onnx.save(model, output)


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
