"""MNN's session: what it refuses. What it computes is checked after every step."""

import numpy as np
import pytest

from common.errors import StepError
from convert.to_mnn import FILE, SESSION, to_mnn
from runtimes.worker import Worker
from tests.convert.toy import FULLY_CONNECTED, SHAPE, make


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    home = tmp_path_factory.mktemp("mnn")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BUILD_DIR", str(home / "build"))
        yield to_mnn(make(home / "toy", FULLY_CONNECTED)).folder


def opened(worker, folder):
    worker.open(SESSION, folder=str(folder), precision="fp32", threads=1)


def test_it_takes_batches_of_any_size_and_says_what_computes(folder):
    images = np.random.default_rng(1).standard_normal((5, *SHAPE), np.float32)
    with Worker("main", "running") as worker:
        opened(worker, folder)
        together = worker.use("run", batch=images)
        apart = [worker.use("run", batch=image[None]) for image in images]
        environment = worker.use("environment")
    assert together.shape == (5, 5)
    assert together.dtype == np.float32
    np.testing.assert_allclose(together, np.concatenate(apart), rtol=1e-4, atol=1e-5)
    assert environment == {"threads": 1, "arithmetic": "fp32", "versions": {"MNN": "3.6.1"}}


def test_a_batch_of_another_shape(folder):
    with Worker("main", "running") as worker:
        opened(worker, folder)
        with pytest.raises(StepError, match=r"cannot run its graph on .* \(1, 4, 32, 32\)"):
            worker.use("run", batch=np.zeros((1, 4, 32, 32), np.float32))


@pytest.mark.parametrize("size", [None, 0, 100, 1000])
def test_a_file_that_is_absent_or_damaged(folder, tmp_path, size):
    if size is not None:
        (tmp_path / FILE).write_bytes((folder / FILE).read_bytes()[:size])
    with (
        Worker("main", "running") as worker,
        pytest.raises(StepError, match=r"MNN cannot load .*model\.mnn: it is damaged or absent"),
    ):
        opened(worker, tmp_path)
