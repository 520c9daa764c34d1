"""A session that asks a server which fails, is away, lies, or wants to be sure who asks."""

import contextlib
import json
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from common.errors import StepError, UnavailableError, UserError
from runtimes.environments import SERVE
from runtimes.served import address
from runtimes.worker import Worker
from tests.runtimes.served.played import CLASSES, NAME, SIDE, Played

pytestmark = pytest.mark.skipif(SERVE.problem() is not None, reason=str(SERVE.problem()))
DESCRIBED = "runtimes.served.client:described"
PHOTOS = np.arange(20, dtype=np.float32)[:, None, None, None].repeat(3, 1)
PHOTOS = PHOTOS.repeat(SIDE, 2).repeat(SIDE, 3)
RIGHT = Played().answer(PHOTOS)


@dataclass
class At:
    """A server by its address alone."""

    url: str


@pytest.fixture(scope="module")
def child():
    """A child in .venv-serve, which waits for an answer, and for a server, two seconds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(address.TIMEOUT, "2")
        with Worker("serve", "asking") as worker:
            yield worker


@pytest.fixture
def asking(child, tmp_path):
    """Let the child describe a played server and open a session for it."""

    def open_session(played):
        about = child.call(DESCRIBED, url=played.url, name=NAME, classes=CLASSES, side=SIDE)
        (tmp_path / "endpoint.json").write_text(json.dumps(about))
        child.open(
            "runtimes.sessions.served:Session",
            folder=str(tmp_path),
            precision="fp32",
            threads=1,
            url=played.url,
        )
        return child

    return open_session


def test_what_passes_is_asked_again_and_counts_once(asking):
    played = Played(plan=[503, None, 3.0, 429, None, 500])
    with played.running():
        worker = asking(played)
        assert np.array_equal(worker.use("run", batch=PHOTOS), RIGHT)
        about = worker.use("environment")
    assert about["served"]["retried"] == 4  # two statuses that pass, a fault, a late answer
    assert about["versions"]["played"] == "7"
    assert sorted(played.batches) == [4, 8, 8, 8]  # the late one was computed for nobody


def test_a_server_that_starts_anew_in_the_middle(asking):
    played = Played()
    with played.running():
        worker = asking(played)
        before = worker.use("run", batch=PHOTOS[:10])
    with contextlib.ExitStack() as stack:
        returns = threading.Timer(0.5, lambda: stack.enter_context(played.running()))
        returns.start()
        after = worker.use("run", batch=PHOTOS[10:])
        returns.join()
    assert worker.use("environment")["served"]["retried"] > 0
    assert np.array_equal(np.concatenate([before, after]), RIGHT)


def test_a_server_that_stays_away(asking):
    played = Played()
    with played.running():
        worker = asking(played)
    started = time.monotonic()
    with pytest.raises(UnavailableError, match=r"failed \d times in \d s: .*refused.*; start it"):
        worker.use("run", batch=PHOTOS)
    assert time.monotonic() - started < 30


@pytest.mark.parametrize(
    ("plan", "said"),
    [
        ([500, 500, 500] * 4, "asked for model 'toy', failed 3 times in .*500. planned"),
        ([404], "asked for model 'toy', says: .404. planned"),
        ([{"id": "another"}], "answered another request than it was sent"),
        ([{"skip": 1}], r"answered 8 photos with 28 numbers, not 4 for each"),
        ([None, {"model_version": "2"}], "became version 2 in the middle, after 1 had answered"),
    ],
)
def test_what_does_not_pass_is_a_sentence(asking, plan, said):
    played = Played(plan=plan, shape=(8, 3, SIDE, SIDE))
    with played.running(), pytest.raises(StepError, match=said):
        asking(played).use("run", batch=PHOTOS)


@pytest.mark.parametrize(
    ("changes", "batches"),
    [
        ({"extensions": ()}, [8, 8, 4]),  # numbers as JSON
        ({"shape": (1, 3, SIDE, SIDE)}, [1] * 20),
        ({"shape": (6, 3, SIDE, SIDE)}, [6, 6, 6, 6]),  # the last is filled up
        ({"most": 3}, [3, 3, 3, 3, 3, 3, 2]),
    ],
)
def test_servers_that_take_photos_otherwise(asking, changes, batches):
    played = Played(**changes)
    with played.running():
        assert np.array_equal(asking(played).use("run", batch=PHOTOS), RIGHT)
    assert played.batches == batches


def test_photo_files(asking, tmp_path):
    paths = [tmp_path / f"{number}.jpg" for number in range(3)]
    for number, path in enumerate(paths):
        path.write_bytes(bytes([number, 7, 7]))
    played = Played(datatype="BYTES", shape=(-1, 1))
    with played.running():
        logits = asking(played).use("run", batch=[str(path) for path in paths])
    assert np.array_equal(logits, RIGHT[:3])


def test_a_model_that_is_not_there(child):
    played, said = Played(), r"SERVED_NAME= names one that is there: did you mean toy"
    with played.running(), pytest.raises(UserError, match=said):
        child.call(DESCRIBED, url=played.url, name="tyo", classes=CLASSES, side=SIDE)


@contextlib.contextmanager
def played_grpc(**settings):
    """The port of a server over gRPC, as long as the block runs."""
    program = Path(__file__).with_name("played_grpc.py")
    command = [SERVE.python, program, json.dumps(settings)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            yield int(server.stdout.readline())
        finally:
            server.kill()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A certificate for 127.0.0.1 that its own key signs, and the key."""
    folder = tmp_path_factory.mktemp("tls")
    paths = str(folder / "ca.pem"), str(folder / "key.pem")
    words = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=test"]
    words += ["-addext", "subjectAltName=IP:127.0.0.1", "-out", paths[0], "-keyout", paths[1]]
    subprocess.run(["openssl", *words], check=True, capture_output=True)
    return paths


