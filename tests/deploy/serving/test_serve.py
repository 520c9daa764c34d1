"""`make serve`: what is served is what the toolkit computes, and nothing of it is left behind."""

import concurrent.futures
import io
import json
import os
import re
import signal
import socket
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data.decode import decode_photo
from data.imagenet import imagenet_classes
from data.preprocess import Preprocess
from models.registry import MODELS
from runtimes.sessions.onnx_runtime import Session
from runtimes.worker import Worker
from tests.conftest import assert_refused
from tests.deploy.serving.conftest import (
    MODEL,
    children,
    command_line,
    needs_server,
    serving,
    wait_until,
)

pytestmark = needs_server
SHARED_MEMORY = Path("/dev/shm")


@pytest.fixture(scope="module")
def server(built, weights):
    with serving(built, "--model", MODEL, "--weights", weights) as found:
        yield found


@pytest.fixture(scope="module")
def files(photos) -> list[bytes]:
    """Photo files: real ones, and kinds that decode by ways of their own."""
    listed = photos(6)
    real = [listed / line.split()[0] for line in (listed / "val_list.txt").read_text().splitlines()]
    found = [path.read_bytes() for path in real]
    photo = Image.open(io.BytesIO(found[0])).convert("RGB")
    turned = Image.Exif()
    turned[0x0112] = 6  # upright once it is turned by 90 degrees
    for image, kind, more in (
        (photo, "JPEG", {"exif": turned, "quality": 90}),
        (photo.convert("L"), "PNG", {}),
        (photo.convert("CMYK"), "JPEG", {}),
        (photo.convert("P"), "GIF", {}),
    ):
        stream = io.BytesIO()
        image.save(stream, kind, **more)
        found.append(stream.getvalue())
    return found


@pytest.fixture(scope="module")
def batch(files) -> np.ndarray:
    """The toolkit's own input of these photos."""
    preprocess = MODELS[MODEL].preprocess
    crops = [preprocess.crop_photo(decode_photo(data)) for data in files]
    return preprocess.normalize(np.stack(crops))


@pytest.fixture(scope="module")
def logits(server, built, batch) -> np.ndarray:
    """In-process, a photo at a time."""
    session = Session(str(built / MODEL / "onnx" / "fp32"), "fp32", 2)
    return np.concatenate([session.run(batch[row : row + 1]) for row in range(len(batch))])


def as_bytes(files: list[bytes]) -> np.ndarray:
    return np.array([[data] for data in files], object)


def test_it_says_what_it_serves(server, built):
    assert f"{MODEL}_photo" in server.said
    assert re.search(r"^ready in [\d.]+ s, \d+ MiB", server.said, re.M)
    about = server.get(f"/v2/models/{MODEL}")
    assert about["inputs"] == [{"name": "x", "datatype": "FP32", "shape": [-1, 3, 224, 224]}]
    assert about["outputs"] == [{"name": "logits", "datatype": "FP32", "shape": [-1, 1000]}]
    config = server.get(f"/v2/models/{MODEL}_photo/config")
    facts = {name: value["string_value"] for name, value in config["parameters"].items()}
    assert Preprocess.from_json(json.loads(facts["preprocess"])) == MODELS[MODEL].preprocess
    manifest = json.loads((built / MODEL / "onnx" / "fp32" / "manifest.json").read_text())
    wanted = {"model.onnx": manifest["files"]["model.onnx"]["sha256"]}
    assert json.loads(facts["files"]) == wanted
    assert (facts["target"], facts["precision"]) == ("onnx", "fp32")


def test_crops_are_equal_to_the_last_bit(server, files, batch):
    served = server.infer(f"{MODEL}_preprocess", "photo", as_bytes(files), "x")["array"]
    assert np.array_equal(served, batch)


def test_logits_of_tensors_and_of_photos_are_those_computed_in_process(
    server, files, batch, logits
):
    for row, data in enumerate(files):
        one = slice(row, row + 1)
        served = server.infer(MODEL, "x", batch[one], "logits")["array"]
        assert np.array_equal(served, logits[one])
        served = server.infer(f"{MODEL}_photo", "photo", as_bytes([data]), "logits")["array"]
        assert np.array_equal(served, logits[one])


def test_many_at_once_get_each_their_own(server, batch, logits):
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        rows = [row % len(batch) for row in range(48)]
        asked = [
            pool.submit(server.infer, MODEL, "x", batch[row : row + 1], "logits") for row in rows
        ]
        for row, one in zip(rows, asked, strict=True):
            assert np.allclose(one.result()["array"], logits[row : row + 1], rtol=1e-4, atol=1e-4)


def test_grpc_says_the_same(server, batch, logits):
    with Worker("serve", "asking by gRPC") as worker:
        served = worker.call(
            "tests.deploy.serving.asking:infer", address=server.grpc, model=MODEL, batch=batch[:1]
        )
    assert np.array_equal(served, logits[:1])


