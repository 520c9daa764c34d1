"""`make phone` against a script in adb's place, which plays a phone in a folder."""

import json
import os

import pytest

from tests.android_demo import apks
from tests.android_demo.played_phone import FILES, SERIAL, PlayedPhone
from tests.conftest import assert_refused


def result(decisions: list[int | None], *, agreed: int) -> dict:
    """What the app's check writes about four photos that the reference decides right."""
    images = len(decisions)
    share = agreed / images
    return {
        **{"schema": 2, "model": "SqueezeNet1_1", "name": "SqueezeNet1_1"},
        **{"target": "onnx", "precision": "fp32"},
        **{"weights": "random", "verdict": "pass", "reason": "as computed", "execution": "native"},
        "host": {"name": "phone", "isa": ["arm64-v8a"]},
        "files": {"model.onnx": "1" * 64},
        "data": {"name": "made up", "images": images, "sha256": "0" * 64},
        "reference": {"runtime": "paddle", "top1": 1.0, "top5": 1.0},
        "measured": {"top1": share, "top5": 1.0},
        "drift": {
            "top1_pp": 100 * (share - 1),
            "agreement": share,
            **{"gained": 0, "lost": images - agreed, "flips_beyond_tie": images - agreed},
            **{"max_abs": 1e-5, "max_rel": 1e-6, "non_finite": 0, "non_finite_photos": 0},
        },
        "decisions": decisions,
        "budget": {"kind": "numeric", "limit": "1e-3"},
        "latency": {"1": {"median_ms": 20.0, "p90_ms": 21.0, "p99_ms": 22.0, "runs": images}},
        "environment": {
            **{"device": "Acme One", "soc": "unknown", "abi": "arm64-v8a", "android": "14"},
            **{"engine": "onnxruntime", "versions": {"app": "1.0"}, "threads": 4},
        },
    }


@pytest.fixture
def phone(tmp_path) -> PlayedPhone:
    return PlayedPhone(tmp_path / "phone", tmp_path / "programs")


@pytest.fixture
def run(command, tmp_path, build_folder):
    """Runs the command with the script in adb's place and an app that is built."""
    (build_folder / "apk").mkdir(parents=True)
    (build_folder / "apk" / "paddle-portage-demo.apk").write_bytes(b"an app")
    path = f"{tmp_path / 'programs'}:{os.environ['PATH']}"

    def run(*words: object):
        return command("deploy/phone.py", *words, BUILD_DIR=build_folder, PATH=path, limit=120)

    return run


def test_check_and_bench_are_run_and_taken_in(phone, run, build_folder):
    csv = "model,median_ms\r\nSqueezeNet1_1,20.0\r\n"
    right = result([1, 2, 3, 4], agreed=4)
    phone.answers({"check": {"squeezenet1_1-onnx-fp32.json": right}, "bench": {"bench.csv": csv}})
    done = run("--runs", "7")
    assert done.returncode == 0, done.stderr
    assert "Acme One" in done.stdout
    kept = build_folder / "phone" / "emulated-5555"
    assert (kept / "bench" / "bench.csv").read_bytes() == csv.encode()
    assert json.loads((kept / "check" / "squeezenet1_1-onnx-fp32.json").read_text()) == right
    results = build_folder / "SqueezeNet1_1" / "results"
    assert [path.name for path in results.iterdir()] == ["onnx-fp32-Acme-One.json"]
    started = [words[-1] for words in phone.calls if words[-1].startswith("am start")]
    assert started == [
        "am start -W -n org.paddleportage.demo/org.paddleportage.app.RunActivity "
        f"--es run {word} --es out {word} --es runs 7"
        for word in ("check", "bench")
    ]
    assert [words[2] for words in phone.calls[1:3]] == ["install", "shell"]


def test_a_changed_decision_is_drift(phone, run):
    wrong = result([1, 2, 3, 9], agreed=3)
    phone.answers({"check": {"squeezenet1_1-onnx-fp32.json": wrong}})
    done = run("--only", "check")
    assert done.returncode == 1, done.stderr
    assert "the phone said pass, but" in done.stdout


