"""Targets on another host: `HOST=arm` executes ARM code, and what cannot be is refused at once."""

import re
import shutil

import numpy as np
import pytest

from common import files
from common.errors import UnavailableError, UserError
from deploy.request.arguments import chosen_cells
from deploy.targets import TARGETS
from deploy.targets.base import on_host
from runtimes.hosts.arm import Arm
from runtimes.hosts.local import LOCAL
from runtimes.hosts.phone import Phone, connected_phone
from runtimes.paddle_lite_arm.library import FILE
from runtimes.session_pool import EMULATED, NATIVE, NONE, SIMULATED, SessionSpec, open_sessions
from tests.conftest import assert_refused
from tests.convert.test_lite_file import nb_bytes
from tests.deploy.test_validate import results
from tests.runtimes import stand_in
from tests.runtimes.arm import fake_qemu, fake_root
from tests.runtimes.played_phone import PlayedPhone

needs_arm = pytest.mark.skipif(Arm().problem() is not None, reason=str(Arm().problem()))
LITE = "lite-arm"
ONE = ("deploy/validate.py", "--model", "SqueezeNet1_1", "--target", "onnx")


class Arguments:
    precision = method = target = None
    target_default = ("all",)

    def __init__(self, *targets: str):
        self.target = list(targets)


@needs_arm
def test_arm_code_computes_what_this_cpu_computes(command, built, weights, photos):
    done = command(
        *(*ONE, "--weights", weights, "--host", "arm", "--precision", "fp32"),
        *("--precision", "int8", "--data", photos(6), "--photos", "2", "--json"),
        BUILD_DIR=built,
    )
    found = results(done)
    for precision, one in found.items():
        assert one["execution"] == "emulated", precision
        assert one["host"] == {"name": "arm", "isa": ["asimd", "asimdhp", "asimddp"]}
        assert one["environment"]["cpu"].startswith("cortex-a76, executed by QEMU ")
        assert one["data"]["images"] == 2
        assert "latency" not in one
    assert found["onnx", "fp32"]["verdict"] == "pass"
    assert found["onnx", "fp32"]["drift"]["max_rel"] < 1e-5
    reason = found["onnx", "int8"]["reason"]
    assert "; beside the same file on this machine's own CPU 0 of 2 decisions differ" in reason
    kept = built / "SqueezeNet1_1" / "results"
    assert files.read_json(kept / "onnx-fp32-arm-cortex-a76.json") == found["onnx", "fp32"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--host", "arm"], ["PORTAGE_QEMU=/no/such/qemu is no program"]),
        (["--host", "fone"], ["unknown 'fone'", "phone"]),
        (["--host", "arm", "--arm-cpu", "cortex-a7"], ["unknown 'cortex-a7'", "cortex-a76"]),
        (["--arm-cpu", "max"], ["--arm-cpu", "--host arm"]),
        (["--paddle-lite-arm", "official"], ["--paddle-lite-arm", "--host arm"]),
    ],
)
def test_a_host_that_cannot_be_is_refused_before_any_work(command, tmp_path, arguments, words):
    done = command(*ONE, *arguments, PORTAGE_QEMU="/no/such/qemu")
    assert_refused(done, *words)
    assert not (tmp_path / "build").exists()


def test_doctor_shows_what_arm_lacks(command):
    done = command("deploy/doctor.py", "--host", "arm", PORTAGE_QEMU="/no/such/qemu", COLUMNS=200)
    assert done.returncode == 1
    assert re.search(
        r"^QEMU +- +missing: PORTAGE_QEMU=/no/such/qemu is no program", done.stdout, re.M
    )
    assert "target onnx" not in done.stdout


@needs_arm
def test_doctor_shows_what_arm_has(command):
    done = command("deploy/doctor.py", "--host", "arm", "--arm-cpu", "cortex-a72", COLUMNS=200)
    assert done.returncode == 0, done.stdout
    assert re.search(r"^instructions +asimd +ok", done.stdout, re.M)
    assert re.search(r"^target mnn +fp32, fp16, int8 +ok", done.stdout, re.M)
    assert re.search(r"^target openvino .* no: OpenVINO computes wrongly", done.stdout, re.M)


def test_benchmark_knows_no_host(command):
    done = command(
        "deploy/benchmark.py", "--make", "benchmark", "benchmark", MAKEFLAGS=" -- HOST=arm"
    )
    assert_refused(done, "make benchmark takes no HOST=")


def test_a_target_that_the_host_cannot_run_is_refused_by_name():
    with pytest.raises(UserError, match="trt-t4 does not run on host arm: it runs on local only"):
        chosen_cells(Arguments("onnx", "trt-t4"), Arm())


