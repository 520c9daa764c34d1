"""OpenVINO on this CPU."""

import dataclasses
import functools
from pathlib import Path

from calib.fake_quant import Grid
from calib.placement import cpu_grid
from calib.quant_config import METHODS, NNCF
from calib.quantize_openvino import quantize_openvino
from convert.artifact import Artifact
from convert.export import KIND as INFERENCE
from convert.simulate import simulate
from convert.to_onnx import KIND as ONNX
from convert.to_onnx import SESSION as ONNX_SESSION
from convert.to_onnx import to_onnx
from convert.to_openvino import GRAPH, KIND, SESSION, to_openvino
from deploy.speed.peers import benchmark_app
from deploy.targets.base import EVERY_CPU, Engine, Guide, Options, Serving, Target, Tool, on_host
from runtimes.hosts.arm import Arm
from runtimes.hosts.base import Host
from runtimes.hosts.local import LOCAL
from runtimes.session_pool import NATIVE, SIMULATED, SessionSpec
from runtimes.worker import Worker

_RUNTIME = Tool("openvino")
_ARM_CPU = "cortex-a76"  # QEMU's other CPUs: empty INT8 logits (cortex-a72), wrong ones (max)

# How OpenVINO calls the arithmetics that the precisions ask for (see runtimes.sessions).
_HINTS = {"bf16": "bf16", "fp16": "f16"}


def _words(precision: str) -> dict[str, str]:
    return {"hint": _HINTS.get(precision, "f32")}


class OpenVino(Target):
    name = "openvino"
    summary = "OpenVINO on Intel and other x86 CPUs"
    runs_on = (
        "OpenVINO on this CPU, or on others (`HOST=arm`, `HOST=ssh:NAME`); what the CPU has no "
        "instructions for is simulated"
    )
    precisions = ("fp32", "bf16", "fp16", "int8")
    kinds = (INFERENCE, ONNX, KIND)
    tools = (Tool("onnxruntime"), _RUNTIME, Tool("nncf"))
    hosts = EVERY_CPU
    engine = Engine(
        "openvino",
        GRAPH,
        lambda path: _RUNTIME.version,
        Guide(Path(__file__).with_suffix(".md"), _words),
    )
    peers = benchmark_app.PEERS
    methods = (*METHODS, NNCF)

    def build(self, inference: Artifact, precision: str, options: Options) -> Artifact:
        if precision == "int8":
            return quantize_openvino(*options.measured(inference))
        return to_openvino(to_onnx(inference, options.opset), precision)

    def session_spec(self, precision: str) -> SessionSpec:
        return _session_spec(LOCAL, precision)

    def session_spec_on(self, host: Host, precision: str) -> SessionSpec:
        return on_host(host, _session_spec(host, precision), precision)

    def host_problem(self, host: Host) -> str | None:
        if isinstance(host, Arm) and host.cpu != _ARM_CPU:
            return (
                f"OpenVINO computes wrongly on QEMU's {host.cpu}, right on {_ARM_CPU} only: "
                f"ARM_CPU={_ARM_CPU}"
            )
        return super().host_problem(host)

    def timed_session_spec(self, precision: str) -> SessionSpec:
        session_spec = self.session_spec(precision)
        if session_spec.session != SESSION:
            return session_spec
        return dataclasses.replace(session_spec, options={"fixed_batch": True})

    def serving(self, precision: str) -> Serving:
        # Triton's backend fills each batch up to the largest, or refuses it; so it gets none.
        if precision == "bf16":
            hint = [{"key": "HINT_BF16", "value": {"string_value": "YES"}}]
            return Serving("openvino", max_batch=0, settings={"parameters": hint})
        loses = (
            "Triton's openvino backend cannot be told to leave bf16 alone, which OpenVINO takes by "
            "itself on CPUs that have it (FORMAT=ovms can)"
        )
        return Serving("openvino", max_batch=0, loses=loses)

    def grid(self) -> Grid:
        return cpu_grid()

    def simulated_artifact(
        self, artifact: Artifact, inference: Artifact, precision: str, options: Options
    ):
        return simulate(to_onnx(inference, options.opset), precision)


def _session_spec(host: Host, precision: str) -> SessionSpec:
    if precision in ("fp32", "int8") or precision in _arithmetics(host):
        return SessionSpec(NATIVE, SESSION)
    return SessionSpec(
        SIMULATED,
        ONNX_SESSION,
        reason=f"this CPU ({host.model}) has no {precision} arithmetic, OpenVINO would "
        "compute in another",
        options={"optimize": False},
    )


@functools.lru_cache
def _arithmetics(host: Host) -> list[str]:
    with Worker("main", "asking OpenVINO about this CPU", host=host) as worker:
        return worker.call("runtimes.sessions.openvino_cpu:cpu_arithmetics")
