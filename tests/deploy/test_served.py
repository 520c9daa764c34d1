"""Target `served`: what a server answers, judged; and what a server does wrongly, named."""

import concurrent.futures
import json
import sys

import cv2
import numpy as np
import onnxruntime
import pytest

from common import files
from common.errors import UserError
from data.decode import decode_photo
from data.preprocess import Preprocess
from deploy import benchmark, build, explain, validate
from runtimes.worker import Worker
from tests.deploy.serving.conftest import MODEL, needs_server, serving
from tests.runtimes.served.played import Played

pytestmark = needs_server
PREPROCESS = Preprocess()


@pytest.fixture(scope="module")
def server(built, weights):
    """A real Triton, which the toolkit started."""
    with serving(built, "--model", MODEL, "--weights", weights) as found:
        yield found


@pytest.fixture
def judge(built, weights, photos, monkeypatch, capsys):
    """Run a command of this model on an endpoint, in this process: its status and what it says."""

    def run(module, url, *words) -> tuple[int, str]:
        monkeypatch.setenv("BUILD_DIR", str(built))
        line = ["--model", MODEL, "--weights", weights, "--target", "served", "--url", url, *words]
        monkeypatch.setattr(sys, "argv", [f"{module.__name__}.py", *map(str, line)])
        status = module.main()
        return status, capsys.readouterr().out

    return run


def result_of(said: tuple[int, str]) -> dict:
    return json.loads(said[1])


def test_what_is_served_rightly_passes(judge, built, server, photos):
    url, words = f"grpc://{server.grpc}", ("--data", photos(20), "--json")
    of_tensors = result_of(judge(validate, url, *words))
    of_photos = result_of(judge(validate, url, *words, "--served-name", f"{MODEL}_photo"))
    for one, takes in ((of_tensors, "tensors"), (of_photos, "photos")):
        assert (one["verdict"], one["execution"]) == ("pass", "served")
        assert one["drift"]["max_rel"] < 1e-5
        assert one["host"] == {"name": url, "isa": []}
        about = one["served"]
        assert (about["url"], about["server"], about["takes"]) == (url, "triton", takes)
        assert about["server_version"] == one["environment"]["versions"]["triton"]
        assert "mistake" not in about
    label = f"served-fp32-{server.grpc.replace(':', '-')}"
    for name in (label, f"{label}-{MODEL}_photo"):
        assert (built / MODEL / "results" / f"{name}.json").is_file()


def test_a_triton_that_starts_anew_in_the_middle(built, weights, tmp_path):
    inputs = np.random.default_rng(5).standard_normal((20, 3, 224, 224), np.float32)
    words = ("--model", MODEL, "--weights", weights)
    with serving(built, *words) as first, Worker("serve", "asking") as worker:
        url, port = first.rest, first.rest.rpartition(":")[2]
        ask = {"url": url, "name": MODEL, "classes": 1000, "side": 224}
        files.write_json(
            tmp_path / "endpoint.json", worker.call("runtimes.served.client:described", **ask)
        )
        options = {"folder": str(tmp_path), "precision": "fp32", "threads": 1, "url": url}
        worker.open("runtimes.sessions.served:Session", **options)
        before = worker.use("run", batch=inputs[:10])
        first.end()
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            later = pool.submit(worker.use, "run", batch=inputs[10:])
            with serving(built, *words, "--port", port):
                after = later.result()
        assert worker.use("environment")["served"]["retried"] > 0
    network = onnxruntime.InferenceSession(str(built / MODEL / "onnx" / "fp32" / "model.onnx"))
    alone = np.concatenate([network.run(["logits"], {"x": one[None]})[0] for one in inputs])
    assert np.allclose(np.concatenate([before, after]), alone, rtol=1e-4, atol=1e-4)


def test_a_served_int8_file_drifts_as_it_does_here(built, weights, photos, command):
    about = ("--model", MODEL, "--weights", weights, "--precision", "int8")
    made = ("--calib", photos(3), "--method", "minmax")
    judging = ("--data", photos(7), "--json", *about)
    with serving(built, *about, *made) as server:
        url = ("--url", f"grpc://{server.grpc}")
        done = [
            command("deploy/validate.py", *judging, "--target", target, *more, BUILD_DIR=built)
            for target, more in (("served", url), ("onnx", ()))
        ]
    assert [one.returncode for one in done] == [3, 3], done[0].stderr
    there, here = (json.loads(one.stdout) for one in done)
    assert (there["verdict"], there["execution"]) == ("undecided", "served")
    assert there["data"] == here["data"]
    assert there["data"]["images"] == 6  # one of the seven calibrated the file
    assert there["drift"]["max_rel"] > 1e-2
    for field in ("max_abs", "max_rel", "agreement", "top1_pp"):
        assert there["drift"][field] == pytest.approx(here["drift"][field], rel=1e-5), field


