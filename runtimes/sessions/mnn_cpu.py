"""MNN on the CPU, always with an explicit precision."""

import MNN
import numpy as np

from common import machine
from common.errors import StepError

_PRECISIONS = {"fp32": "high", "fp16": "low", "int8": "high"}
_WINOGRAD = 3  # the hint's number: how much memory its transforms may take, 0 for none of them


class Session:
    """Runs `model.mnn` of a folder, batch dynamic.

    Winograd's transforms are off: with them ResNeSt50's logits are off by 2e-3 of the largest,
    without by 1e-5. For fp16 MNN computes in float16 on ARM CPUs that have it, and
    without a word in float32 on all others; its own default may do so for any file.
    """

    def __init__(self, folder: str, precision: str, threads: int):
        settings = {"backend": "CPU", "precision": _PRECISIONS[precision], "numThread": threads}
        runtime = MNN.nn.create_runtime_manager((settings,))
        runtime.set_hint(_WINOGRAD, 0)
        try:
            self._network = MNN.nn.load_module_from_file(
                f"{folder}/model.mnn", ["x"], ["logits"], runtime_manager=runtime
            )
        except SystemError:  # whatever the reason
            raise StepError(
                f"MNN cannot load {folder}/model.mnn: it is damaged or absent"
            ) from None
        self._threads = threads
        half = precision == "fp16" and "asimdhp" in machine.isa()
        self._arithmetic = "fp16" if half else {"int8": "int8, fp32"}.get(precision, "fp32")

    def run(self, batch: np.ndarray) -> np.ndarray:
        """Logits float32 [N, classes] of a batch float32 [N, 3, S, S]."""
        entry = MNN.expr.const(np.ascontiguousarray(batch), list(batch.shape), MNN.expr.NCHW)
        outputs = self._network.forward([entry])
        if not outputs:  # how it says that a size does not fit
            raise StepError(f"MNN cannot run its graph on a batch of shape {batch.shape}")
        return np.array(outputs[0].read())

    def environment(self) -> dict:
        return {
            "threads": self._threads,
            "arithmetic": self._arithmetic,
            "versions": {"MNN": MNN.version()},
        }
