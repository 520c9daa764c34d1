"""ONNX Runtime on the CPU."""

import numpy as np
import onnxruntime


class Session:
    """Runs `model.onnx` of a folder, whatever its input and its output are called.

    `optimize=False` keeps every node as it is written: a simulation of another arithmetic lives
    in the nodes (casts), and ONNX Runtime would optimize it away.
    """

    def __init__(self, folder: str, precision: str, threads: int, optimize: bool = True):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        if not optimize:
            options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        self._session = onnxruntime.InferenceSession(
            f"{folder}/model.onnx", options, providers=["CPUExecutionProvider"]
        )
        [self._entry], [self._logits] = (
            [one.name for one in ends]
            for ends in (self._session.get_inputs(), self._session.get_outputs())
        )
        self._threads = threads

    def run(self, batch: np.ndarray) -> np.ndarray:
        """Logits float32 [N, classes] of a batch float32 [N, 3, S, S]."""
        return self._session.run([self._logits], {self._entry: batch})[0]

    def environment(self) -> dict:
        return {
            "threads": self._threads,
            "versions": {"onnxruntime": onnxruntime.__version__},
        }
