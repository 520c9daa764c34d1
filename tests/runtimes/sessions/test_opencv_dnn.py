"""OpenCV's session: batches of any size, and its errors as sentences."""

import numpy as np
import pytest

from common.errors import StepError
from convert.to_opencv import FILE, SESSION
from runtimes.worker import Worker
from tests.convert.toy import FULLY_CONNECTED, SHAPE, make


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make(tmp_path_factory.mktemp("opencv") / "toy", FULLY_CONNECTED).folder


@pytest.fixture(scope="module")
def worker():
    with Worker("main", "running") as opened:
        yield opened


def open_session(worker, folder):
    worker.open(SESSION, folder=str(folder), precision="fp32", threads=1)


def test_batches_change_and_it_says_what_computes(worker, folder):
    images = np.random.default_rng(1).standard_normal((5, *SHAPE), np.float32)
    open_session(worker, folder)
    apart = [worker.use("run", batch=image[None]) for image in images]
    together = worker.use("run", batch=images)
    again = worker.use("run", batch=images[2:4])
    assert (together.shape, together.dtype) == ((5, 5), np.float32)
    np.testing.assert_allclose(together, np.concatenate(apart), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(again, together[2:4], rtol=1e-4, atol=1e-5)
    assert worker.use("environment") == {"threads": 1, "versions": {"opencv": "4.12.0"}}


def test_a_batch_of_another_shape(worker, folder):
    open_session(worker, folder)
    with pytest.raises(StepError) as caught:
        worker.use("run", batch=np.zeros((1, 4, 32, 32), np.float32))
    assert str(caught.value) == (
        "OpenCV cannot run its graph on a batch of shape (1, 4, 32, 32): Unspecified error: "
        "Number of input channels should be multiple of 3 but got 4"
    )


@pytest.mark.parametrize(
    ("size", "reason"),
    [
        (None, "Bad argument: Can't read ONNX file: {path}"),
        (0, "Assertion failed: model_proto.has_graph()"),
        (100, "Unsupported format or combination of formats: Failed to parse ONNX model: {path}"),
        (1000, "Unsupported format or combination of formats: Failed to parse ONNX model: {path}"),
    ],
)
def test_a_file_that_is_absent_or_damaged(worker, folder, tmp_path, size, reason):
    path = tmp_path / FILE
    if size is not None:
        path.write_bytes((folder / FILE).read_bytes()[:size])
    with pytest.raises(StepError) as caught:
        open_session(worker, tmp_path)
    assert str(caught.value) == f"OpenCV cannot load {path}: {reason.format(path=path)}"