def test_tls_and_a_token(tmp_path, certificate, monkeypatch):
    """Each is a child of its own, which has the variables of when it starts; an inference that the
    server refuses repeats the token that it was sent."""
    played = Played(token="s3cret", plan=[400], shape=(1, 3, SIDE, SIDE))
    with played.running(certificate):
        url = played.url.replace("http:", "https:")

        def described():
            with Worker("serve", "asking") as worker:
                about = worker.call(DESCRIBED, url=url, name=NAME, classes=CLASSES, side=SIDE)
                (tmp_path / "endpoint.json").write_text(json.dumps(about))
                options = {"folder": str(tmp_path), "precision": "fp32", "threads": 1, "url": url}
                worker.open("runtimes.sessions.served:Session", **options)
                with pytest.raises(StepError, match="planned Bearer …"):
                    worker.use("run", batch=PHOTOS)
                return about, worker.printed()

        with pytest.raises(UserError, match=rf"is not trusted .*: export {address.CA}=/path"):
            described()
        monkeypatch.setenv(address.CA, certificate[0])
        with pytest.raises(UserError, match=rf"asks for a token: export {address.TOKEN}=…"):
            described()
        monkeypatch.setenv(address.TOKEN, "s3cret")
        about, printed = described()
        assert about["url"] == url
        assert "s3cret" not in json.dumps(about) + printed


def test_over_grpc(asking):
    plan = ["UNAVAILABLE", None, 3.0, "RESOURCE_EXHAUSTED", None, "INTERNAL", None]
    plan += ["FAILED_PRECONDITION", "INTERNAL", "INTERNAL", "INTERNAL"]
    with played_grpc(plan=plan) as port:
        worker = asking(At(f"grpc://127.0.0.1:{port}"))
        assert np.array_equal(worker.use("run", batch=PHOTOS), RIGHT)
        assert worker.use("environment")["served"]["retried"] == 4
        with pytest.raises(StepError, match=r"says: .StatusCode.FAILED_PRECONDITION. planned None"):
            worker.use("run", batch=PHOTOS[:1])
        with pytest.raises(StepError, match=r"failed 3 times in \d s: .StatusCode.INTERNAL"):
            worker.use("run", batch=PHOTOS[:1])
    with pytest.raises(UnavailableError, match=r"failed \d+ times in \d+ s: .*refused"):
        worker.use("run", batch=PHOTOS)
    with played_grpc(port=port):
        assert np.array_equal(worker.use("run", batch=PHOTOS), RIGHT)


def test_tls_and_a_token_over_grpc(certificate, monkeypatch):
    with played_grpc(token="s3cret", certificate=certificate) as port:

        def described():
            about = {"url": f"grpcs://127.0.0.1:{port}", "name": NAME}
            with Worker("serve", "asking") as worker:
                return worker.call(DESCRIBED, classes=CLASSES, side=SIDE, **about)

        with pytest.raises(UserError, match=rf"is not trusted .*: export {address.CA}=/path"):
            described()
        monkeypatch.setenv(address.CA, certificate[0])
        monkeypatch.setenv(address.TOKEN, "wrong")
        with pytest.raises(UserError, match="refuses the token"):
            described()
        monkeypatch.setenv(address.TOKEN, "s3cret")
        assert described()["server"] == "played"
