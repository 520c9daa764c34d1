"""ONNX to ncnn, by pnnx: `model.param` and `model.bin`, input `in0`, output `out0`."""

import importlib.util
import shutil
from pathlib import Path

from common import process
from common.errors import StepError
from convert import step_check
from convert.artifact import Artifact, Step, produce
from convert.kind import Kind
from convert.ncnn_graph import write_prepared
from convert.to_onnx import FILE as ONNX_FILE
from runtimes.environments import MAIN
from runtimes.worker import Worker

GRAPH = "model.param"
WEIGHTS = "model.bin"
KIND = Kind("ncnn", (GRAPH, WEIGHTS), shown=WEIGHTS)
SESSION = "runtimes.sessions.ncnn_cpu:Session"

_LIMIT = 900.0  # seconds; pcpvt_large takes a minute


def to_ncnn(onnx: Artifact, precision: str = "fp32") -> Artifact:
    """The ncnn files of an ONNX file for "fp32" or "fp16", for one image at a time.

    For fp16 the weights are stored as float16; what is computed in float16 is the runtime's choice.
    Checked against the ONNX file's logits, whose batches are run image by image; x86 computes both
    in float32: that shows that the file is whole, not that float16 is enough.
    """
    step = Step(
        name="to_ncnn",
        build=onnx.build,
        kind=KIND.name,
        precision=precision,
        inputs={"onnx": onnx.key},
        parameters={},
        tools={name: MAIN.version(name) for name in ("onnx", "pnnx", "ncnn")},
        code=(to_ncnn,),
    )
    label = f"to_ncnn {precision} of {onnx.name}"

    def make(folder: Path) -> dict:
        with Worker("main", label) as worker:
            shape = onnx.facts["input_shape"]
            prepared = convert(
                worker, onnx.file(ONNX_FILE), shape, folder, fp16=precision == "fp16"
            )
            checked = step_check.verify(worker, SESSION, folder, onnx, precision)
        return {**onnx.inherited_facts, "batch": 1, **prepared, **checked}

    return produce(step, make, shows=KIND.shown)


def convert(
    worker: Worker, source: Path, shape: tuple[int, int, int], folder: Path, *, fp16: bool = False
) -> dict[str, int]:
    """Write the ncnn files of an ONNX file into a folder; what `write_prepared` counts.

    By pnnx, which fills a folder with side files, and whose status is 0 for graphs that ncnn cannot
    load as well.
    """
    scratch = folder / "pnnx"
    scratch.mkdir()
    prepared = worker.call(write_prepared, source=str(source), output=str(scratch / ONNX_FILE))
    sizes = ",".join(map(str, (1, *shape)))
    command = [_pnnx(), ONNX_FILE, f"inputshape=[{sizes}]", f"fp16={fp16:d}"]
    settings = {"TMPDIR": str(scratch)}
    done = process.run(
        command, what=worker.label, limit=_LIMIT, folder=scratch, environment=settings
    )
    stem = Path(ONNX_FILE).stem
    for name in KIND.files:
        made = scratch / f"{stem}.ncnn{Path(name).suffix}"
        if not made.exists():
            how = f"pnnx wrote no {made.name}"
            raise StepError(process.sentence(worker.label, how, process.error_line(done)))
        made.rename(folder / name)
    shutil.rmtree(scratch)
    return prepared


def _pnnx() -> Path:
    """The program; the package's own starter of it imports torch."""
    package = importlib.util.find_spec("pnnx")
    if package is None or package.origin is None:
        raise StepError("pnnx is not installed; run: make setup")
    return Path(package.origin).with_name("pnnx")
