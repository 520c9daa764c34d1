"""Synthetic images, for checks and statistics that must not depend on anybody's photos."""

import numpy as np

COUNT = 8
_SQUARES = (1, 4, 16, 32)  # divide the input sizes of all models


def images(shape: tuple[int, int, int]) -> np.ndarray:
    """Eight synthetic images, float32 [8, 3, S, S], the same on every machine.

    Sums of noise in squares of 1, 4, 16 and 32 pixels, with the mean 0 and the deviation 1 of
    normalized photos. Plain noise would not do: photos are smooth, so that their activations
    are several times larger.
    """
    channels, height, width = shape
    random = np.random.default_rng(17)
    total = np.zeros((COUNT, *shape), np.float32)
    for square in _SQUARES:
        size = (COUNT, channels, height // square, width // square)
        coarse = random.standard_normal(size, np.float32)
        total += coarse.repeat(square, axis=2).repeat(square, axis=3)
    return total / np.float32(len(_SQUARES) ** 0.5)
