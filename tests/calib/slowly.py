"""A run of the collector to be killed in the middle: `python -m tests.calib.slowly FOLDER`.

Two photos at a time, its state kept after each; prints how many are done, and waits at six.
"""

import sys
from pathlib import Path

import onnx

from calib import ranges
from tests.calib.test_ranges import PREPROCESS, photo_set, stored


def tell(done: int, total: int | None) -> None:
    print(done, flush=True)
    if done == 6:
        input()


ranges._SAVE_EVERY = 0.0
ranges._MOST = 2
folder = Path(sys.argv[1])
ranges.collect(stored(onnx.load(folder / "model.onnx"), folder), photo_set(), PREPROCESS, tell)
