"""TensorRT on the NVIDIA GPUs that the published tables are about."""

import dataclasses
import re
from pathlib import Path
from typing import Any

from calib.kept import source_of
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
    RTX_BUILDS_FOR,
    RTX_PACKAGE,
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


class TensorRt(Target):
    """A GPU by its name ("T4") and architecture ("sm_75").

    On another NVIDIA GPU the same code builds and runs a real engine; the result is then a
    simulation of the GPU that the target names. Without any, the arithmetic is simulated on the
    CPU. These two GPUs have no TF32, so that fp32 means float32.
    """

    precisions = ("fp32", "fp16", "int8")
    fits_ranges = True
    kernels = FP32_SUMS
    tools = (Tool("onnxruntime"), Tool(RTX_PACKAGE), Tool("tensorrt", TRT))

    def __init__(self, name: str, gpu: str, architecture: str):
        self.name = name
        self.summary = f"TensorRT on an NVIDIA {gpu}"
        ahead = ", built ahead of time where that works," * (architecture in RTX_BUILDS_FOR)
        self.runs_on = f"TensorRT on a {gpu}; elsewhere parsed{ahead} and simulated"
        self.published_gpu = self._gpu_name = gpu
        self._architecture = architecture

    @property
    def kinds(self) -> tuple[Kind, ...]:  # type: ignore[override] # it depends on the machine
        file = ENGINE if self._gpu() else ONNX_FILE
        return (INFERENCE, ONNX, Kind(self.name, (file,), shown=file))

    def file_pattern(self) -> str:
        return f"`{self.name}/<precision>/{ENGINE}`, or `{ONNX_FILE}` where no GPU is"

    def build(self, inference: Artifact, precision: str, options: Options) -> Artifact:
        if precision == "int8":
            return self._of(quantize_trt(*options.measured(inference)), precision)
        return self._of(self.float_onnx(inference, precision, options), precision)

    def _of(self, onnx: Artifact, precision: str) -> Artifact:
        gpu = self._gpu()
        if gpu:
            return to_engine(onnx, self.name, precision, gpu)
        return to_portable(onnx, self.name, precision, self._gpu_name, self._architecture)

    def fits(self, artifact: Artifact) -> bool:
        gpu = self._gpu()
        return is_for(artifact, gpu) if gpu else ONNX_FILE in artifact.manifest["files"]

    def refit(self, artifact: Artifact) -> Artifact:
        return self._of(source_of(artifact, self.name, QDQ.name), "int8")

    def session_spec(self, precision: str) -> SessionSpec:
        gpu = self._gpu()
        if gpu is None:
            reason = f"it takes a {self.published_gpu}, and {TRT.problem()}"
            if precision == "fp16":
                reason += f"; {BLIND}"
            # Casts and quantization live in the file's nodes: an optimizer would take them out.
            options: dict[str, Any] = {} if precision == "fp32" else {"optimize": False}
            return SessionSpec(SIMULATED, ONNX_SESSION, reason=reason, options=options)
        options = {"gpu": vars(gpu)}
        if self.is_named(gpu):
            return SessionSpec(NATIVE, SESSION, "trt", options=options)
        reason = f"this GPU, {gpu.name} ({gpu.architecture}), is not a {self.published_gpu}"
        return SessionSpec(SIMULATED, SESSION, "trt", reason, options, real=True)

    def timed_session_spec(self, precision: str) -> SessionSpec:
        session_spec = self.session_spec(precision)
        return (
            dataclasses.replace(session_spec, session=RESIDENT)
            if session_spec.session == SESSION
            else session_spec
        )

    def serving(self, precision: str) -> Serving:
        largest = PROFILES[-1][-1]
        if self._gpu():
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
        if self._gpu() or precision == "int8":  # its integers are in the file
            return artifact
        onnx = self.float_onnx(inference, precision, options)
        return simulate(onnx, precision) if precision == "fp16" else onnx

    def _gpu(self) -> nvidia.Gpu | None:
        """The GPU to run on: the one that is named, else the first; None where none can be used."""
        if TRT.problem():
            return None
        found, _ = nvidia.find()
        return next(filter(self.is_named, found), found[0])

    def is_named(self, gpu: nvidia.Gpu) -> bool:
        """Whether a GPU is the one that the target names."""
        words = re.split(r"[\s-]+", gpu.name)
        return gpu.architecture == self._architecture and self.published_gpu in words
