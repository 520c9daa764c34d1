"""Batches that several processes take: in order, and given up at once where that is wanted."""

import time

import numpy as np
import pytest

from common.errors import StepError
from runtimes.session_pool import NATIVE, SessionSpec, open_sessions

BATCH = np.zeros((1, 3, 8, 8), np.float32)


def sessions(tmp_path, **options):
    spec = SessionSpec(NATIVE, "tests.deploy.sleeper:Session", one_thread=True, options=options)
    return open_sessions(spec, tmp_path, "fp32")


@pytest.mark.parametrize("error", [KeyboardInterrupt, StepError])
def test_an_error_does_not_wait_for_what_is_being_computed(tmp_path, error):
    def batches():
        yield BATCH
        raise error

    started = time.monotonic()
    with pytest.raises(error), sessions(tmp_path, milliseconds=(120_000,)) as run:
        run(batches(), lambda done, total: None, 2)
    assert time.monotonic() - started < 60
