"""`make gpu-check`: all unavailable without a GPU; with one each part goes on where others fail."""

import dataclasses
import json
import shutil

import pytest

from common.errors import UserError
from deploy.gpu.decisions import compare_decisions
from deploy.gpu.record import Check, Machine, Part, finished, read_check
from deploy.gpu.running import run_step
from deploy.gpu.steps import REAL, SIMULATED, Task, Wanted, steps
from deploy.verdict.changes import Change, Changes
from models.registry import MODELS
from runtimes import nvidia
from tests.conftest import assert_refused
from tests.runtimes import gpu

MODEL = "SqueezeNet1_1"
KINDS = ("drift", "simulation", "simulated against real", "latency")
TRAININGS = ("training", "training on 2 GPUs")


def check_in(folder) -> Check:
    return read_check(folder / "gpu-check.json")


@pytest.mark.skipif(nvidia.missing() is None, reason="there is a GPU")
def test_without_a_gpu_every_part_is_unavailable_with_the_reason(command, tmp_path):
    done = command("deploy/gpu_check.py")
    assert done.returncode == 3, done.stderr
    check = check_in(tmp_path / "build" / "gpu-check")
    names = ["set-up", *(f"{kind} {model}" for model in MODELS for kind in KINDS), *TRAININGS]
    assert [part.name for part in check.parts] == names
    assert {part.status for part in check.parts} == {"unavailable"}
    (reason,) = {part.reason for part in check.parts}
    assert reason.startswith("there is no NVIDIA GPU here (")
    assert f"{len(names)} unavailable" in done.stdout
    page = (tmp_path / "build" / "gpu-check" / "gpu-check.html").read_text()
    assert f"GPU check of {check.machine.target}: no GPU" in page
    assert page.count('<td class="unavailable">unavailable</td>') == len(names)


@pytest.fixture
def machine(tmp_path, monkeypatch):
    one = gpu.Machine(tmp_path, monkeypatch)
    one.plug_in(*gpu.T4)
    one.install_for_commands("8.6.0")
    yield one
    nvidia.find.cache_clear()


def test_with_a_gpu_all_parts_run_and_what_is_done_is_not_done_again(
    machine, command, weights, photos, tmp_path
):
    out = tmp_path / "checked"
    words = (
        *("--model", MODEL, "--precision", "fp32", "--weights", weights, "--data", photos(6)),
        *("--limit", "0.2", "--out", out),
    )
    done = command("deploy/gpu_check.py", *words)
    assert done.returncode == 3, done.stderr  # PaddlePaddle here trains on no GPU
    check = check_in(out)
    parts = {part.name: part for part in check.parts}
    assert check.machine.gpus == ["Tesla T4 (sm_75)"]
    assert check.machine.target == "trt-t4"
    ran = ["set-up", *(f"{kind} {MODEL}" for kind in KINDS)]
    assert {name: parts[name].status for name in ran} == dict.fromkeys(ran, "ok")
    (real,), (simulated,) = (parts[f"{one} {MODEL}"].results for one in KINDS[:2])
    assert (real["execution"], real["verdict"]) == ("native", "pass")
    assert (simulated["execution"], simulated["verdict"]) == ("simulated", "unavailable")
    (row,) = parts[f"simulated against real {MODEL}"].results
    assert row == {
        "precision": "fp32", "alike": 0, "otherwise": 0, "real_only": 0, "simulated_only": 0
    }  # fmt: skip
    (latency,) = parts[f"latency {MODEL}"].results
    assert list(latency["latency"]) == ["1", "4", "8"]
    assert "sm 1590 MHz, memory 5001 MHz" in parts[f"latency {MODEL}"].reason
    assert latency["published"]["batch"]["1"]["ratio"] > 0
    assert "this PaddlePaddle uses 0 GPUs" in parts["training"].reason
    assert parts["training on 2 GPUs"].reason == "it takes 2 GPUs, and there is 1"
    page = (out / "gpu-check.html").read_text()
    assert "GPU check of trt-t4: Tesla T4" in page
    assert "Compared with simulated" in page
    assert "No latency was measured" not in page
    assert str(tmp_path / "build") not in done.stdout  # all of it lies in its own folder

    # Had all but one ended well, that one is done, whatever becomes of it, and no other again.
    well = [
        dataclasses.replace(one, status="ok") for one in check.parts if "latency" not in one.name
    ]
    Check(machine=check.machine, parts=well).write(out / "gpu-check.json")
    shutil.rmtree(out / REAL / MODEL)
    done = command("deploy/gpu_check.py", *words)
    assert done.returncode == 1, done.stderr
    again = {part.name: part for part in check_in(out).parts}
    assert list(again) == list(parts)
    assert again[f"latency {MODEL}"].status == "failed"
    assert again[f"latency {MODEL}"].reason.startswith(f"no weights for {MODEL} here")
    assert all(again[one.name] == one for one in well)
    assert "training: done before" in done.stderr  # it went on