def test_all_means_those_that_the_host_can_run():
    chosen = {target.name for target, _ in chosen_cells(Arguments("all"), Arm())}
    assert chosen == {name for name, target in TARGETS.items() if "arm" in target.hosts} - {LITE}
    assert "onnx" in chosen
    everything = {target.name for target, _ in chosen_cells(Arguments("all"), LOCAL)}
    assert everything == {name for name, target in TARGETS.items() if not target.elsewhere}


def test_paddle_lite_takes_its_library(monkeypatch, tmp_path, paddle_lite):
    with pytest.raises(UserError, match=r"lite-arm does not .* PADDLE_LITE_ARM=archive, folder or"):
        chosen_cells(Arguments(LITE), Arm())
    with pytest.raises(UserError, match=r"no target runs on host phone: .*; lite-arm: it ta"):
        chosen_cells(Arguments("all"), Phone("adb", "serial"))
    monkeypatch.setenv("PADDLE_LITE_ARM", str(tmp_path / "none"))
    with pytest.raises(UserError, match=f"PADDLE_LITE_ARM={tmp_path}/none: there is no such file"):
        chosen_cells(Arguments("all"), Arm())  # it was given, so it is meant
    assert chosen_cells(Arguments("onnx"), Arm())
    monkeypatch.setenv("PADDLE_LITE_ARM", str(paddle_lite))
    assert LITE in {target.name for target, _ in chosen_cells(Arguments("all"), Arm())}


def test_paddle_lite_in_fp16_takes_a_cpu_that_has_it(monkeypatch, tmp_path, paddle_lite):
    monkeypatch.setenv("PADDLE_LITE_ARM", str(paddle_lite))
    monkeypatch.setenv("PORTAGE_QEMU", str(fake_qemu(tmp_path)))
    host, target = Arm(root=fake_root(tmp_path / "root")), TARGETS[LITE]
    cpuinfo = tmp_path / "root" / "cpus" / host.cpu / "proc" / "cpuinfo"
    for features, execution in (("asimd", SIMULATED), ("asimd asimdhp", EMULATED)):
        cpuinfo.write_text(f"processor\t: 0\nFeatures\t: fp {features}\n")
        assert target.session_spec_on(host, "fp16").execution == execution
    fp32, int8 = (target.session_spec_on(host, precision) for precision in ("fp32", "int8"))
    assert (fp32.photos, int8.photos) == (8, None)
    assert fp32.host.model == host.model


@needs_arm
def test_paddle_lites_files_are_run_and_judged(command, built, weights, photos, paddle_lite):
    """By a stand-in for the library, which computes no network's logits and cannot pass."""
    words = ("--model", "SqueezeNet1_1", "--target", LITE, "--host", "arm", "--weights", weights)
    words = ("deploy/validate.py", *words, "--data", photos(6), "--photos", "2", "--json")
    words = (*words, "--precision", "fp32", "--paddle-lite-arm", paddle_lite)
    found = results(command(*words, "--precision", "int8", BUILD_DIR=built))
    for one in found.values():
        assert one["execution"] == "emulated"
        assert one["verdict"] == ("fail" if one["precision"] == "fp32" else "undecided")
        assert one["drift"]["max_rel"] > 1
        assert one["environment"]["versions"] == {"paddlelite": stand_in.VERSION}
        assert one["environment"]["cpu"].startswith("cortex-a76, executed by QEMU ")
    beside = "; beside the simulation on this machine's own CPU 2 of 2 decisions differ"
    assert beside in found[LITE, "int8"]["reason"]

    done = command(*words, BUILD_DIR=built, STAND_IN_FAULT="operator")
    assert done.returncode == 3
    (one,) = results(done).values()
    assert (one["execution"], one["verdict"]) == ("none", "unavailable")
    assert "the library has no operator 'layer_norm'" in one["reason"]


def test_only_what_is_native_here_is_emulated_there():
    host = Arm()
    for execution in (SIMULATED, NONE):
        session_spec = SessionSpec(execution, reason="no GPU")
        assert on_host(host, session_spec, "fp32") is session_spec
    native = SessionSpec(NATIVE, "session")
    assert on_host(LOCAL, native, "fp32") is native
    emulated = on_host(host, native, "int8")
    assert (emulated.execution, emulated.host, emulated.photos) == (EMULATED, host, None)
    assert on_host(host, native, "fp32").photos == 8  # it is slow, and a question of arithmetic


@pytest.mark.parametrize("cpu", ["cortex-a72", "max"])
def test_openvino_is_refused_where_qemu_makes_it_compute_wrongly(cpu):
    with pytest.raises(UserError, match=r"wrongly on QEMU's .*: ARM_CPU=cortex-a76"):
        chosen_cells(Arguments("openvino"), Arm(cpu))
    assert chosen_cells(Arguments("onnx"), Arm(cpu))
    assert "openvino" not in {one.name for one, _ in chosen_cells(Arguments("all"), Arm(cpu))}


