"""Foreign tools in child processes: whatever happens there is a value or a sentence here."""

import shlex
import subprocess
import sys
import time

import numpy as np
import pytest

from common.errors import StepError, UserError
from common.paths import ROOT
from runtimes.environments import LITE
from runtimes.worker import DeadWorkerError, Worker
from tests.conftest import assert_refused
from tests.runtimes import child

ENVIRONMENTS = [
    "main",
    pytest.param(
        "lite",
        marks=pytest.mark.skipif(
            LITE.problem() is not None, reason=f".venv-lite: {LITE.problem()}"
        ),
    ),
]


@pytest.mark.parametrize("environment", ENVIRONMENTS)
@pytest.mark.parametrize("size", [3, 500_000], ids=["in the pipe", "in shared memory"])
def test_arrays_come_back_as_they_went(environment, size):
    sent = {"a": np.arange(size, dtype=np.float32).reshape(1, -1), "b": [1, "two", None]}
    with Worker(environment, "echo") as worker:
        back = worker.call("tests.runtimes.child:echo", value=sent)
        folder = worker._child.log.parent
    np.testing.assert_array_equal(back["a"], sent["a"])
    assert back["a"].dtype == np.float32
    assert back["b"] == sent["b"]
    assert not folder.exists()


def test_onnx_runtime_tells_its_maker_nothing():
    with Worker("main", "echo") as worker:
        assert worker.call("os:getenv", key="ORT_DISABLE_TELEMETRY") == "1"


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_an_abort_is_an_error_that_quotes_the_last_words(environment):
    with Worker(environment, "to_lite of Toy") as worker, pytest.raises(StepError) as caught:
        worker.call("tests.runtimes.child:abort", words="Check failed: op softmax is missing")
    assert str(caught.value) == (
        "to_lite of Toy: the tool was ended by SIGABRT: Check failed: op softmax is missing"
    )


def test_a_silent_exit_is_an_error():
    with Worker("main", "build") as worker, pytest.raises(StepError, match="ended with status 3"):
        worker.call("os:_exit", status=3)


def test_a_hang_ends_at_the_limit():
    started = time.monotonic()
    with Worker("main", "build") as worker, pytest.raises(StepError, match="within 1 s"):
        worker.call(child.sleep, limit=1, seconds=60)
    assert time.monotonic() - started < 10


def test_an_exception_in_the_child_keeps_its_name_and_first_line():
    with Worker("main", "load") as worker, pytest.raises(StepError, match="load: ValueError: a"):
        worker.call(child.fail, text="a\nb")


def test_a_users_error_in_the_child_is_one_here():
    with Worker("main", "load") as worker, pytest.raises(UserError, match="no such file"):
        worker.call(child.refuse, text="no such file")


def test_what_is_opened_stays_open():
    with Worker("main", "count") as worker:
        worker.open(child.Counter, start=5)
        assert [worker.use("next") for _ in range(3)] == [5, 6, 7]
        assert worker.peak_mib > 1


def test_a_function_itself_is_called_where_both_sides_are_the_same_python():
    point = child.Point(place={"a": (1, np.float32(2.5))})
    with Worker("main", "echo") as worker:
        back = worker.call(child.echo, value=point)
    assert type(back) is child.Point
    assert back.place == {"a": (1, 2.5)}
    assert type(back.place["a"][1]) is float


def test_a_commands_own_function_is_found_by_the_commands_path(monkeypatch):
    monkeypatch.setattr(child.echo, "__module__", "__main__")
    monkeypatch.setattr(sys.modules["__main__"], "__file__", child.__file__, raising=False)
    with Worker("main", "echo") as worker:
        assert worker.call(child.echo, value="back") == "back"


def test_after_a_death_every_call_says_so():
    with Worker("main", "build") as worker:
        for _ in range(2):
            with pytest.raises(DeadWorkerError, match="ended with status 3"):
                worker.call("os:_exit", status=3)


def test_a_missing_environment_is_a_users_error_that_names_the_command(monkeypatch, tmp_path):
    monkeypatch.setattr("runtimes.environments.ROOT", tmp_path)
    with pytest.raises(UserError, match="make setup"), Worker("main", "anything"):
        pass


ON_A_DISK = """
import sys
from common import process
from common.cli import run
from runtimes.worker import Worker

def main():
    if sys.argv[1] == "run":
        words = [sys.executable, "-c", "import sys; exit(sys.argv[1])", sys.argv[3]]
        process.run(words, what="to_x", limit=60)
    with Worker("main", "to_x") as worker:
        worker.call("tests.runtimes.child:" + sys.argv[1], **{sys.argv[2]: sys.argv[3]})

run(main)
"""


@pytest.mark.parametrize("fails", ["fail text", "abort words", "run -"])
def test_what_a_tool_says_on_a_full_disk_is_not_what_is_wrong(small_disk, fails):
    def run(size: str, said: str) -> subprocess.CompletedProcess:
        words = shlex.join([sys.executable, "-c", ON_A_DISK, *fails.split(), said])
        return small_disk.run(size, f"cd {ROOT}; mkdir {small_disk.path}/build; {words}")

    assert_refused(run("64k", "error 7"), "to_x: no space left on the disk")
    assert_refused(run("20m", "basic_ios::clear: iostream error"), "to_x: no space left")
    done = run("20m", "error 7")
    assert done.returncode == 1, done.stderr
    assert "error 7" in done.stderr
