"""The TensorRT targets: simulated without a GPU, real with one, and which of the two is said."""

import json
import re

import pytest

from common import files
from common.cli import Exit
from convert.builds import choose
from deploy import matrix
from deploy.request.values import Files, Photos
from deploy.speed import gpu_floor
from deploy.speed import tables as speed_tables
from deploy.speed.benchmarks import Ways, benchmark, planned
from deploy.speed.sitting import Sitting
from deploy.targets import TARGETS
from deploy.verdict import tables as verdict_tables
from deploy.verdict.result import exit_status
from deploy.verdict.validator import validate
from models.state import read_state, write_state
from runtimes import nvidia
from runtimes.session_pool import NATIVE, SIMULATED
from tests.runtimes.gpu import T4, Machine

MODEL = "SqueezeNet1_1"
H100 = ("NVIDIA H100 80GB HBM3", "90")
V100 = ("Tesla V100-SXM2-16GB", "70")

without_gpu = pytest.mark.skipif(nvidia.missing() is None, reason="there is a GPU")


def results(done) -> dict[tuple[str, str], dict]:
    found = [json.loads(line) for line in done.stdout.splitlines()]
    return {(one["target"], one["precision"]): one for one in found}


@without_gpu
def test_without_a_gpu_a_simulation_decides_nothing_unless_it_is_accepted(
    command, built, weights, photos
):
    chain = (
        *("deploy/validate.py", "--model", MODEL, "--weights", weights, "--precision", "fp32"),
        *("--target", "trt-v100", "--target", "trt-t4", "--data", photos(20), "--json"),
    )
    done = command(*chain, BUILD_DIR=built)
    assert done.returncode == 3, done.stderr
    for target, gpu in (("trt-v100", "V100"), ("trt-t4", "T4")):
        one = results(done)[target, "fp32"]
        assert (one["execution"], one["verdict"]) == ("simulated", "unavailable")
        assert one["simulation"] == "pass"
        assert f"it takes a {gpu}, and there is no NVIDIA GPU here" in one["reason"]
        assert "latency" not in one
        assert one["drift"]["max_rel"] < 1e-4
        facts = files.read_json(built / MODEL / target / "fp32" / "manifest.json")["facts"]
        assert facts["parsed_by"].startswith("tensorrt_rtx")
        assert ("engine_bytes" in facts["ahead_of_time"]) == (gpu == "T4")
        report = one["build_report"]
        assert report.startswith("TensorRT 8.6 knows its opset and operators; parsed by")
        how = "built ahead of time for sm_75 in" if gpu == "T4" else "does not build for sm_70"
        assert how in report
        assert report.endswith("; model.onnx and the engine hold float32")
    assert command(*chain, "--accept-simulated", BUILD_DIR=built).returncode == 0


@without_gpu
def test_fp16_rounds_and_is_judged_by_the_interval(command, built, weights, photos):
    done = command(
        *("deploy/validate.py", "--model", MODEL, "--weights", weights, "--precision", "fp16"),
        *("--target", "trt-t4", "--data", photos(20), "--json"),
        BUILD_DIR=built,
    )
    assert done.returncode == 3, done.stderr
    one = results(done)["trt-t4", "fp16"]
    assert one["budget"]["kind"] == "statistical"
    assert one["verdict"] == "undecided"  # 20 photos
    assert 1e-5 < one["drift"]["max_rel"] < 0.1
    assert "FP16 is made on the GPU, as TensorRT builds the engine (--fp16)" in one["build_report"]


@without_gpu
def test_convert_ends_with_the_line_to_type_on_the_card(command, built, weights, tmp_path):
    done = command(
        *("deploy/build.py", "--model", MODEL, "--weights", weights),
        *("--target", "trt-t4", "--precision", "fp16"),
        BUILD_DIR=built,
    )
    assert done.returncode == 0, done.stderr
    folder = built / MODEL / "trt-t4" / "fp16"
    where, stored, line = done.stdout.splitlines()
    assert where.endswith(str(folder))
    assert stored.startswith("  model.onnx holds float32; FP16 is made on the GPU")
    assert line == (
        f"  on a T4: trtexec --onnx={folder}/model.onnx --saveEngine={folder}/model.engine --fp16 "
        "--minShapes=x:1x3x224x224 --optShapes=x:4x3x224x224 --maxShapes=x:8x3x224x224"
    )
    assert (folder / "rtx-sm75.engine").stat().st_size > 1e6


