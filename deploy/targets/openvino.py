"""OpenVINO on this CPU."""

import dataclasses
import functools

from calib.quantize_onnx import grid
from calib.quantize_openvino import quantize_openvino
from calib.recipe import METHODS, NNCF
from calib.twins import Grid
from common import machine
from convert.artifact import Artifact
from convert.simulate import simulate
from convert.to_onnx import SESSION as ONNX_SESSION
from convert.to_onnx import to_onnx
from convert.to_openvino import SESSION, to_openvino
from convert.worker import Worker
from deploy.targets.base import NATIVE, SIMULATED, Options, Plan, Target


class OpenVino(Target):
    name = "openvino"
    summary = "OpenVINO on Intel and other x86 CPUs"
    precisions = ("fp32", "bf16", "fp16", "int8")
    methods = (*METHODS, NNCF)
    steps = ("export", "to_onnx", "to_openvino")
    hardware = "this CPU; bf16 wants AVX512-BF16 or AMX, fp16 AVX512-FP16"

    def build(self, inference: Artifact, precision: str, options: Options) -> Artifact:
        if precision == "int8":
            return quantize_openvino(*options.measured(inference))
        return to_openvino(to_onnx(inference, options.opset), precision)

    def plan(self, precision: str) -> Plan:
        if precision in ("fp32", "int8") or precision in _arithmetics():
            return Plan(NATIVE, SESSION)
        return Plan(
            SIMULATED,
            ONNX_SESSION,
            reason=f"this CPU ({machine.cpu()}) has no {precision} arithmetic, OpenVINO would "
            "compute in fp32",
            options={"optimize": False},
        )

    def timed(self, precision: str) -> Plan:
        plan = self.plan(precision)
        if plan.session != SESSION:
            return plan
        return dataclasses.replace(plan, options={"fixed_batch": True})

    def grid(self) -> Grid:
        return grid()

    def stand_in(self, artifact: Artifact, inference: Artifact, precision: str, options: Options):
        return simulate(to_onnx(inference, options.opset), precision)


@functools.lru_cache
def _arithmetics() -> list[str]:
    with Worker("main", "asking OpenVINO about this CPU") as worker:
        return worker.call("convert.runtimes.openvino_cpu:cpu_arithmetics")
