"""Graphs of random weights, each made once for all tests of this folder."""

from collections.abc import Callable
from pathlib import Path

import pytest

from convert.artifact import Artifact
from convert.export import export
from models.registry import MODELS
from models.weights import find_weights


@pytest.fixture(scope="session")
def random_build(built) -> Path:
    """A build folder of random weights, for tests to fill and read."""
    return built / "random"


@pytest.fixture
def graph(random_build, tmp_path, monkeypatch) -> Callable[..., Artifact]:
    """`graph(model, weights)`: the inference graph of a model, with random weights by default."""

    def make(model: str, weights: str = "random") -> Artifact:
        build = random_build if weights == "random" else tmp_path / "build"
        monkeypatch.setenv("BUILD_DIR", str(build))
        return export(MODELS[model], find_weights(MODELS[model], weights), 1000, model)

    return make
