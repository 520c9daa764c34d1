"""TensorRT on the NVIDIA GPUs that the published tables are about."""

import dataclasses
import re
from pathlib import Path
from typing import Any

from calib.fake_quant import Grid
from calib.kept import source_of
from calib.placement import LOWERED
from calib.quantize_trt import KIND as QDQ
from calib.quantize_trt import quantize_trt
from common.console import shown
from convert.artifact import Artifact
from convert.export import KIND as INFERENCE
from convert.kind import Kind
from convert.range_fitting import FP32_SUMS
from convert.simulate import BLIND, simulate
from convert.to_onnx import FILE as ONNX_FILE
from convert.to_onnx import KIND as ONNX
from convert.to_onnx import SESSION as ONNX_SESSION
from convert.to_tensorrt import (
    ENGINE,
    PROFILES,
    RESIDENT,
    SESSION,
    is_for,
    to_engine,
    to_portable,
    trtexec_line,
)
from deploy.targets.base import Options, Serving, Target, Tool
from runtimes import nvidia
from runtimes.environments import TRT
from runtimes.session_pool import NATIVE, SIMULATED, SessionSpec
from runtimes.tensorrt_library import RTX, RTX_BUILDS_FOR, TENSORRT, Library, problem, usable


class TensorRt(Target):
    """A GPU by its name ("T4") and architecture ("sm_75").

    On another NVIDIA GPU, and where TensorRT-RTX must take TensorRT's place, the same code builds
    and runs a real engine; the result is then a simulation of what the target names. Without any
    GPU, the arithmetic is simulated on the CPU. These two GPUs have no TF32, so that fp32 means
    float32.
    """

    precisions = ("fp32", "fp16", "int8")
    fits_ranges = True
    kernels = FP32_SUMS
    tools = (Tool("onnxruntime"), Tool(RTX.package), Tool(TENSORRT.package, TRT))

    def __init__(self, name: str, gpu: str, architecture: str):
        self.name = name
        self.summary = f"TensorRT on an NVIDIA {gpu}"
        ahead = ", built ahead of time where that works," * (architecture in RTX_BUILDS_FOR)
        self.runs_on = f"TensorRT on a {gpu}; elsewhere parsed{ahead} and simulated"
        self.published_gpu = self._gpu_name = gpu
        self._architecture = architecture

    @property
    def kinds(self) -> tuple[Kind, ...]:  # type: ignore[override] # it depends on the machine
        file = ENGINE if self.gpu_here() else ONNX_FILE
        return (INFERENCE, ONNX, Kind(self.name, (file,), shown=file))

    def file_pattern(self) -> str:
        return f"`{self.name}/<precision>/{ENGINE}`, or `{ONNX_FILE}` where no GPU is"

    def build(self, inference: Artifact, precision: str, options: Options) -> Artifact:
        if precision == "int8":
            return self._of(quantize_trt(*options.measured(inference)), precision)
        return self._of(self.float_onnx(inference, precision, options), precision)

    def _of(self, onnx: Artifact, precision: str) -> Artifact:
        if here := self.gpu_here():
            return to_engine(onnx, self.name, precision, *here)
        return to_portable(onnx, self.name, precision, self._gpu_name, self._architecture)

    def fits(self, artifact: Artifact) -> bool:
        here = self.gpu_here()
        return is_for(artifact, *here) if here else ONNX_FILE in artifact.manifest["files"]

    def grid(self) -> Grid:
        return LOWERED.grid

    def refit(self, artifact: Artifact) -> Artifact:
        return self._of(source_of(artifact, self.name, QDQ.name), "int8")

    def session_spec(self, precision: str) -> SessionSpec:
        here = self.gpu_here()
        if here is None:
            reason = f"it takes a {self.published_gpu}, and {problem()}"
            if precision == "fp16":
                reason += f"; {BLIND}"
            # Casts and quantization live in the file's nodes: an optimizer would take them out.
            options: dict[str, Any] = {} if precision == "fp32" else {"optimize": False}
            return SessionSpec(SIMULATED, ONNX_SESSION, reason=reason, options=options)
        gpu, library = here
        options = {"gpu": vars(gpu), "library": library.module}
        reasons = []
        if not self.is_named(gpu):
            named = f"{gpu.name} ({gpu.architecture})"
            reasons.append(f"this GPU, {named}, is not a {self.published_gpu}")
        if library == RTX:
            reasons.append(f"{RTX.title} ran it in TensorRT's place: {TENSORRT.missing()}")
        if not reasons:
            return SessionSpec(NATIVE, SESSION, library.environment, options=options)
        reason = "; ".join(reasons)
        return SessionSpec(SIMULATED, SESSION, library.environment, reason, options, real=True)

    def timed_session_spec(self, precision: str) -> SessionSpec:
        session_spec = self.session_spec(precision)
        return (
            dataclasses.replace(session_spec, session=RESIDENT)
            if session_spec.session == SESSION
            else session_spec
        )

    def serving(self, precision: str) -> Serving | None:
        largest = PROFILES[-1][-1]
        if here := self.gpu_here():
            if here[1] == RTX:  # no server loads its engines
                return None
            every_batch = {"profile": [str(len(PROFILES) - 1)]}
            names = {ENGINE: "model.plan"}
            return Serving("tensorrt", True, names, largest, instances=every_batch)
        # Without an engine ONNX Runtime has TensorRT build one on the GPU.
        mode = [{"key": "precision_mode", "value": precision.upper()}]
        accelerators = {"gpu_execution_accelerator": {"name": "tensorrt", "parameters": mode}}
        settings = {"optimization": {"execution_accelerators": accelerators}}
        return Serving("onnxruntime", True, max_batch=largest, settings=settings)

    def build_report(self, artifact: Artifact) -> str:
        if "parsed_by" not in artifact.facts:  # an engine, which runs
            return ""
        built = artifact.facts["ahead_of_time"]
        if "not_built" in built:
            ahead = f"not built ahead of time: {built['not_built']}"
        else:
            ahead = (
                f"built ahead of time for {self._architecture} in {built['seconds']:.1f} s "
                f"({built['engine_bytes'] / 1e6:.1f} MB, floats {built['floats']}), kept as "
                f"{built['file']}"
            )
        return (
            f"TensorRT {artifact.facts['checked_for']} knows its opset and operators; parsed by "
            f"{artifact.facts['parsed_by']}; {ahead}; {artifact.facts['stored']}"
        )

    def to_do_there(self, artifact: Artifact) -> list[str]:
        if "parsed_by" not in artifact.facts:  # an engine of this machine
            return []
        folder = Path(shown(artifact.folder))
        precision, entry = artifact.manifest["precision"], artifact.facts["input"]
        return [
            artifact.facts["stored"],
            f"on a {self._gpu_name}: {trtexec_line(folder, precision, entry)}",
        ]

    def simulated_artifact(
        self, artifact: Artifact, inference: Artifact, precision: str, options: Options
    ):
        if self.gpu_here() or precision == "int8":  # its integers are in the file
            return artifact
        onnx = self.float_onnx(inference, precision, options)
        return simulate(onnx, precision) if precision == "fp16" else onnx

    def gpu_here(self) -> tuple[nvidia.Gpu, Library] | None:
        """The GPU to run on, the one that is named, else the first, and what runs it; None where
        nothing does."""
        found, _ = nvidia.find()
        if not found:
            return None
        gpu = next(filter(self.is_named, found), found[0])
        library = usable(gpu)
        return (gpu, library) if library else None

    def is_named(self, gpu: nvidia.Gpu) -> bool:
        """Whether a GPU is the one that the target names."""
        words = re.split(r"[\s-]+", gpu.name)
        return gpu.architecture == self._architecture and self.published_gpu in words
