"""`make matrix`: a row for every model, and no cell that stops the others."""

import re
import signal
import subprocess
import sys

import pytest

from common.paths import ROOT
from runtimes.environments import LITE
from tests.common.test_process import ended


@pytest.mark.skipif(LITE.problem() is not None, reason=f"Paddle Lite: {LITE.problem()}")
def test_verdicts_and_costs_of_each_model(command, built, weights, photos):
    done = command(
        *("deploy/matrix.py", "--model", "SqueezeNet1_0", "--model", "SqueezeNet1_1"),
        *("--weights", weights, "--precision", "fp32", "--data", photos(10)),
        BUILD_DIR=built,
    )
    assert done.returncode == 3, done.stderr  # neither GPU nor ARM device here
    verdicts, seconds, sizes = re.split("^Steps.*|^Files.*", done.stdout, flags=re.MULTILINE)
    for model in ("SqueezeNet1_0", "SqueezeNet1_1"):
        row = next(line for line in verdicts.splitlines() if line.startswith(model))
        cpu, gpus = ["pass"] * 6, ["unavailable"] * 2
        assert row.split()[1:] == [*cpu, *gpus, "pass", "unavailable"]
        for table in (seconds, sizes):
            row = next(line for line in table.splitlines() if line.startswith(model))
            assert all(float(cell) > 0 for cell in row.split()[1:])
        row = next(line for line in sizes.splitlines() if line.startswith(model))
        raw, simplified = map(int, row.split()[-2:])
        assert raw > simplified > 50


def test_a_users_mistake_ends_the_matrix_at_once(command, photos, tmp_path):
    weights = tmp_path / "weights"
    weights.mkdir()
    (weights / "SqueezeNet1_0.pdparams").write_bytes(b"not weights")
    done = command(
        *("deploy/matrix.py", "--model", "SqueezeNet1_0", "--weights", weights),
        *("--target", "onnx", "--precision", "fp32", "--data", photos(10)),
    )
    assert done.returncode == 2
    assert "SqueezeNet1_0.pdparams" in done.stderr


SLOW = """
import os, signal, sys
from common import process
from common.cli import run
from deploy import matrix
from runtimes.worker import Worker

def judge(builds, *_):
    if builds[0].folder == "SqueezeNet1_0":  # as a converter
        script = "sleep 1; echo $$ >&2; sleep 301"
        process.run(["sh", "-c", script], what="toy", limit=400, shown=True)
    with Worker("main", "toy") as child:  # as a network
        print(child.call("tests.runtimes.child:pid"), file=sys.stderr, flush=True)
        child.call("tests.runtimes.child:sleep", seconds=302)
    yield

signal.signal(signal.SIGINT, signal.default_int_handler)  # a job may ignore it
matrix.validate = judge
run(matrix.main)
"""


@pytest.mark.parametrize(
    ("jobs", "number"), [(1, signal.SIGTERM), (2, signal.SIGINT), (2, signal.SIGTERM)]
)
def test_an_interruption_waits_for_no_cell(jobs, number):
    models = ("--model", "SqueezeNet1_0", "--model", "SqueezeNet1_1")
    words = ("--weights", "random", "--target", "onnx", "--jobs", str(jobs))
    command = [sys.executable, "-c", SLOW, *models, *words]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=ROOT) as matrix:
        begun = [matrix.stderr.readline() for _ in range(jobs)]
        matrix.send_signal(number)
        _, said = matrix.communicate(timeout=60)
    assert matrix.returncode == 130
    assert said.count("error: ") == 1
    assert "what was finished is kept, run again to go on" in said
    assert ended(" ".join(begun))
