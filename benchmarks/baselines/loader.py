"""Crop every photo of a list, one after the other; print the seconds that took.

The crops' SHA-256 is printed too, so that they can be compared.
"""

import hashlib
import json
import time

import numpy as np
import photos

options = photos.arguments()
listed = photos.read_list(options.listing)
started = time.perf_counter()
crops = np.stack([photos.crop_photo(path, options) for path, _ in listed])
seconds = time.perf_counter() - started
print(json.dumps({"seconds": seconds, "sha256": hashlib.sha256(crops).hexdigest()}))
