"""`make benchmark`: a figure where a target runs here, a reason where it does not."""

import json
import os
import re
import signal
import subprocess
import sys

import pytest

from common import machine
from common.paths import ROOT
from deploy.speed.peers import benchmark_app
from runtimes.environments import LITE
from tests.conftest import assert_refused

START = ("deploy/benchmark.py", "--model", "SqueezeNet1_1")


@pytest.fixture
def benchmark(command, built, weights):
    def run(*arguments):
        words = ("--weights", weights, "--precision", "fp32", *arguments)
        return command(*START, *words, BUILD_DIR=built)

    return run


@pytest.mark.alone
def test_each_target_has_a_figure_or_a_reason(benchmark, built):
    done = benchmark(
        *("--target", "onnx", "--target", "openvino"),
        *("--batch", "1,2", "--limit", "0.3", "--json"),
    )
    assert done.returncode == 0, done.stderr
    onnx, openvino = map(json.loads, done.stdout.splitlines())
    assert (onnx["target"], openvino["target"]) == ("onnx", "openvino")
    for outcome in (onnx, openvino):
        assert (outcome["execution"], outcome["precision"]) == ("native", "fp32")
        assert list(outcome["latency"]) == ["1", "2"]
        for batch, figure in outcome["latency"].items():
            assert figure["runs"] >= 3
            floor = outcome["floor"][batch]
            assert floor["gmacs"] == pytest.approx(int(batch) * 0.34953728)
            assert floor["times"] == pytest.approx(figure["median_ms"] / floor["ms"])
            assert floor["times"] > 0.9  # nothing is faster than the arithmetic allows
        environment = outcome["environment"]
        assert environment["threads"] == len(environment["cores"])
        assert environment["cpu"]
        assert environment["versions"]
        assert len(environment["load"]) == len(environment["load_after"]) == 3
        kept = built / "SqueezeNet1_1" / "latency" / f"{outcome['target']}-fp32.json"
        assert json.loads(kept.read_text()) == outcome


@pytest.mark.alone
@pytest.mark.skipif(LITE.problem() is not None, reason=f"Paddle Lite: {LITE.problem()}")
@pytest.mark.skipif(machine.threads() < 2, reason="one core: every runtime has the same floor")
def test_a_runtime_of_one_thread_is_held_against_one_core(benchmark):
    targets = ("--target", "onnx", "--target", "lite-x86")
    done = benchmark(*targets, "--batch", "1", "--limit", "0", "--json")
    onnx, lite = map(json.loads, done.stdout.splitlines())
    assert lite["environment"]["threads"] == 1
    peaks = [outcome["floor"]["1"]["peak_gmacs_per_s"] for outcome in (onnx, lite)]
    assert peaks[1] < 0.8 * peaks[0]


def test_a_validation_takes_in_the_latency_of_the_same_file(
    command, benchmark, built, weights, photos
):
    done = benchmark("--target", "onnx", "--batch", "3", "--limit", "0", "--json")
    figures = json.loads(done.stdout)["latency"]
    # A result leaves out what too few runs cannot show.
    known = {name: value for name, value in figures["3"].items() if value is not None}
    validate = ("deploy/validate.py", "--model", "SqueezeNet1_1", "--target", "onnx", "--json")
    words = ("--precision", "fp32", "--weights", weights, "--data", photos(10))
    assert json.loads(command(*validate, *words, BUILD_DIR=built).stdout)["latency"] == {"3": known}
    other = json.loads(command(*validate, *words, "--opset", "15", BUILD_DIR=built).stdout)
    assert "latency" not in other


def test_what_does_not_run_here_is_unavailable_and_has_no_time(benchmark):
    done = benchmark("--target", "lite-arm", "--batch", "1")
    assert done.returncode == 3
    assert re.search(r"SqueezeNet1_1 +lite-arm +fp32 +(- +){10}unavailable", done.stdout)
    assert "lite-arm fp32: unavailable: " in done.stdout


def test_the_table_compares_with_the_default_session(benchmark):
    done = benchmark("--target", "onnx", "--batch", "1", "--limit", "0.1", "--peers")
    assert done.returncode == 0, done.stderr
    assert re.search(r"onnx +fp32 +\d+ +1 +\d+\.\d\d +-?\d.* % .*\d+%.* \d+\.\d\d", done.stdout)
    assert re.search(r"SqueezeNet1_1 +\d+ +1 +0\.350 .* (arithmetic|memory)", done.stdout)
    row = next(line for line in done.stdout.splitlines() if "default session  " in line)
    assert re.match(r"SqueezeNet1_1 +onnx +fp32 +1 +ONNX Runtime, default session ", row)
    assert re.search(r"\d+\.\d{3} +\d\.\d{3} … \d+\.\d{3} +\d+ +(ours is|no difference)", row)
    assert row.endswith("  noisy")  # a tenth of a second is too little
    assert "default session: noisy: " in done.stdout
    assert "\nms: the median of a side's blocks, which were taken by turns; ratio: " in done.stdout


