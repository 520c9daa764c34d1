"""Knowing a tensor by its values, where another tool has given it another name."""

import numpy as np


def fingerprint(value: np.ndarray) -> tuple[np.ndarray, float]:
    """What tells a tensor's values, in any order, from another's: five figures of their
    distribution, and apart from them the root of their mean square, which these are divided by."""
    wide = value.astype(np.float64)
    size = float(np.sqrt((wide * wide).mean())) or 1.0
    wide /= size
    cubes = (wide * wide * wide).mean()  # a power takes ten times as long
    shape = [wide.mean(), np.abs(wide).mean(), wide.min(), wide.max(), np.cbrt(cubes)]
    return np.array(shape), size
