"""ONNX to FP16: `model.onnx` whose weights and arithmetic are float16, input and logits float32."""

from pathlib import Path

from convert import step_check
from convert.artifact import Artifact, Step, produce
from convert.fp16_graph import write_fp16
from convert.to_onnx import FILE, KIND, SESSION
from runtimes.environments import MAIN
from runtimes.worker import Worker


def to_fp16(onnx: Artifact) -> Artifact:
    """The FP16 form of an ONNX file, for runtimes that compute in float16.

    Checked in ONNX Runtime, which computes it in float32 on CPUs: that shows that the file is
    whole, not that float16 is enough (`convert.simulate` does).
    """
    step = Step(
        name="to_fp16",
        build=onnx.build,
        kind=KIND.name,
        precision="fp16",
        inputs={"onnx": onnx.key},
        parameters={},
        tools={name: MAIN.version(name) for name in ("onnx", "onnxruntime")},
        code=(to_fp16,),
    )

    def make(folder: Path) -> dict:
        with Worker("main", f"to_fp16 of {onnx.name}") as worker:
            worker.call(
                write_fp16,
                source=str(onnx.file(FILE)),
                output=str(folder / FILE),
            )
            checked = step_check.verify(worker, SESSION, folder, onnx, "fp16")
        return {**onnx.inherited_facts, **checked}

    return produce(step, make, shows=KIND.shown)
