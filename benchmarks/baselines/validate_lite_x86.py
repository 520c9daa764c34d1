"""Top-1 of `model.nb` in a folder, with Paddle Lite.

Paddle Lite wants CPython 3.7, whose environment has no OpenCV: the photos are cropped here, and
a second script runs them there.
"""

import subprocess
import tempfile
from pathlib import Path

import numpy as np
import photos

options = photos.arguments("folder", "python37")
crops, labels = zip(*photos.crops(options), strict=True)
with tempfile.TemporaryDirectory() as folder:
    np.save(f"{folder}/crops.npy", np.stack(crops))
    np.save(f"{folder}/labels.npy", np.array(labels))
    script = Path(__file__).with_name("run_lite.py")
    subprocess.run([options.python37, script, options.folder, folder], check=True)
