"""Judging a file: right ones pass, wrong ones fail, and dying runtimes say how they died."""

import dataclasses

import pytest

from common.errors import StepError
from convert.builds import choose
from convert.to_onnx import DEFAULT_OPSET
from data.images import ImageSet
from deploy.request.building import build_files, inference_graph
from deploy.request.values import Files
from deploy.targets.base import Options
from deploy.targets.onnx import Onnx
from deploy.verdict.validator import Judge
from models.registry import MODELS

ONNX = Onnx()
CELL = (ONNX, "fp32")
OPTIONS = Options(DEFAULT_OPSET)


class Dying(Onnx):
    """A target whose runtime opens the file and then crashes."""

    def session_spec(self, precision):
        return dataclasses.replace(
            super().session_spec(precision), session="tests.deploy.dying:Session"
        )


@pytest.fixture
def make(built, weights, monkeypatch):
    """A model's ONNX file: `make("SqueezeNet1_1")`."""
    monkeypatch.setenv("BUILD_DIR", str(built))
    files = Files(str(weights))

    def make(model: str):
        graph = inference_graph(choose(model), files)
        return build_files(graph, [CELL], files.options)[CELL]

    return make


@pytest.fixture
def judge(make, weights, photos):
    files = Files(str(weights))
    spec = MODELS["SqueezeNet1_1"]
    images = ImageSet.open(photos(10))
    return Judge(spec, inference_graph(choose(spec.name), files), images, skip_bad=False)


def test_the_right_file_passes(judge, make):
    outcome = judge.judge(*CELL, make("SqueezeNet1_1"), None, OPTIONS)
    assert outcome.verdict == "pass"
    assert outcome.data.images == 10


def test_another_networks_file_fails_the_numeric_gate(judge, make):
    outcome = judge.judge(*CELL, make("SqueezeNet1_0"), None, OPTIONS)
    assert outcome.verdict == "fail"
    assert outcome.drift.max_rel > 0.1


def test_a_runtime_that_dies_fails_and_says_how(judge, make):
    outcome = judge.judge(Dying(), "fp32", make("SqueezeNet1_1"), None, OPTIONS)
    assert outcome.verdict == "fail"
    assert "SIGSEGV" in outcome.reason
    assert outcome.drift is None


def test_a_file_that_could_not_be_made_fails_with_the_steps_words(judge):
    outcome = judge.judge(*CELL, StepError("to_onnx of SqueezeNet1_1: it broke"), None, OPTIONS)
    assert outcome.verdict == "fail"
    assert outcome.reason == "to_onnx of SqueezeNet1_1: it broke"
