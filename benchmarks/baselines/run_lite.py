"""The second half of validate_lite.py, for CPython 3.7: `run_lite.py MODEL_FOLDER ARRAYS_FOLDER`.

Reads `crops.npy`, uint8 [N, S, S, 3], and `labels.npy`; prints how many are right.
"""

import json
import sys

import numpy as np
from paddlelite.lite import MobileConfig, create_paddle_predictor

MEAN = np.array([0.485, 0.456, 0.406], np.float32)
STD = np.array([0.229, 0.224, 0.225], np.float32)

model, arrays = sys.argv[1:]
config = MobileConfig()
config.set_model_from_file(model + "/model.nb")
predictor = create_paddle_predictor(config)
right = 0
for crop, label in zip(np.load(arrays + "/crops.npy"), np.load(arrays + "/labels.npy")):  # noqa: B905
    scaled = (crop.astype(np.float32) / 255 - MEAN) / STD
    predictor.get_input(0).from_numpy(np.ascontiguousarray(scaled.transpose(2, 0, 1)[None]))
    predictor.run()
    right += int(predictor.get_output(0).numpy().argmax()) == label
print(json.dumps({"right": int(right)}))
