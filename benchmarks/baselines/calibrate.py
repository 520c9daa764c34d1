"""Calibration by ONNX Runtime's own tools, or with "plain" only the inference that it needs.

    calibrate.py MODEL.onnx CROPS.npy plain|entropy|percentile MAXIMUM_GIB

Reads crops, uint8 [N, S, S, 3]; keeps within MAXIMUM_GIB of memory. Prints the seconds of the work
itself, without start and imports, the peak of resident memory in MiB, and how many ranges it found.
"""

import json
import resource
import sys
import tempfile
import time

import numpy as np
import onnxruntime
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod
from onnxruntime.quantization.calibrate import create_calibrator
from photos import MEAN, STD

model, crops, method, gib = sys.argv[1:]
limit = int(float(gib) * 2**30)
resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
crops = np.load(crops, mmap_mode="r")


def batches(size):
    for start in range(0, len(crops), size):
        scaled = (crops[start : start + size].astype(np.float32) / 255 - MEAN) / STD
        yield np.ascontiguousarray(scaled.transpose(0, 3, 1, 2))


class Reader(CalibrationDataReader):
    """Photo by photo, as the documentation's examples do."""

    def __init__(self):
        self._photos = batches(1)

    def get_next(self):
        photo = next(self._photos, None)
        return None if photo is None else {"x": photo}


found = 0
if method == "plain":
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    started = time.perf_counter()
    for batch in batches(10):
        session.run(None, {"x": batch})
else:
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        calibrator = create_calibrator(
            model,
            None,
            augmented_model_path=f"{folder}/augmented.onnx",
            calibrate_method=CalibrationMethod[method.capitalize()],
        )
        calibrator.collect_data(Reader())
        found = len(calibrator.compute_data().data)
seconds = time.perf_counter() - started
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps({"seconds": seconds, "peak_mib": peak, "ranges": found}))
