"""OpenVINO on the CPU, always with an explicit precision."""

import numpy as np
import openvino
import openvino.properties as properties
import openvino.properties.hint as hint

_TYPES = {"fp32": openvino.Type.f32, "bf16": openvino.Type.bf16, "fp16": openvino.Type.f16}


class Session:
    """Runs `model.xml` of a folder in the arithmetic of `precision`.

    The hint is never left out: OpenVINO's default is bf16 on CPUs that have it. Where the CPU
    lacks the wanted arithmetic OpenVINO quietly takes float32, so `environment` says what it
    really took.
    """

    def __init__(self, folder: str, precision: str, threads: int):
        core = openvino.Core()
        self._compiled = core.compile_model(
            f"{folder}/model.xml",
            "CPU",
            {
                hint.inference_precision: _TYPES[precision],
                hint.performance_mode: hint.PerformanceMode.LATENCY,
                properties.inference_num_threads: threads,
            },
        )
        self._request = self._compiled.create_infer_request()
        self._threads = threads

    def run(self, batch: np.ndarray) -> np.ndarray:
        """Logits float32 [N, classes] of a batch float32 [N, 3, S, S]."""
        return self._request.infer({0: batch})[0].copy()

    def environment(self) -> dict:
        taken = self._compiled.get_property(hint.inference_precision)
        return {
            "threads": self._threads,
            "arithmetic": next(name for name, kind in _TYPES.items() if kind == taken),
            "versions": {"openvino": openvino.get_version()},
        }


def cpu_arithmetics() -> list[str]:
    """The floating-point arithmetics that this CPU has instructions for, as OpenVINO sees it."""
    capabilities = openvino.Core().get_property("CPU", properties.device.capabilities)
    return [name for name in _TYPES if name.upper() in capabilities]
