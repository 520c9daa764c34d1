"""OpenCV's DNN module on the CPU."""

import re

import cv2
import numpy as np

from common.errors import StepError

_NODE = re.compile(r"Node \[(\w+)@[^\]]*\]:\((.*?)\)")  # "Node [Conv@ai.onnx]:(onnx_node!Conv.0)"
_ERROR = re.compile(r"error: \(-\d+:")
_AROUND = re.compile(r" in function '[^']*'")


class Session:
    """Runs `model.onnx` of a folder, batch dynamic, by OpenCV's own kernels in float32."""

    def __init__(self, folder: str, precision: str, threads: int):
        path = f"{folder}/model.onnx"
        cv2.setNumThreads(threads)
        try:
            self._net = cv2.dnn.readNetFromONNX(path)
        except cv2.error as error:
            raise StepError(f"OpenCV cannot load {path}: {_reason(error)}") from None
        # Neither is a constant: a build of OpenCV, and the environment, may choose others.
        self._net.setPreferableBackend(cv2.dnn.DNN_BACKEND_OPENCV)
        self._net.setPreferableTarget(cv2.dnn.DNN_TARGET_CPU)

    def run(self, batch: np.ndarray) -> np.ndarray:
        """Logits float32 [N, classes] of a batch float32 [N, 3, S, S]."""
        try:
            self._net.setInput(np.ascontiguousarray(batch), "x")
            return self._net.forward("logits")
        except cv2.error as error:
            raise StepError(
                f"OpenCV cannot run its graph on a batch of shape {batch.shape}: {_reason(error)}"
            ) from None

    def environment(self) -> dict:
        return {"threads": cv2.getNumThreads(), "versions": {"opencv": cv2.__version__}}


def _reason(error: Exception) -> str:
    """The innermost cause in an error of OpenCV's, without its source files and functions.

    Its importer quotes the error of a layer in one of its own, over several lines.
    """
    text = " ".join(str(error).replace("\n>", "\n").split())
    cause = _AROUND.sub("", _ERROR.split(text)[-1]).replace(") ", ": ", 1)
    node = _NODE.search(text)
    return f"{node[1]} node '{node[2]}': {cause}" if node else cause