class Wrong(Played):
    """A server of the model itself that takes what a test plants in its way."""

    def __init__(self, built, takes, plant):
        shape = (-1, 1) if takes == "photos" else (-1, 3, 224, 224)
        datatype = "BYTES" if takes == "photos" else "FP32"
        super().__init__(datatype, shape, (("logits", (-1, 1000)),))
        self.plant = plant
        self.network = onnxruntime.InferenceSession(
            str(built / MODEL / "onnx" / "fp32" / "model.onnx")
        )

    def answer(self, photos):
        inputs = np.ascontiguousarray(np.stack([self.plant(one) for one in photos]))
        return self.network.run(["logits"], {"x": inputs})[0]


def upside_down_colours(data):
    """OpenCV's decoder gives BGR, and nobody turned it."""
    bgr = cv2.imdecode(np.asarray(data), cv2.IMREAD_COLOR)
    return PREPROCESS.normalize(PREPROCESS.crop_photo(bgr)[None])[0]


def stretched_and_0_to_1(data):
    pixels = cv2.resize(decode_photo(np.asarray(data).tobytes()), (224, 224))
    return pixels.transpose(2, 0, 1).astype(np.float32) / 255


def normalised_again(tensor):
    mean, std = (np.float32(one)[:, None, None] for one in (PREPROCESS.mean, PREPROCESS.std))
    return (tensor - mean) / std


def upside_down(tensor):
    """What no list has."""
    return tensor[:, ::-1]


@pytest.mark.parametrize(
    ("takes", "plant", "words"),
    [
        ("photos", upside_down_colours, "BGR for RGB"),
        (
            "photos",
            stretched_and_0_to_1,
            "stretched to 224x224, no centre crop, and no mean and deviation (0 … 1)",
        ),
        ("tensors", normalised_again, "normalised once more"),
        ("tensors", upside_down, None),
    ],
)
def test_what_a_server_does_wrongly_is_named(judge, built, server, photos, takes, plant, words):
    with Wrong(built, takes, plant).running() as played:
        status, said = judge(
            validate, played.url, "--served-name", "toy", "--data", photos(20), "--json"
        )
    one = json.loads(said)
    assert (status, one["verdict"]) == (1, "fail")
    changed = round(20 * (1 - one["drift"]["agreement"]))
    assert changed > 0
    if words is None:
        assert "mistake" not in one["served"]
        assert "known ways to prepare photos wrongly, alone or by twos, explains" in one["reason"]
        return
    found = one["served"]["mistake"]
    assert found == {"words": words, "tried": changed, "explained": changed}
    who = {"photos": "prepares photos wrongly", "tensors": "changes its input"}[takes]
    explains = f"which explains {changed} of {changed} changed decisions"
    assert f"the server {who}: {words}, {explains}" in one["reason"]


def test_load_stands_beside_the_same_network_here(judge, server):
    words = ("--limit", "0", "--concurrency", "2", "--json")
    for name in (MODEL, f"{MODEL}_photo"):
        status, said = judge(benchmark, server.rest, *words, "--served-name", name)
        one = json.loads(said)
        assert status == 0
        (found,) = one["load"].values()
        assert found["pairs"] >= 6
        assert found["requests"] >= found["pairs"]
        assert 0 < found["p50_ms"] <= (found["p99_ms"] or np.inf)
        low, high = found["ci95"]
        assert 0 < low <= found["ratio"] <= high
        assert one["endpoint"]["model"] == name


class Softmax(Wrong):
    def answer(self, photos):
        raised = np.exp(super().answer(photos))
        return raised / raised.sum(axis=1, keepdims=True)


def test_probabilities_are_no_logits(judge, built, server, photos):
    with Softmax(built, "tensors", lambda tensor: tensor).running() as played:
        words = ("--served-name", "toy", "--data", photos(20), "--json")
        status, said = judge(validate, played.url, *words)
    one = json.loads(said)
    assert (status, one["drift"]["agreement"]) == (1, 1.0)
    assert "answers probabilities, which sum to 1: serve it without its softmax" in one["reason"]


@pytest.mark.parametrize(
    ("module", "words", "said"),
    [
        (validate, ["--target", "served"], r"judged where it is served: --url http://host:8000"),
        (validate, ["--target", "onnx", "--url", "http://a:1"], r"--url is for --target served"),
        (validate, ["--target", "served", "--url", "http://u:p@a:1"], r"leave them out"),
        (validate, ["--target", "served", "--host", "arm"], r"it runs where it is served: leave H"),
        (benchmark, ["--target", "onnx", "--concurrency", "2"], r"is for --target served"),
        (benchmark, ["--target", "served", "--target", "onnx", "--url", "S"], r"measured alone"),
        (explain, ["--target", "served"], r"has no file of ours: it is judged where it is served"),
        (build, ["--target", "served"], r"has no file of ours"),
    ],
)
def test_what_cannot_be_asked_is_a_sentence(monkeypatch, server, module, words, said):
    words = [f"grpc://{server.grpc}" if word == "S" else word for word in words]
    monkeypatch.setattr(sys, "argv", ["x.py", "--model", MODEL, *words])
    with pytest.raises(UserError, match=said):
        module.main()