@needs_arm
@pytest.mark.parametrize("target", ["ncnn", "mnn"])
def test_fp16_is_computed_as_on_phones(command, built, weights, photos, target):
    done = command(
        *("deploy/validate.py", "--model", "SqueezeNet1_1", "--target", target, "--host", "arm"),
        *("--precision", "fp32", "--precision", "fp16"),
        *("--weights", weights, "--data", photos(6), "--photos", "2", "--json"),
        BUILD_DIR=built,
    )
    found = results(done)
    assert found[target, "fp32"]["verdict"] == "pass"
    assert found[target, "fp32"]["drift"]["max_rel"] < 1e-5
    half = found[target, "fp16"]
    assert half["execution"] == "emulated"
    assert half["environment"]["arithmetic"] == "fp16"
    assert 1e-4 < half["drift"]["max_rel"] < 5e-2


@pytest.mark.parametrize("target", ["ncnn", "mnn"])
@pytest.mark.parametrize(("features", "execution"), [("asimdhp", "emulated"), ("", "simulated")])
def test_fp16_is_emulated_where_the_cpu_has_it(tmp_path, monkeypatch, target, features, execution):
    monkeypatch.setenv("PORTAGE_QEMU", str(fake_qemu(tmp_path)))
    host = Arm(root=fake_root(tmp_path / "root"))
    cpuinfo = tmp_path / "root" / "cpus" / host.cpu / "proc" / "cpuinfo"
    cpuinfo.write_text(f"processor\t: 0\nFeatures\t: fp asimd {features}\n")
    assert TARGETS[target].session_spec_on(host, "fp16").execution == execution
    assert TARGETS[target].session_spec_on(host, "fp32").execution == "emulated"


@needs_arm
def test_androids_library_runs_on_a_phone(monkeypatch, tmp_path, paddle_lite):
    """The phone is played: what the NDK's stand-in compiled goes there, and QEMU executes it."""
    phone = PlayedPhone(tmp_path / "phone", monkeypatch)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    android = stand_in.build(tmp_path / "android", needs=phone.libc)
    monkeypatch.setenv("PADDLE_LITE_ARM", str(android))
    folder = tmp_path / "SqueezeNet1_1" / "lite-arm" / "fp32"
    folder.mkdir(parents=True)
    (folder / "model.nb").write_bytes(nb_bytes())
    host, target = connected_phone(), TARGETS[LITE]
    assert {one.name for one, _ in chosen_cells(Arguments("all"), host)} == {LITE}
    session_spec = target.session_spec_on(host, "fp32")
    assert (session_spec.execution, session_spec.photos) == (NATIVE, None)
    batch = np.random.default_rng(0).normal(size=(2, 3, 9, 700)).astype(np.float32)
    with open_sessions(session_spec, folder, "fp32") as sessions:
        logits = sessions([batch, batch[:1]], lambda done, total: None, 3)
        assert sessions.environment()["cpu"] == "Acme One"
    np.testing.assert_allclose(logits[:2], stand_in.logits(batch), atol=1e-3)
    np.testing.assert_array_equal(logits[2], logits[0])
    assert {"runner", "libpaddle_light_api_shared.so", "libc++_shared.so"} < {*phone.pushed}
    monkeypatch.setenv("STAND_IN_FAULT", "operator")
    with (
        pytest.raises(UnavailableError, match="the library has no operator 'layer_norm'"),
        open_sessions(session_spec, folder, "fp32"),
    ):
        pass


def test_a_library_goes_where_it_is_for(monkeypatch, tmp_path, paddle_lite):
    library = tmp_path / "android" / "cxx" / "lib" / FILE
    shutil.copytree(paddle_lite, tmp_path / "android")
    library.write_bytes(library.read_bytes().replace(b"libc.so.6\0", b"libc.so\0\0\0"))
    monkeypatch.setenv("PADDLE_LITE_ARM", str(tmp_path / "android"))
    with pytest.raises(UserError, match=r"is the library for Android, which does not .*HOST=phone"):
        chosen_cells(Arguments(LITE), Arm())
    monkeypatch.delenv("ANDROID_NDK_HOME", raising=False)
    with pytest.raises(UserError, match=r"compiled by Android's NDK: .*ANDROID_NDK_HOME=/path"):
        chosen_cells(Arguments(LITE), Phone("adb", "serial"))
    monkeypatch.setenv("ANDROID_NDK_HOME", str(tmp_path))
    with pytest.raises(UserError, match=f"ANDROID_NDK_HOME={tmp_path} has no toolchains/llvm"):
        chosen_cells(Arguments(LITE), Phone("adb", "serial"))
    monkeypatch.setenv("PADDLE_LITE_ARM", str(paddle_lite))
    with pytest.raises(UserError, match=r"the library for Linux, which does not .*HOST=arm"):
        chosen_cells(Arguments(LITE), Phone("adb", "serial"))
