"""Errors of activations by ONNX Runtime's own tools for debugging quantization.

    explain.py FLOAT.onnx QDQ.onnx CROPS.npy

Reads crops, uint8 [N, S, S, 3]. Prints the seconds of the work itself, without start and imports,
and the signal-to-noise ratio of each activation that it matches, in decibels.
"""

import json
import sys
import tempfile
import time

import numpy as np
from onnxruntime.quantization import CalibrationDataReader, qdq_loss_debug
from photos import MEAN, STD

floats, quantized, crops = sys.argv[1:]
crops = np.load(crops)


class Reader(CalibrationDataReader):
    """Photo by photo, as the documentation's examples do."""

    def __init__(self):
        self._rows = iter(range(len(crops)))

    def get_next(self):
        row = next(self._rows, None)
        if row is None:
            return None
        scaled = (crops[row : row + 1].astype(np.float32) / 255 - MEAN) / STD
        return {"x": np.ascontiguousarray(scaled.transpose(0, 3, 1, 2))}


def activations(model, folder):
    augmented = f"{folder}/augmented.onnx"
    qdq_loss_debug.modify_model_output_intermediate_tensors(model, augmented)
    return qdq_loss_debug.collect_activations(augmented, Reader())


started = time.perf_counter()
with tempfile.TemporaryDirectory() as folder:
    seen = activations(floats, folder)
    matched = qdq_loss_debug.create_activation_matching(activations(quantized, folder), seen)
errors = qdq_loss_debug.compute_activation_error(matched)
seconds = time.perf_counter() - started
found = {name: float(error["xmodel_err"]) for name, error in errors.items()}
print(json.dumps({"seconds": seconds, "sqnr_db": found}))