def test_classes_have_names(server, files, logits):
    found = server.infer(
        f"{MODEL}_photo", "photo", as_bytes(files[:1]), "logits", classification=3
    )["data"]
    best = np.argsort(-logits[0])[:3]
    assert [one.split(":", 2)[2] for one in found] == [imagenet_classes()[row] for row in best]


def test_a_file_can_be_sent_as_it_is(server, files, logits):
    """`curl --data-binary @photo.jpg` with one header."""
    request = urllib.request.Request(f"{server.rest}/v2/models/{MODEL}_photo/infer", files[0])
    request.add_header("Inference-Header-Content-Length", "0")
    with urllib.request.urlopen(request, timeout=30) as answer:
        head = int(answer.headers["Inference-Header-Content-Length"])
        served = np.frombuffer(answer.read()[head:], np.float32)
    assert np.array_equal(served, logits[0])


@pytest.mark.parametrize(
    ("count", "said"),
    [(1, "truncated JPEG"), (2, "photo 2 of 2: truncated JPEG")],
)
def test_what_is_no_whole_photo_is_a_sentence(server, files, count, said):
    sent = as_bytes([files[0], files[0][:2000]][-count:])
    with pytest.raises(urllib.error.HTTPError) as refused:
        server.infer(f"{MODEL}_photo", "photo", sent, "logits")
    assert refused.value.code == 400
    assert json.loads(refused.value.read())["error"].endswith(said)


def test_a_body_of_very_many_chunks_does_not_end_it(server):
    """Triton puts something on its stack for each."""
    host, _, port = server.rest.removeprefix("http://").partition(":")
    lines = f"POST /v2/models/{MODEL}/infer HTTP/1.1\r\nHost: {host}\r\n"
    body = b"1\r\n{\r\n" * 600_000 + b"0\r\n\r\n"
    with socket.create_connection((host, int(port)), timeout=60) as connection:
        connection.sendall(f"{lines}Transfer-Encoding: chunked\r\n\r\n".encode() + body)
        assert connection.recv(1000).startswith(b"HTTP/1.1 500")
    assert server.get("/v2/health/ready") == {}


@pytest.mark.parametrize(
    "path", ["systemsharedmemory/status", "trace/setting", "logging", "repository/index"]
)
def test_what_reaches_beyond_asking_is_closed(server, path):
    post = b"{}" if path == "repository/index" else None
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(urllib.request.Request(f"{server.rest}/v2/{path}", post), timeout=30)
    assert "restricted" in json.loads(refused.value.read())["error"]


def test_it_counts_what_it_did(server, batch):
    server.infer(MODEL, "x", batch[:2], "logits")
    with urllib.request.urlopen(server.metrics, timeout=30) as answer:
        text = answer.read().decode()
    assert re.search(rf'nv_inference_count{{model="{MODEL}",version="1"}} [1-9]', text)


def test_only_this_machine_reaches_it(server):
    port = int(server.rest.rpartition(":")[2])
    with socket.socket() as other, pytest.raises(ConnectionRefusedError):
        other.connect(("127.0.0.2", port))


def test_a_port_in_use_is_refused_before_any_work(server, command):
    port = server.rest.rpartition(":")[2]
    done = command("deploy/serve.py", "--model", MODEL, "--port", port)
    assert_refused(done, f"127.0.0.1:{port} (REST): address already in use", "PORT=")


def test_ctrl_c_ends_it_and_all_that_it_started(built, weights):
    words = ("--model", MODEL, "--weights", weights, "--host", "0.0.0.0")
    with serving(built, *words) as server:
        started = children(server.process.pid)
        [folder] = {
            found[1]
            for pid in started
            if (found := re.search(r"/dev/shm/(portage-\w+)/models/", command_line(pid)))
        }
        assert [one for one in SHARED_MEMORY.glob(f"{folder}*") if one.is_file()]
        status, said = server.end()
        assert status == 0
        assert "warning: whoever reaches 0.0.0.0:" in said
        assert "no authentication" in said
        assert not [pid for pid in started if Path(f"/proc/{pid}").exists()]
        assert not list(SHARED_MEMORY.glob(f"{folder}*"))


@pytest.mark.parametrize("backend", [True, False], ids=["a backend", "the command"])
def test_what_is_killed_takes_all_with_it(built, weights, backend):
    with serving(built, "--model", MODEL, "--weights", weights) as server:
        started = children(server.process.pid)
        killed = server.process.pid
        if backend:
            wanted = f"/{MODEL}/1/model.py"
            [killed] = [pid for pid in started if wanted in command_line(pid)]
        os.kill(killed, signal.SIGKILL)
        status = server.process.wait(30)
        if backend:
            assert status == 1
            said = server.process.stderr.read()
            assert f"error: the backend of {MODEL} died, killed or out of memory" in said
        assert wait_until(lambda: not [pid for pid in started if command_line(pid)])
