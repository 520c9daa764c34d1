"""OpenVINO on the CPU, always with an explicit precision."""

import collections

import numpy as np
import openvino
from openvino import properties
from openvino.properties import hint

_TYPES = {"fp32": openvino.Type.f32, "bf16": openvino.Type.bf16, "fp16": openvino.Type.f16}
# An INT8 file says itself what is computed in integers; the rest is to stay float32.
_HINTS = {**_TYPES, "int8": openvino.Type.f32}

# Of the compiled graph: its words for what a node computes in, and how it calls the implementation
# of one that computes nothing (constants, ends, views of the same memory).
_ARITHMETICS = {"f32": "fp32", "f16": "fp16", "u8": "int8", "i8": "int8"}
_NONE = "unknown"


class Session:
    """Runs `model.xml` of a folder in the arithmetic of `precision`.

    The hint is never left out: OpenVINO's default is bf16 on CPUs that have it. Where the CPU
    lacks the wanted arithmetic OpenVINO quietly takes another, bf16 or float32, so `environment`
    says which it took. With `fixed_batch` the graph is compiled anew for the size of the batch at
    hand, which makes it 2 to 3 % faster; without, one graph takes any size, as a check needs it.
    """

    def __init__(self, folder: str, precision: str, threads: int, fixed_batch: bool = False):
        self._core = openvino.Core()
        self._model = self._core.read_model(f"{folder}/model.xml")
        self._properties = {
            hint.inference_precision: _HINTS[precision],
            hint.performance_mode: hint.PerformanceMode.LATENCY,
            properties.inference_num_threads: threads,
        }
        self._threads = threads
        self._precision = precision
        self._size: int | None = None
        self._fixed_batch = fixed_batch
        self._compile(self._model)

    def run(self, batch: np.ndarray) -> np.ndarray:
        """Logits float32 [N, classes] of a batch float32 [N, 3, S, S]."""
        if self._fixed_batch and len(batch) != self._size:
            self._size = len(batch)
            model = self._model.clone()
            model.reshape(batch.shape)
            self._compile(model)
        return self._request.infer({0: batch}, share_inputs=True)[0].copy()

    def environment(self) -> dict:
        taken = self._compiled.get_property(hint.inference_precision)
        arithmetic = next(name for name, kind in _TYPES.items() if kind == taken)
        return {
            "threads": self._threads,
            "arithmetic": f"int8, {arithmetic}" if self._precision == "int8" else arithmetic,
            "versions": {"openvino": openvino.get_version()},
            "kernel_precisions": self._kernel_precisions(),
        }

    def _kernel_precisions(self) -> dict[str, int]:
        """How many nodes of the compiled graph compute in which arithmetic."""
        found: collections.Counter[str] = collections.Counter()
        for node in self._compiled.get_runtime_model().get_ops():
            about = node.get_rt_info()
            if not about["primitiveType"].astype(str).startswith(_NONE):
                word = about["runtimePrecision"].astype(str)
                found[_ARITHMETICS.get(word, word)] += 1
        return dict(found)

    def _compile(self, model: openvino.Model) -> None:
        self._compiled = self._core.compile_model(model, "CPU", self._properties)
        self._request = self._compiled.create_infer_request()


def cpu_arithmetics() -> list[str]:
    """The floating-point arithmetics that this CPU has instructions for, as OpenVINO sees it."""
    capabilities = openvino.Core().get_property("CPU", properties.device.capabilities)
    return [name for name in _TYPES if name.upper() in capabilities]