def test_where_tensorrt_cannot_be_had_the_parts_run_with_rtx(machine, monkeypatch, tmp_path):
    machine.install_rtx()
    setup, *others = steps(Wanted(tmp_path, [MODEL], ["fp32"], None, [], 1.0), "trt-t4")
    assert setup.name == "set-up"
    parts = [one for one in others if isinstance(one, Task) and "training" not in one.name]
    assert [(one.name, one.absent()) for one in parts] == [
        (f"{kind} {MODEL}", None) for kind in ("drift", "simulation", "latency")
    ]
    monkeypatch.setenv("GPU_CUDA", "12020")
    nvidia.find.cache_clear()
    assert all("TensorRT-RTX" in one.absent() for one in parts)


def part(name: str, status: str = "ok", **more) -> Part:
    return Part(name=name, status=status, reason="so", seconds=1.0, **more)


def changed(path: str, new: int, precision: str = "fp16") -> Change:
    probabilities = {"old_probability": 0.6, "new_probability": 0.3, "margin": 0.5}
    return Change(
        model=MODEL,
        target="trt-t4",
        precision=precision,
        path=path,
        old=1,
        new=new,
        **probabilities,
    )


@pytest.mark.parametrize(
    ("printed", "status", "said"),
    [
        (
            {"verdict": "unavailable", "reason": "simulated"},
            "unavailable",
            "did not run on the GPU",
        ),
        ({"verdict": "undecided", "environment": {"gpu": "T4"}}, "ok", "fp16 undecided"),
        ({"verdict": "fail", "environment": {"gpu": "T4"}, "exit": 1}, "failed", "fp16: fail"),
    ],
)
def test_what_a_command_prints_decides_what_became_of_its_part(tmp_path, printed, status, said):
    line = json.dumps({"target": "trt-t4", "precision": "fp16", **printed})
    script = tmp_path / "played.py"
    script.write_text(f"print({line!r})\nraise SystemExit({printed.get('exit', 3)})\n")
    one = run_step(Task("drift", (str(script),), 30, lambda: None))
    assert one.status == status
    assert said in one.reason
    assert one.command == f"python {script}"


def test_a_command_that_hangs_fails_its_part(tmp_path):
    (tmp_path / "slow.py").write_text("import time; time.sleep(60)")
    one = run_step(Task("drift", (str(tmp_path / "slow.py"),), 0.5, lambda: None))
    assert one.status == "failed"
    assert "did not end within" in one.reason


def test_changed_decisions_are_compared_photo_by_photo(tmp_path):
    wanted = Wanted(tmp_path, [MODEL], ["fp16"], None, [], 1.0)
    Changes([changed("a", 2), changed("b", 3), changed("c", 4), changed("a", 9, "int8")]).write(
        wanted.changes(REAL, MODEL)
    )
    Changes([changed("a", 2), changed("b", 5), changed("d", 6), changed("e", 7)]).write(
        wanted.changes(SIMULATED, MODEL)
    )
    results = [{"precision": "fp16"}]
    both = [part(f"{kind} {MODEL}", results=results) for kind in ("drift", "simulation")]
    (row,) = compare_decisions(wanted, MODEL, both).results
    counts = {"alike": 1, "otherwise": 1, "real_only": 1, "simulated_only": 2}
    assert row == {"precision": "fp16", **counts}

    both[1] = part(f"simulation {MODEL}", "failed")
    one = compare_decisions(wanted, MODEL, both)
    assert (one.status, one.reason) == ("unavailable", f"simulation {MODEL} failed")


def test_only_parts_that_ended_well_on_this_machine_are_taken_over(tmp_path):
    file = tmp_path / "gpu-check.json"
    here = Machine(gpus=["Tesla T4 (sm_75)"], driver="535", target="trt-t4", toolkit="1")
    assert finished(file, here) == {}
    parts = [part("set-up"), part("training", "failed"), part("latency", "unavailable")]
    Check(machine=here, parts=parts).write(file)
    assert list(finished(file, here)) == ["set-up"]
    other = dataclasses.replace(here, driver="580")
    with pytest.raises(UserError, match=r"another machine \(Tesla T4 .*OUT="):
        finished(file, other)
    Check(machine=here, parts=parts[1:]).write(file)
    assert finished(file, other) == {}  # nothing would be lost


@pytest.mark.parametrize("what", ["a file", "a folder with other files", "a broken record"])
def test_what_is_no_folder_of_a_check_is_refused_and_left_alone(command, tmp_path, what):
    out = tmp_path / "mine"
    kept = out if what == "a file" else out / "gpu-check.json" if "record" in what else out / "real"
    kept.parent.mkdir(exist_ok=True)
    kept.write_text("mine")
    assert_refused(command("deploy/gpu_check.py", "--fresh", "--out", out), "mine", "OUT=")
    assert kept.read_text() == "mine"
