"""Files for Paddle Lite on ARM: the way to the runner and back, and how its failures are said.

The library is a stand-in, built for ARM and executed by QEMU; what it computes is no network's.
"""

import shutil
import threading

import numpy as np
import psutil
import pytest

from common.errors import StepError, UnavailableError
from runtimes.hosts.arm import Arm
from runtimes.hosts.local import ByLocalPython
from runtimes.paddle_lite_arm.library import FILE, find_library
from runtimes.paddle_lite_arm.program import NAME, compiled
from runtimes.worker import Worker
from tests.convert.test_lite_file import nb_bytes
from tests.runtimes import stand_in
from tests.runtimes.hosts.test_local import ended

pytestmark = pytest.mark.skipif(Arm().problem() is not None, reason=str(Arm().problem()))

LACKS = "opening the file with Paddle Lite on ARM: "
EXTRA = "give one that has all operators (an archive with_extra)"
FP16 = ", built with FP16 (with_arm82_fp16=ON)"


@pytest.fixture
def opened(paddle_lite, tmp_path):
    """A worker with the session of a file, opened by `opened(precision)`."""
    (tmp_path / "model.nb").write_bytes(nb_bytes(version=b"v2.14-rc"))
    library, host = find_library(str(paddle_lite)), ByLocalPython(Arm())
    workers = []

    def open_file(precision: str = "fp32") -> Worker:
        worker = Worker("main", "lite-arm", host=host)
        workers.append(worker.__enter__())
        worker.open(
            "runtimes.sessions.paddle_lite_arm:Session",
            folder=str(tmp_path),
            precision=precision,
            threads=1,
            command=host.command([compiled(library) / NAME]),
        )
        return worker

    yield open_file
    for worker in workers:
        worker.__exit__()


def runner_of(worker: Worker) -> psutil.Process:
    (runner,) = psutil.Process(worker._child.process.pid).children()
    return runner


def test_photos_go_there_and_logits_come_back_in_order(opened):
    worker = opened()
    random = np.random.default_rng(0)
    for shape in ((2, 3, 224, 224), (1, 3, 224, 224), (3, 3, 7, 501)):
        batch = random.normal(size=shape).astype(np.float32)
        found = worker.use("run", batch=batch)
        np.testing.assert_allclose(found, stand_in.logits(batch), atol=1e-3)
        assert found.dtype == np.float32
    assert worker.use("environment") == {
        "threads": 1,
        "versions": {"paddlelite": stand_in.VERSION},
    }


def test_the_runner_ends_with_its_session(opened):
    worker = opened()
    runner = runner_of(worker)
    assert "qemu" in runner.name()
    worker.__exit__()
    assert ended(runner)


@pytest.mark.parametrize(
    ("fault", "precision", "sentence"),
    [
        ("operator", "fp32", f"{LACKS}the library has no operator 'layer_norm'; {EXTRA}"),
        ("operator, throwing", "fp32", f"{LACKS}the library has no operator 'layer_norm'; {EXTRA}"),
        ("kernel", "fp16", f"{LACKS}the library has no kernel 'conv2d'; {EXTRA}{FP16}"),
        ("silently", "int8", f"{LACKS}the runner was ended by SIGABRT"),
        ("throwing", "fp32", f"{LACKS}the file is damaged"),
        ("instruction", "fp32", f"{LACKS}the runner was ended by SIGILL: the CPU lacks"),
    ],
)
def test_a_library_that_cannot_open_the_file(opened, monkeypatch, fault, precision, sentence):
    monkeypatch.setenv("STAND_IN_FAULT", fault)
    with pytest.raises(UnavailableError) as caught:
        opened(precision)
    assert str(caught.value).startswith(sentence)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ("running", "the runner was ended by SIGABRT: Check failed: it breaks"),
        ("shape", "the output has the shape 2x1x1 for a batch of 2"),
    ],
)
def test_a_library_that_breaks_while_it_runs(opened, monkeypatch, fault, sentence):
    monkeypatch.setenv("STAND_IN_FAULT", fault)
    worker = opened()
    with pytest.raises(StepError) as caught:
        worker.use("run", batch=np.zeros((2, 3, 8, 8), np.float32))
    assert str(caught.value) == f"running the file with Paddle Lite on ARM: {sentence}"
    assert not isinstance(caught.value, UnavailableError)


def test_a_killed_emulator(opened, monkeypatch):
    monkeypatch.setenv("STAND_IN_FAULT", "hanging")
    worker = opened()
    timer = threading.Timer(0.5, runner_of(worker).kill)
    timer.start()
    with pytest.raises(StepError, match="the runner was ended by SIGKILL"):
        worker.use("run", batch=np.zeros((1, 3, 8, 8), np.float32))
    timer.join()


@pytest.mark.parametrize(
    ("version", "optimizer"), [("v2.13", "v2.14-rc"), ("2.13-rc", "v2.14-rc"), ("v2.14", "v2.12")]
)
def test_a_library_of_another_version_than_the_file(
    opened, tmp_path, monkeypatch, version, optimizer
):
    monkeypatch.setenv("STAND_IN_VERSION", version)
    (tmp_path / "model.nb").write_bytes(nb_bytes(version=optimizer.encode()))
    with pytest.raises(UnavailableError) as caught:
        opened()
    assert str(caught.value) == (
        f"Paddle Lite's library is of version {version}, and the file was written for {optimizer}: "
        "give the library of that version"
    )


def test_what_the_loader_does_not_find(paddle_lite, tmp_path):
    folder = shutil.copytree(compiled(find_library(str(paddle_lite))), tmp_path / "runner")
    (folder / FILE).unlink()
    host = ByLocalPython(Arm())
    with (
        Worker("main", "lite-arm", host=host) as worker,
        pytest.raises(UnavailableError, match=f"ended with status 127: .*{FILE}: cannot open"),
    ):
        worker.open(
            "runtimes.sessions.paddle_lite_arm:Session",
            folder=str(tmp_path),
            precision="fp32",
            threads=1,
            command=host.command([folder / NAME]),
        )


@pytest.mark.parametrize("version", ["v2.14-rc", "2.14-rc", "3f2a9c1", ""])
def test_a_library_that_tells_a_commit_or_nothing_is_taken(opened, monkeypatch, version):
    monkeypatch.setenv("STAND_IN_VERSION", version)
    told = opened().use("environment")["versions"]["paddlelite"]
    assert told == (version or "does not tell")


def test_what_is_no_file(opened, tmp_path):
    opened()
    (tmp_path / "model.nb").write_bytes(b"short")
    with pytest.raises(StepError, match=r"model\.nb is cut short"):
        opened()
    (tmp_path / "model.nb").unlink()
    with pytest.raises(StepError, match="cannot open"):
        opened()
