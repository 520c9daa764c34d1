"""By how much logits turn: what rounding does to decisions, whatever it does to their length."""

import numpy as np


def directions(logits: np.ndarray) -> np.ndarray:
    """Logits [n, classes] less their mean, in units of their length; float64."""
    wide = logits.astype(np.float64)
    wide -= wide.mean(axis=1, keepdims=True)
    return wide / np.maximum(np.linalg.norm(wide, axis=1, keepdims=True), np.finfo(float).tiny)


def sines(expected: np.ndarray, found: np.ndarray) -> np.ndarray:
    """The sines of the angles between directions [n, classes], float64 [n]."""
    cosines = (expected * found).sum(axis=1)
    return np.sqrt(np.maximum(1 - cosines**2, 0.0))