@without_gpu
def test_an_overflow_on_photos_fails_and_names_the_layer(command, weights, photos, tmp_path):
    """The classifier's results, made 500 times larger: of logits no range can be fitted.

    In float32 no decision changes. The probe's images stay below 65504 there, photos do not.
    """
    state = dict(read_state(weights / f"{MODEL}_pretrained.pdparams"))
    for kind in ("weight", "bias"):
        state[f"_conv9.{kind}"] *= 500
    write_state(tmp_path / "large.pdparams", state)
    done = command(
        *("deploy/validate.py", "--model", MODEL, "--weights", tmp_path / "large.pdparams"),
        *("--target", "trt-t4", "--precision", "fp32", "--precision", "fp16"),
        *("--data", photos(20), "--json"),
    )
    assert done.returncode == 1, done.stderr
    assert results(done)["trt-t4", "fp32"]["simulation"] == "pass"
    one = results(done)["trt-t4", "fp16"]
    assert one["verdict"] == "fail"
    assert one["drift"]["non_finite"] > 0
    assert "; the first to overflow is Conv 'Conv.2" in one["reason"]
    assert one["reason"].endswith("is more than 65504")


# ---- with a GPU ----


@pytest.fixture
def machine(tmp_path, monkeypatch):
    yield Machine(tmp_path, monkeypatch)
    nvidia.find.cache_clear()


@pytest.mark.parametrize(
    ("target", "gpu", "execution"),
    [
        ("trt-t4", T4, NATIVE),
        ("trt-v100", V100, NATIVE),
        ("trt-v100", T4, SIMULATED),
        ("trt-t4", ("NVIDIA GeForce RTX 2080", "75"), SIMULATED),  # the T4's architecture
        ("trt-t4", ("NVIDIA T4G", "75"), SIMULATED),
        ("trt-t4", H100, SIMULATED),
    ],
)
def test_only_the_gpu_that_is_named_is_native(machine, target, gpu, execution):
    machine.plug_in(*gpu)
    machine.install("8.6.0")
    session_spec = TARGETS[target].session_spec("fp16")
    assert (session_spec.execution, session_spec.environment) == (execution, "trt")
    assert session_spec.options["gpu"]["name"] == gpu[0]
    assert session_spec.real == (execution == SIMULATED)
    if execution == SIMULATED:
        word = TARGETS[target].published_gpu
        assert session_spec.reason == f"this GPU, {gpu[0]} (sm_{gpu[1]}), is not a {word}"
    assert TARGETS[target].timed_session_spec("fp16").session.endswith(":Resident")


def test_a_gpu_without_its_environment_is_told_what_to_do(machine, monkeypatch):
    machine.plug_in(*T4)
    monkeypatch.setattr("runtimes.environments.ROOT", machine.driver.parent)
    session_spec = TARGETS["trt-t4"].session_spec("fp32")
    assert session_spec.execution == SIMULATED
    assert ".venv-trt" in session_spec.reason or "CPython 3.10" in session_spec.reason


@pytest.mark.parametrize(("gpu", "verdict"), [(T4, "pass"), (H100, "unavailable")])
def test_an_engine_is_judged_on_photos(machine, built, weights, photos, monkeypatch, gpu, verdict):
    machine.plug_in(*gpu)
    machine.install("8.6.0")
    monkeypatch.setenv("BUILD_DIR", str(built))
    (one,) = validate(
        [choose(MODEL)],
        [(TARGETS["trt-t4"], "fp32")],
        Files(str(weights)),
        Photos(str(photos(20))),
    )
    assert one.verdict == verdict
    assert one.environment.gpu == gpu[0]
    assert one.environment.versions == {"tensorrt": "8.6.0"}
    assert one.drift.max_rel < 1e-4
    assert (built / MODEL / "trt-t4" / "fp32" / "model.engine").exists()
    assert one.build_report is None
    if verdict == "unavailable":
        assert one.execution == SIMULATED
        assert one.simulation == "pass"
        assert one.reason.startswith("simulated, since this GPU, NVIDIA H100 80GB HBM3 (sm_90)")
        assert exit_status([one], accept_simulated=True) == 0


