"""What proves that a network is the published one: names and shapes, and logits.

`parity.json` has of every published checkpoint the SHA-256 of its names and shapes, and of some
every 50th logit that the published code computes of two images with the weights made up here.
Whole lists and vectors lie in `shared/`, where that is beside the project.
"""

import json
import zlib
from pathlib import Path

import numpy as np
from paddle import nn

SEED = 17
STEP = 50
PUBLISHED = json.loads(Path(__file__).with_name("parity.json").read_text())


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


def fill(net: nn.Layer) -> None:
    """Give every tensor of a network the recipe's value."""
    values = {key: fill_value(key, tensor.shape) for key, tensor in net.state_dict().items()}
    missing, unexpected = net.set_state_dict(values)
    assert not missing and not unexpected, (missing, unexpected)


def images(size: int) -> np.ndarray:
    """The recipe's input: float32 [2, 3, size, size]."""
    shape = (2, 3, size, size)
    return np.random.default_rng(SEED).standard_normal(shape).astype(np.float32)


def relative_difference(measured: np.ndarray, expected: np.ndarray) -> float:
    """max |measured - expected| over max |expected|."""
    return float(np.abs(measured - expected).max() / np.abs(expected).max())
