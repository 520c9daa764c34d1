"""Networks without the memory of their weights, for tests of names and shapes."""

import hashlib
import json

import paddle

from models.registry import MODELS


def outline(name: str, class_num: int = 1000) -> dict[str, paddle.Tensor]:
    """The state dict of a network whose tensors have names and shapes but no memory."""
    with paddle.LazyGuard():
        return MODELS[name].build(class_num).state_dict()


def shapes_of(name: str, class_num: int = 1000) -> dict[str, tuple[int, ...]]:
    """The shapes of a network's state dict, by name."""
    return {key: tuple(tensor.shape) for key, tensor in outline(name, class_num).items()}


def digest(shapes: dict[str, tuple[int, ...]]) -> str:
    """The SHA-256 of names and shapes, whatever their order."""
    return hashlib.sha256(json.dumps(shapes, sort_keys=True).encode()).hexdigest()