def test_phones_runtimes_are_timed_against_their_own_defaults(benchmark):
    words = ("--target", "ncnn", "--target", "mnn", "--batch", "2", "--limit", "0", "--peers")
    done = benchmark(*words, "--json")
    assert done.returncode == 0, done.stderr
    found = {one["target"]: one["peers"]["2"] for one in map(json.loads, done.stdout.splitlines())}
    assert {target: list(peers) for target, peers in found.items()} == {
        "ncnn": ["ncnn, default options"],
        "mnn": ["MNN, default settings"],
    }
    for peers in found.values():
        for peer in peers.values():
            assert peer["second_ms"] > 0


def test_what_an_interrupted_run_had_finished_counts(built, weights, tmp_path):
    """Interrupted at its third figure, run again, and once more when all was done."""
    words = (*START, "--weights", weights, "--precision", "fp32", "--target", "onnx")
    how = ("--batch", "1,2,3", "--limit", "0", "--json")
    settings = os.environ | {"BUILD_DIR": str(built), "WEIGHTS_DIR": str(tmp_path)}

    def start() -> subprocess.Popen:
        command = [sys.executable, ROOT / words[0], *map(str, (*words[1:], *how))]
        pipe = subprocess.PIPE
        return subprocess.Popen(
            command,
            stdout=pipe,
            stderr=pipe,
            text=True,
            env=settings,
            # Jobs in the background ignore it, and so would this child.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )

    with start() as first:
        for line in first.stderr:
            if "timing 3 of 3: " in line:
                first.send_signal(signal.SIGINT)
                break
        assert "what was finished is kept, run again to go on" in first.stderr.read()
        assert (first.stdout.read(), first.wait()) == ("", 130)

    with start() as second:
        out, err = second.communicate(timeout=120)
    steps = re.findall(r"^  (timing )?(\d) of 3: (.*?)(?:;|: taken over)", err, re.M)
    name = "SqueezeNet1_1 onnx fp32 batch"
    assert steps == [("", "1", f"{name} 1"), ("", "2", f"{name} 2"), ("timing ", "3", f"{name} 3")]
    assert "2 of 3 figures were taken over from a benchmark that was interrupted" in err
    outcome = json.loads(out)
    assert outcome["taken"]["1"] <= outcome["taken"]["2"] < outcome["taken"]["3"]

    with start() as third:
        out, err = third.communicate(timeout=120)
    assert "timing 1 of 3: " in err
    assert "taken over" not in err


def test_openvinos_own_tool_reports_latency_and_pace(benchmark, built):
    done = benchmark("--target", "openvino", "--batch", "1", "--limit", "0")
    assert done.returncode == 0, done.stderr
    model = built / "SqueezeNet1_1" / "openvino" / "fp32" / "model.xml"
    words = ("-hint", "latency", "-niter", "4")
    found = benchmark_app.run(model, (1, 3, 224, 224), "fp32", [0], *words)
    assert found["latency_ms"] > 0
    assert found["interval_ms"] > 0
    with pytest.raises(benchmark_app.StepError, match="benchmark_app: it ended with status"):
        benchmark_app.run(model.with_name("absent.xml"), (1, 3, 224, 224), "fp32", [0])


def test_two_targets_by_turns(benchmark):
    done = benchmark("--compare", "onnx", "openvino:fp32", "--batch", "1", "--limit", "0", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["first"], found["second"]) == ("onnx fp32", "openvino fp32")
    assert found["pairs"] >= 6
    low, high = found["ci95"]
    assert low <= found["ratio"] <= high
    table = benchmark("--compare", "onnx", "onnx", "--batch", "1", "--limit", "0").stdout
    assert "onnx fp32 and onnx fp32 by turns" in table


def test_mistakes_are_one_line(command):
    def refused(*words):
        return command(*START, "--weights", "random", *words)

    assert_refused(refused("--batch", "1,x"), "--batch", "'x' is not a whole number")
    assert_refused(refused("--batch", "0"), "at least 1")
    assert_refused(refused("--limit", "-1"), "--limit: '-1' is not a number of at least 0")
    assert_refused(refused("--compare", "onnx"), "expected 2 arguments")
    assert_refused(refused("--threads", "4096"), "--threads 4096", "cores only")
    assert_refused(refused("--target", "onx"), "unknown target 'onx'", "did you mean onnx")
    assert_refused(refused("--compare", "onnx", "onnx:int3"), "no precision 'int3'")
    assert_refused(refused("--compare", "all", "onnx"), "two single targets")