def test_an_engine_of_rtx_is_judged_where_tensorrt_cannot_be_had(
    machine, built, weights, photos, monkeypatch
):
    """It is real, and not what the target names: no verdict comes of it."""
    machine.plug_in(*T4)
    machine.install_rtx()
    monkeypatch.setenv("BUILD_DIR", str(built))
    target = TARGETS["trt-t4"]
    (one,) = validate(
        [choose(MODEL)], [(target, "fp32")], Files(str(weights)), Photos(str(photos(20)))
    )
    assert (one.execution, one.verdict) == (SIMULATED, "unavailable")
    assert one.environment.gpu == T4[0]
    assert list(one.environment.versions) == ["tensorrt_rtx"]
    assert "TensorRT-RTX ran it in TensorRT's place: " in one.reason
    assert one.drift.max_rel < 1e-4
    assert target.serving("fp32") is None  # no server loads such an engine


@pytest.mark.parametrize("gpu", [T4, H100])
def test_a_latency_is_held_against_the_published_one_of_the_same_gpu_only(
    machine, built, weights, photos, monkeypatch, capsys, gpu
):
    machine.plug_in(*gpu)
    machine.install("8.6.0")
    monkeypatch.setenv("BUILD_DIR", str(built))
    monkeypatch.setattr(gpu_floor, "_CHANNELS", 32)  # here a CPU multiplies
    ways = Ways(batches=(1, 2), cores=(0,), limit=0, peers=False)
    cells = [(TARGETS["trt-t4"], "fp32")]
    sitting = Sitting(planned(cells, ways))
    (one,) = benchmark(choose(MODEL), cells, Files(str(weights)), ways, sitting)
    sitting.finish()
    assert one["verdict"] == "measured"
    environment = one["environment"]
    assert (environment["gpu"], environment["transfers"]) == (gpu[0], "not timed")
    assert environment["gpu_clocks_mhz"] == {"sm": 1590, "memory": 5001}
    floor = one["floor"]["1"]
    assert floor["ms"] == pytest.approx(
        1e3
        * max(
            floor["gmacs"] / floor["peak_gmacs_per_s"], floor["gbytes"] / floor["peak_gbytes_per_s"]
        )
    )
    assert floor["times"] == pytest.approx(one["latency"]["1"]["median_ms"] / floor["ms"])
    rows = one["published"]["batch"]
    assert list(rows) == ["1", "4", "8"]
    if gpu == T4:
        assert one["published"]["comparable"]
        ratio = one["latency"]["1"]["median_ms"] / rows["1"]["ms"]
        assert rows["1"]["ratio"] == pytest.approx(ratio)
        assert "ratio" not in rows["4"]
        beside = (
            rf"{MODEL} +trt-t4 +fp32 +1 +{one['latency']['1']['median_ms']:.2f} +{rows['1']['ms']}"
            rf".* +{ratio:.2f}\n"
        )
        speed_tables.show([one])
        assert re.search(beside, capsys.readouterr().out)
        judged = list(validate([choose(MODEL)], cells, Files(), Photos(str(photos(10)))))
        assert judged[0].published.batch["1"].ratio == pytest.approx(ratio)
        verdict_tables.show(judged)
        assert re.search(beside, capsys.readouterr().out)
        words = ("--target", "trt-t4", "--precision", "fp32", "--data", str(photos(10)))
        monkeypatch.setattr("sys.argv", ["matrix", "--model", MODEL, *words])
        assert matrix.main() == Exit.OK
        assert re.search(beside, capsys.readouterr().out)
    else:
        assert not one["published"]["comparable"]
        assert one["published"]["why"] == "this GPU, NVIDIA H100 80GB HBM3, is not a T4"
        assert "ratio" not in rows["1"]
        speed_tables.show([one])
        shown = capsys.readouterr().out
        assert re.search(rf"{MODEL} +trt-t4 +fp32 +1 +[\d.]+ +{rows['1']['ms']}.* +-\n", shown)
        assert f"not comparable with the published figures: {one['published']['why']}" in shown
        assert one["execution"] == SIMULATED
        assert one["latency"]["1"]["median_ms"] > 0


@without_gpu
def test_int8_is_simulated_by_the_quantized_file_itself_and_as_it_is_written():
    target, quantized = TARGETS["trt-t4"], object()
    assert target.simulated_artifact(quantized, None, "int8", None) is quantized
    for precision in ("fp16", "int8"):
        assert target.session_spec(precision).options == {"optimize": False}
