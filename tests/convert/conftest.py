"""Graphs of random weights, each made once for all tests of this folder."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest

from convert.artifact import Artifact
from convert.export import export
from models.beside import Beside
from models.registry import MODELS
from models.weights import find_weights


@pytest.fixture(scope="session")
def random_build(built) -> Path:
    """A build folder of random weights, for tests to fill and read."""
    return built / "random"


@pytest.fixture
def graph(random_build, tmp_path, monkeypatch) -> Callable[..., Artifact]:
    """`graph(model, weights, side)`: the inference graph of a model, with random weights by
    default, for photos of so many pixels a side (None: as published)."""

    def make(model: str, weights: str = "random", side: int | None = None) -> Artifact:
        build = random_build if weights == "random" else tmp_path / "build"
        monkeypatch.setenv("BUILD_DIR", str(build))
        spec, name, beside = MODELS[model], model, None
        if side:
            beside = Beside(dataclasses.replace(spec.preprocess, crop=side))
            name = f"{model}-of-{side}"
        return export(spec, find_weights(spec, weights), 1000, name, beside)

    return make
