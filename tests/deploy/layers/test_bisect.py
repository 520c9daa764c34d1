"""`make explain` on a runtime that shows nothing of its inside: graphs cut short, by bisection."""

import json

import numpy as np
import pytest

from runtimes.environments import LITE
from runtimes.inside.base import Tensor
from runtimes.worker import Worker
from tests.conftest import assert_refused

SCRIPT = "deploy/explain.py"
FAULTY = "conv2d_7.w_0"

lite = pytest.mark.skipif(LITE.problem() is not None, reason=f"Paddle Lite: {LITE.problem()}")


@pytest.fixture(scope="module")
def explain(session_command, built, weights, photos):
    """Explain SqueezeNet1_1 on Paddle Lite's x86 runtime."""

    def run(*words, target="lite-x86"):
        return session_command(
            *(SCRIPT, "--model", "SqueezeNet1_1", "--weights", weights, "--data", photos(4)),
            *("--target", target, "--precision", "fp32", *words),
            BUILD_DIR=built,
        )

    return run


def write_with_a_wrong_weight(source: str, output: str, name: str) -> None:
    """In a child process: another graph, in which some weights of a layer have the wrong sign."""
    import paddle

    paddle.enable_static()
    executor = paddle.static.Executor(paddle.CPUPlace())
    program, feeds, results = paddle.static.load_inference_model(f"{source}/inference", executor)
    tensor = paddle.static.global_scope().find_var(name).get_tensor()
    values = np.array(tensor)
    values[:3] *= -3
    tensor.set(values, paddle.CPUPlace())
    entry = [program.global_block().var(name) for name in feeds]
    paddle.static.save_inference_model(f"{output}/mine", entry, results, executor, program=program)


@lite
def test_a_file_that_is_right_takes_one_cut(explain, built):
    done = explain("--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert "first" not in found
    (last,) = found["cuts"]
    assert last["error"] < 1e-5 < found["limit"]
    kept = built / "SqueezeNet1_1" / "cuts"
    assert json.loads((kept / "lite-x86-fp32.json").read_text()) == found
    made = kept / f"inference-{last['place']:04d}"
    assert (made / "fp32" / "inference.pdmodel").is_file()
    assert (kept / f"{made.name}-lite-x86" / "fp32" / "model.nb").is_file()


@lite
def test_a_wrong_weight_in_the_deployed_graph_is_the_first_wrong_tensor(explain, built, tmp_path):
    assert explain().returncode == 0
    source = built / "SqueezeNet1_1" / "inference" / "fp32"
    with Worker("main", "a wrong weight") as worker:
        way = {"source": str(source), "output": str(tmp_path), "name": FAULTY}
        worker.call(write_with_a_wrong_weight, **way)
    done = explain("--file", tmp_path / "mine.pdmodel")
    assert done.returncode == 0, done.stderr
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("found: ")]
    tensor = FAULTY.replace(".w_0", ".tmp_0")
    assert line.startswith(f"found: the first wrong tensor is {tensor}, of conv2d: ")
    kept = built / "SqueezeNet1_1" / "cuts" / "lite-x86-fp32-file.json"
    found = json.loads(kept.read_text())
    assert found["own_file"] == str(tmp_path / "mine.pdmodel")
    assert (found["first"], found["steady"]) == (tensor, True)
    place = next(one["place"] for one in found["cuts"] if one["tensor"] == tensor)
    for one in found["cuts"]:
        assert (one["error"] > found["limit"]) == (one["place"] >= place)

    # All cuts are there already.
    again = explain("--file", tmp_path / "mine.pdmodel", "--json")
    assert json.loads(again.stdout)["cuts"] == found["cuts"]
    assert "cut_graph" not in again.stderr


@lite
def test_a_file_that_is_no_graph_is_refused(explain, tmp_path):
    path = tmp_path / "model.nb"
    path.write_bytes(b"no graph")
    assert_refused(explain("--file", path), "model.nb", "give a .pdmodel file")
    path = tmp_path / "mine.pdmodel"
    path.write_bytes(b"cut short")
    path.with_suffix(".pdiparams").write_bytes(b"")
    done = explain("--file", path)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr


def test_the_trunk_is_what_everything_passes_through():
    from deploy.layers.bisect import trunk_of

    # x → a → (b, c) → d → e, and x is read by a alone.
    graph = {"a": "x", "b": "a", "c": "a", "d": "bc", "e": "d"}
    tensors = [Tensor(name, name, "Op", tuple(inputs)) for name, inputs in graph.items()]
    assert [tensors[place].name for place in trunk_of(tensors, "x")] == ["a", "d", "e"]
    # A stream that goes past the others is passed by, too.
    graph = {"a": "x", "b": "a", "c": "ab", "d": "c"}
    tensors = [Tensor(name, name, "Op", tuple(inputs)) for name, inputs in graph.items()]
    assert [tensors[place].name for place in trunk_of(tensors, "x")] == ["a", "c", "d"]