def test_what_could_not_run_on_the_phone_is_said_and_decides_nothing(phone, run):
    phone.answers({"check": {}}, ("SqueezeNet1_1-lite-arm-fp32: Paddle Lite's library is absent.",))
    done = run("--only", "check")
    assert done.returncode == 3
    assert "on the phone: SqueezeNet1_1-lite-arm-fp32: Paddle Lite's library" in done.stderr


def test_named_packages_are_pushed(phone, run):
    package = apks.write_package("onnx", b"a model", model="SqueezeNet1_1")
    phone.answers({"bench": {"bench.csv": "x\r\n"}})
    assert run("--only", "bench", "--model", "SqueezeNet1_1", "--precision", "fp32").returncode == 0
    pushed = phone.root / FILES / "packages" / package.name
    assert (pushed / "model.onnx").read_bytes() == b"a model"
    assert not list(pushed.glob("*.zip"))
    # Only then is there a folder of the app's own; and only the named model is measured.
    started = [words[-1] for words in phone.calls if words[-1].startswith("am start")]
    assert "--es run none" in started[0]
    assert started[1].endswith("--es run bench --es out bench --es model SqueezeNet1_1")


def test_a_model_without_a_package_is_refused(phone, run):
    assert_refused(run("--model", "VGG11"), "VGG11 has no such package here", "make package")
    apks.write_package("onnx", b"a model", model="VGG11")
    done = run("--model", "VGG11", "--precision", "int8")
    assert_refused(done, "VGG11 has no such package here")


def test_an_app_that_dies_is_an_error_with_its_last_words(phone, run):
    phone.program("pidof", "true")
    phone.program("logcat", "echo 'F DEBUG : Abort message: Check failed: op'; echo other")
    done = run("--only", "check")
    assert done.returncode == 1
    [line] = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert "the app ended during check" in line
    assert "Check failed: op" in line


def test_an_app_that_hangs_is_not_waited_for_forever(phone, run):
    done = run("--only", "check", "--limit", "2")
    assert done.returncode == 1
    assert "did not end within 2 s" in done.stderr


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("adb: failed [INSTALL_FAILED_UPDATE_INCOMPATIBLE: x]", ("another key", "adb uninstall")),
        ("Failure [INSTALL_FAILED_NO_MATCHING_ABIS: x]", ("this phone's ABI",)),
    ],
)
def test_an_app_that_cannot_be_installed_is_refused(phone, run, said, words):
    (phone.root / "install").write_text(said)
    assert_refused(run(), *words)


def test_without_a_phone_nothing_is_decided(phone, run):
    (phone.root / "devices").write_text("")
    done = run()
    assert done.returncode == 3
    assert "unavailable: no phone is connected" in done.stdout


def test_a_phone_that_does_not_trust_us_is_refused(phone, run):
    (phone.root / "devices").write_text(f"{SERIAL}\tunauthorized")
    assert_refused(run(), "confirm on its screen")


def test_of_several_phones_one_is_chosen(phone, run):
    (phone.root / "devices").write_text(f"{SERIAL}\tdevice\nother\tdevice")
    assert_refused(run(), "2 phones are connected", "--serial")
    assert_refused(run("--serial", "third"), "third is not connected", SERIAL)
    phone.answers({"bench": {"bench.csv": "x\r\n"}})
    assert run("--serial", SERIAL, "--only", "bench").returncode == 0


def test_without_adb_or_an_app_it_says_what_to_do(phone, run, command, build_folder, tmp_path):
    bare = command("deploy/phone.py", BUILD_DIR=build_folder, PATH="/nonexistent")
    assert_refused(bare, "adb is not on this machine", "Debian: adb")
    (build_folder / "apk" / "paddle-portage-demo.apk").unlink()
    assert_refused(run(), "make apk")
