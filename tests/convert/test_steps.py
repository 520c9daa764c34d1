"""The steps as a user runs them: what they make, what they refuse, what survives a kill."""

import os
import pickle
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import onnx
import pytest

from common import files
from common.paths import ROOT
from models.published import size_or_accuracy
from models.state import read_state, write_state
from runtimes.environments import LITE
from tests.conftest import assert_refused

SQUEEZENET = ("--model", "SqueezeNet1_1", "--weights", "random")
EVERYTHING = (*SQUEEZENET, "--target", "all", "--precision", "fp32")
lite_only = pytest.mark.skipif(LITE.problem() is not None, reason=f"Paddle Lite: {LITE.problem()}")


def facts(build, model, kind, precision="fp32"):
    return files.read_json(build / model / kind / precision / "manifest.json")["facts"]


@pytest.fixture(scope="session")
def everything(random_build) -> Path:
    """SqueezeNet1_1's build of random weights, with the files of every target in FP32."""
    start(random_build, *EVERYTHING).communicate(timeout=300)
    return random_build / "SqueezeNet1_1"


@pytest.fixture
def without(everything, tmp_path):
    """`without("onnx", "mnn")`: fill the test's own build folder with everything but these."""

    def copy(*kinds: str) -> None:
        ignored = shutil.ignore_patterns(*kinds)
        shutil.copytree(everything, tmp_path / "build" / everything.name, ignore=ignored)

    return copy


@lite_only
@pytest.mark.parametrize("model", ["ResNeSt50", "alt_gvt_small"])
def test_a_model_goes_to_every_target(command, random_build, model):
    """The two families with the operators that targets get wrong; `make matrix` runs all 17."""
    done = command(
        *("deploy/build.py", "--model", model, "--weights", "random"),
        *("--target", "all", "--precision", "fp32"),
        BUILD_DIR=random_build,
    )
    assert done.returncode == 0, done.stderr
    for kind in ("inference", "onnx", "openvino", "mnn", "ncnn", "lite-x86"):
        assert facts(random_build, model, kind)["probe_difference"] < 1e-3
    assert set(facts(random_build, model, "lite-arm")["kernels"]) == {"arm", "host"}
    graph = onnx.load(random_build / model / "onnx" / "fp32" / "model.onnx").graph
    assert "Shape" not in {node.op_type for node in graph.node}
    assert [value.name for value in (*graph.input, *graph.output)] == ["x", "logits"]
    for value in (*graph.input, *graph.output):
        assert value.type.tensor_type.shape.dim[0].dim_value == 0  # dynamic
    flops = size_or_accuracy(model, "flops")
    published = 1e9 * flops.value / flops.document.operations
    assert facts(random_build, model, "onnx")["multiply_adds"] == pytest.approx(published, rel=0.05)
    attention = model.startswith("alt_gvt")
    assert ("LayerNormalization" in facts(random_build, model, "onnx")["operators"]) == attention


def test_an_old_opset_on_request(command, without, tmp_path):
    without("onnx")
    chain = (*SQUEEZENET, "--target", "onnx")
    assert command("deploy/build.py", *chain, "--opset", "13").returncode == 0
    model = onnx.load(tmp_path / "build" / "SqueezeNet1_1" / "onnx" / "fp32" / "model.onnx")
    assert [entry.version for entry in model.opset_import if entry.domain == ""] == [13]


def test_another_class_count(command, tmp_path):
    done = command("deploy/build.py", *SQUEEZENET, "--target", "onnx", "--classes", "7")
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "build" / "SqueezeNet1_1" / "onnx" / "fp32"
    assert np.load(folder / "probe.npy").shape == (8, 7)
    # Nobody asked for INT8, and there are no photos of these seven classes to calibrate on.
    assert "int8 is left out" in done.stderr and "CALIB=folder" in done.stderr
    assert "int8" not in done.stdout


def test_int8_that_is_asked_for_is_not_left_out(command):
    chain = (*SQUEEZENET, "--target", "onnx", "--classes", "7")
    done = command("deploy/build.py", *chain, "--precision", "int8")
    assert_refused(done, "the model has 7", "CALIB=folder")


def test_up_to_date_work_is_not_done_again(command, without):
    without("openvino")
    chain = (*SQUEEZENET, "--target", "openvino", "--precision", "fp32")
    first = command("deploy/build.py", *chain)
    assert "to_openvino" in first.stderr
    again = command("deploy/build.py", *chain)
    assert again.returncode == 0
    assert again.stderr == ""


