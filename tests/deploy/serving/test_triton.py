"""The server by itself: every runtime and kind of preprocessing, and what it refuses."""

import contextlib
import dataclasses
import io
import os
import re
import shutil
import signal
import sys
import urllib.error
from collections.abc import Sequence

import numpy as np
import pytest
from PIL import Image

from common.errors import StepError, UserError
from convert.artifact import Artifact
from deploy import serve
from deploy.packages.labels import Labels
from deploy.request.building import build_files, choose_builds, inference_graph
from deploy.request.values import Files
from deploy.serving.addresses import LOOPBACK, find_addresses
from deploy.serving.model_config import Word, config_text
from deploy.serving.models import Model
from deploy.serving.repository import write_repository
from deploy.serving.triton import Triton
from deploy.targets import TARGETS
from models.registry import MODELS
from runtimes.hosts.local import child_folder
from runtimes.worker import Worker
from tests.deploy.serving.conftest import MODEL, Server, children, command_line, needs_server

LABELS = Labels([str(number) for number in range(1000)], "numbers")


@pytest.fixture(scope="module")
def models(built, weights) -> dict[str, Model]:
    """The same network for each runtime of CPUs, by the target's name."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BUILD_DIR", str(built))
        files = Files(str(weights))
        graph = inference_graph(choose_builds([MODEL], None, files.weights)[0], files)
        cells = [(TARGETS[name], "fp32") for name in ("onnx", "openvino", "paddle")]
        made = build_files(graph, cells, files.options)
    return {
        target.name: Model(graph, target, precision, made[target, precision], LABELS)
        for target, precision in cells
    }


def called(model: Model, name: str, **facts) -> Model:
    """A model under another name, whose graph has other facts."""
    manifest = {**model.graph.manifest, "build": name}
    manifest["facts"] = {**manifest["facts"], **facts}
    return dataclasses.replace(model, graph=Artifact(model.graph.folder, manifest))


@contextlib.contextmanager
def served(models: Sequence[Model]):
    """A server of these, as what the tests ask."""
    with child_folder() as folder:
        write_repository(folder / "models", models)
        where = find_addresses(LOOPBACK, 0)
        with Triton(folder, folder / "models", where) as triton:
            grpc = f"{where.here}:{where.grpc}"
            yield triton, Server(None, "", f"http://{where.here}:{where.http}", grpc, "")


@needs_server
def test_each_runtime_and_each_models_crops(models):
    """Of the published ways to prepare photos (but the crop's size, which the network bounds) each
    is before one of the runtimes. Paddle computes in a process of its own, whose death ends all."""
    published = (spec.preprocess for spec in MODELS.values())
    ways = list(dict.fromkeys(dataclasses.replace(way, crop=224) for way in published))
    assert len(ways) == len(models)
    of_each = [
        called(model, f"{target}-way", preprocess=way.to_json())
        for (target, model), way in zip(models.items(), ways, strict=True)
    ]
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (300, 400, 3), np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    photo = np.array([[stream.getvalue()]], object)
    batch = rng.standard_normal((2, 3, 224, 224), np.float32)
    with served(of_each) as (triton, server):
        for model, way in zip(of_each, ways, strict=True):
            prepared = server.infer(f"{model.name}_preprocess", "photo", photo, "x")["array"]
            assert np.array_equal(prepared, way.normalize(way.crop_photo(pixels)[None]))
            logits = server.infer(model.name, "x", batch, "logits")["array"]
            assert np.array_equal(logits, in_process(model, batch))
        assert triton.memory_mib() > 100

        paddle = of_each[-1].name
        [backend] = [
            pid for pid in children(os.getpid()) if f"/{paddle}/1/model" in command_line(pid)
        ]
        [child] = children(backend)
        os.kill(child, signal.SIGKILL)
        with pytest.raises(urllib.error.HTTPError):
            server.infer(paddle, "x", batch, "logits")
        with pytest.raises(StepError, match=rf"the backend of {paddle} died: .*SIGKILL"):
            triton.watch()


def in_process(model: Model, batch: np.ndarray) -> np.ndarray:
    spec = model.target.served_session_spec("fp32")
    facts = {"folder": str(model.artifact.folder), "precision": "fp32", "threads": 2}
    with Worker(spec.environment, "the same in process") as worker:
        worker.open(spec.session, **facts, **spec.options)
        return worker.use("run", batch=batch)


@needs_server
@pytest.mark.parametrize(("target", "file"), [("onnx", "model.onnx"), ("openvino", "model.xml")])
def test_a_model_that_does_not_load_is_a_sentence(models, tmp_path, target, file):
    model = models[target]
    broken = tmp_path / "broken"
    shutil.copytree(model.artifact.folder, broken)
    (broken / file).write_bytes((broken / file).read_bytes()[:1000])
    artifact = Artifact(broken, model.artifact.manifest)
    said = rf"^serving {MODEL}: it does not load: \w+"
    refused = pytest.raises(StepError, match=said)
    with refused as failed, served([dataclasses.replace(model, artifact=artifact)]):
        pass
    assert "\n" not in str(failed.value)
    assert "Traceback" not in str(failed.value)


def test_two_models_of_one_name_are_refused(models, tmp_path):
    model = models["onnx"]
    for other in (model, called(model, f"{MODEL}_photo")):
        with pytest.raises(UserError, match="two models would be called"):
            write_repository(tmp_path / "models", [model, other])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--host", "example.org"], "HOST: 'example.org' is no IPv4 address"),
        (["--host", "192.0.2.1"], "it is none of this machine's: HOST=127.0.0.1"),
        (["--port", "70000"], "'70000' is not a whole number from 0 to 65533"),
        (["--target", "mnn"], "target mnn is not served, only paddle, onnx"),
        (["--target", "all"], "name one TARGET"),
        (["--format", "triton"], "--format and --storage are for --export"),
    ],
)
@needs_server
def test_mistakes_are_a_sentence(monkeypatch, words, said):
    monkeypatch.setattr(sys, "argv", ["serve.py", "--model", MODEL, *words])
    with pytest.raises(UserError, match=re.escape(said)):
        serve.main()


@needs_server
@pytest.mark.parametrize(
    ("target", "precision", "why"),
    [("onnx", "fp16", "ONNX Runtime computes FP16 files in fp32"), ("trt-t4", "fp32", "a T4")],
)
def test_what_is_only_simulated_here_is_not_served(monkeypatch, capsys, target, precision, why):
    words = ["--model", MODEL, "--target", target, "--precision", precision]
    monkeypatch.setattr(sys, "argv", ["serve.py", *words])
    if "native" in TARGETS[target].session_spec(precision).execution:
        pytest.skip("it is not simulated on this machine")
    assert serve.main() == 3
    said = capsys.readouterr().err
    assert f"error: {target} {precision} cannot be served here" in said
    assert why in said


@needs_server
def test_texts_arrive_in_configurations_as_they_are():
    odd = 'a "quoted" name\\ with ä, 日本 and\ttab'
    entry = {"data_type": Word("TYPE_FP32")}
    text = config_text({"name": odd, "max_batch_size": 3, "input": [entry]})
    with Worker("serve", "reading config.pbtxt") as worker:
        config = worker.call("deploy.serving.checking:model_config", text=text)
    assert config == {"name": odd, "max_batch_size": 3, "input": [{"data_type": "TYPE_FP32"}]}
