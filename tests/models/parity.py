"""The fill that the parity vectors were made with (shared/facts/architectures.md)."""

import zlib
from collections.abc import Mapping

import numpy as np
from paddle import nn

SEED = 17


def fill_value(key: str, shape: list[int]) -> np.ndarray:
    """The float32 tensor that the recipe puts under a state-dict key."""
    draw = np.random.default_rng(zlib.crc32(key.encode()))
    last = key.rpartition(".")[2]
    if last.endswith("_variance"):
        value = draw.uniform(0.5, 1.5, shape)
    elif last.endswith("_mean"):
        value = 0.1 * draw.standard_normal(shape)
    elif last == "bias":
        value = 0.05 * draw.standard_normal(shape)
    elif len(shape) == 1:
        value = draw.uniform(0.8, 1.2, shape)
    else:
        fan_in = np.prod(shape[1:]) if len(shape) == 4 else shape[0]
        value = draw.standard_normal(shape) * np.sqrt(2 / fan_in)
    return value.astype(np.float32)


def fill(net: nn.Layer, shapes: Mapping[str, list[int]]) -> None:
    """Give every tensor of a network the recipe's value; the keys are the published ones."""
    missing, unexpected = net.set_state_dict({k: fill_value(k, s) for k, s in shapes.items()})
    assert not missing and not unexpected, (missing, unexpected)


def images(size: int) -> np.ndarray:
    """The recipe's input: float32 [2, 3, size, size]."""
    shape = (2, 3, size, size)
    return np.random.default_rng(SEED).standard_normal(shape).astype(np.float32)


def relative_difference(measured: np.ndarray, expected: np.ndarray) -> float:
    """max |measured - expected| over max |expected|."""
    return float(np.abs(measured - expected).max() / np.abs(expected).max())
