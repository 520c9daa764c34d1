"""ONNX to what OpenCV's DNN module was seen to run: the same `model.onnx`."""

from pathlib import Path

from common import files
from convert import step_check
from convert.artifact import Artifact, Step, produce
from convert.kind import Kind
from convert.to_onnx import FILE as ONNX_FILE
from runtimes.environments import MAIN
from runtimes.worker import Worker

FILE = ONNX_FILE
KIND = Kind("opencv", (FILE,), shown=FILE)
SESSION = "runtimes.sessions.opencv_dnn:Session"
PACKAGE = "opencv-python-headless"


def to_opencv(onnx: Artifact) -> Artifact:
    """The ONNX file itself, once OpenCV has loaded it and computed its logits, batch dynamic.

    Checked because OpenCV has an importer of its own, which knows fewer operators and attributes
    than ONNX does.
    """
    step = Step(
        name="to_opencv",
        build=onnx.build,
        kind=KIND.name,
        precision="fp32",
        inputs={"onnx": onnx.key},
        parameters={},
        tools={PACKAGE: MAIN.version(PACKAGE)},
        code=(to_opencv,),
    )

    def make(folder: Path) -> dict:
        files.place(onnx.file(ONNX_FILE), folder / FILE)
        with Worker("main", f"to_opencv of {onnx.name}") as worker:
            checked = step_check.verify(worker, SESSION, folder, onnx)
        return {**onnx.inherited_facts, **checked}

    return produce(step, make, shows=KIND.shown)