# ---- bad input ----


@pytest.fixture
def real(weights):
    return weights / "SqueezeNet1_1_pretrained.pdparams"


def export(command, weights, model="SqueezeNet1_1"):
    return command("convert/export.py", "--model", model, "--weights", weights)


def nothing_is_left(tmp_path) -> bool:
    left = {path.name for path in (tmp_path / "build").rglob("*") if path.is_file()}
    return all(name.endswith(".lock") for name in left)


def test_a_truncated_checkpoint(command, tmp_path, real):
    cut = tmp_path / "cut.pdparams"
    cut.write_bytes(real.read_bytes()[:-1000])
    assert_refused(export(command, cut), "cut.pdparams", "cut short")
    assert nothing_is_left(tmp_path)


class Malicious:
    def __init__(self, command: str):
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


def test_a_malicious_checkpoint_is_not_executed(command, tmp_path):
    trap = tmp_path / "trap.pdparams"
    trap.write_bytes(pickle.dumps({"_conv.weight": Malicious(f"touch {tmp_path}/executed")}))
    assert_refused(export(command, trap), "trap.pdparams", "refused", "system")
    assert not (tmp_path / "executed").exists()
    assert nothing_is_left(tmp_path)


def test_another_models_checkpoint(command, tmp_path, real):
    assert_refused(export(command, real, "VGG11"), "VGG11", "missing", "extra")
    assert_refused(export(command, real, "SqueezeNet1_0"), "of another shape")
    assert nothing_is_left(tmp_path)


def test_weights_that_are_all_zero(command, tmp_path, real):
    dead = tmp_path / "dead.pdparams"
    write_state(dead, {name: np.zeros_like(value) for name, value in read_state(real).items()})
    assert_refused(export(command, dead), "dead.pdparams", "logits of zero for every image")


def test_a_checkpoint_that_is_not_there(command, tmp_path):
    assert_refused(export(command, tmp_path / "absent.pdparams"), "absent.pdparams")
    assert nothing_is_left(tmp_path)


# ---- the disk ----


EXPORT = shlex.join([sys.executable, f"{ROOT}/convert/export.py", *SQUEEZENET])


def test_a_full_disk(small_disk):
    assert_refused(small_disk.run("2m", EXPORT), "no space left")


def test_a_read_only_build_folder(small_disk):
    done = small_disk.run("20m", f"mount -o remount,ro {small_disk.path} && {EXPORT}")
    assert_refused(done, "BUILD_DIR")


# ---- two runs, and kills ----


def start(build, *arguments) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, ROOT / "deploy/build.py", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"BUILD_DIR": str(build)},
    )


def test_two_runs_at_once_both_succeed(tmp_path):
    chain = (*SQUEEZENET, "--target", "openvino", "--precision", "fp32")
    runs = [start(tmp_path / "build", *chain) for _ in range(2)]
    said = [run.communicate(timeout=300)[1] for run in runs]
    assert [run.returncode for run in runs] == [0, 0], said
    together = "".join(said)
    for step in ("export", "to_onnx", "to_openvino"):
        assert together.count(f"  {step} ") == 1  # the second run found the first one's work


@lite_only
@pytest.mark.parametrize(
    "kind", ["inference", "onnx", "openvino", "mnn", "ncnn", "lite-x86", "lite-arm"]
)
def test_a_run_killed_in_any_step_is_repaired_by_the_next(command, without, tmp_path, kind):
    without(kind)
    folder = tmp_path / "build" / "SqueezeNet1_1" / kind
    run = start(tmp_path / "build", *EVERYTHING)
    deadline = time.monotonic() + 120
    while not (folder / ".fp32.new").exists():
        assert run.poll() is None and time.monotonic() < deadline, "the step was never seen"
        time.sleep(0.005)
    os.kill(run.pid, signal.SIGKILL)
    run.communicate()
    assert not (folder / "fp32").exists()

    target = {"inference": "paddle"}.get(kind, kind)
    done = command("deploy/build.py", *SQUEEZENET, "--target", target, "--precision", "fp32")
    assert done.returncode == 0, done.stderr
    assert {path.name for path in folder.iterdir()} == {"fp32", ".fp32.lock"}
