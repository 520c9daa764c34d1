"""`python deploy/calibrate.py`: INT8 files, their verdicts, the search; and what it refuses."""

import json
import re

import numpy as np
import pytest
from PIL import Image

from calib.placement import has_vnni
from common import files
from models.state import read_state, write_state
from runtimes.environments import LITE
from tests.conftest import assert_refused

SCRIPT = "deploy/calibrate.py"


@pytest.fixture
def calibrate(command, built, weights, photos):
    """Run the command on SqueezeNet1_1 and a few real photos."""

    def run(*arguments, data=None):
        return command(
            *(SCRIPT, "--model", "SqueezeNet1_1", "--weights", weights),
            *("--data", data or photos(45), *arguments),
            BUILD_DIR=built,
        )

    return run


@pytest.fixture
def on_int8(command, built):
    """Run another command on the model's INT8 for target onnx: `on_int8("deploy/build.py")`."""

    def run(script, *arguments):
        return command(
            *(script, "--model", "SqueezeNet1_1", "--target", "onnx", "--precision", "int8"),
            *arguments,
            BUILD_DIR=built,
        )

    return run


def test_the_file_that_was_judged_is_the_one_that_every_command_takes(
    calibrate, on_int8, command, built, photos
):
    data, home = photos(45), built / "SqueezeNet1_1"
    done = calibrate("--target", "onnx", "--method", "percentile", "--json", data=data)
    assert done.returncode == 3, done.stderr  # thirty photos decide nothing
    one = json.loads(done.stdout)
    assert (one["precision"], one["execution"], one["verdict"]) == ("int8", "native", "undecided")
    bits = 8 if has_vnni() else 7
    calibration = one["calibration"]
    assert calibration.pop("photos")["images"] == 15
    assert calibration == {"method": "percentile", "keep_float": [], "weight_bits": bits}
    assert one["data"]["images"] == 30
    assert one["drift"]["agreement"] > 0.8
    assert one["size"]["int8"] < one["size"]["fp32"] / 3
    low, high = one["speed"]["ci95"]
    assert 0 < low <= one["speed"]["ratio"] <= high
    assert "15 photos calibrate INT8, 30 judge" in done.stderr

    file, judged = home / "onnx" / "int8" / "model.onnx", one["files"]
    assert judged == {"model.onnx": files.sha256(file)}
    file.write_bytes(b"left by a search that was killed")
    converted = on_int8("deploy/build.py")
    assert (converted.returncode, converted.stderr) == (0, "")
    assert judged == {"model.onnx": files.sha256(file)}

    again = on_int8("deploy/validate.py", "--data", data, "--json")
    assert "15 photos calibrated INT8 and do not judge, 30 do" in again.stderr
    again = json.loads(again.stdout)
    assert (again["files"], again["drift"]) == (judged, one["drift"])
    assert again["calibration"] == one["calibration"] | {"photos": again["calibration"]["photos"]}

    timed = on_int8("deploy/benchmark.py", "--batch", "1", "--limit", "0.2", "--json")
    assert json.loads(timed.stdout)["files"] == judged
    packaged = home / "package" / "onnx-int8" / "SqueezeNet1_1-onnx-int8"
    assert on_int8("deploy/package.py", "--data", photos(4)).returncode == 0
    assert judged == {"model.onnx": files.sha256(packaged / "model.onnx")}
    card = (packaged / "MODEL_CARD.md").read_text()
    assert f"sha256 `{judged['model.onnx']}`" in card
    assert "Photos: 30" in card
    assert "calibrated by percentile on 15 photos" in card

    # Who names no target gets the calibrated ones; one that is not takes the photos of this one.
    words = ("--model", "SqueezeNet1_1", "--precision", "int8")
    every = command("deploy/package.py", *words, "--data", photos(4), BUILD_DIR=built)
    assert every.stdout.split()[:3] == ["SqueezeNet1_1", "onnx", "int8:"]
    assert len(every.stdout.splitlines()) == 1
    said = "left out: lite-arm int8, which is not calibrated yet: make calibrate "
    assert f"{said}MODEL=SqueezeNet1_1 TARGET=lite-arm" in every.stderr
    words = (*words, "--target", "mnn", "--data", data, "--json")
    other = command("deploy/validate.py", *words, BUILD_DIR=built)
    assert "mnn int8: not calibrated yet, so on the photos that onnx was: 15 of " in other.stderr
    other = json.loads(other.stdout)
    assert other["data"]["sha256"] == one["data"]["sha256"]
    assert other["calibration"]["photos"] == again["calibration"]["photos"]

    # Another method that is named makes another file, on the same photos; its card says nothing
    # of what was measured of the old one.
    replaced = on_int8("deploy/package.py", "--data", photos(4), "--method", "minmax")
    assert re.search(
        rf"minmax on 15 photos of \S+, sha256 \w+ replaces percentile on 15 photos of \S+, "
        rf"sha256 {judged['model.onnx'][:12]}, which is now in \S+replaced/onnx",
        replaced.stderr,
    )
    assert judged != {"model.onnx": files.sha256(file)}
    assert files.sha256(packaged / "model.onnx") == files.sha256(file)
    card = (packaged / "MODEL_CARD.md").read_text()
    assert "Nothing was measured of this very file. Results of other files" in card
    assert "percentile" not in card
    aside = home / "calibration" / "replaced" / "onnx" / "onnx" / "model.onnx"
    assert judged == {"model.onnx": files.sha256(aside)}

    # So do other photos that are named; RECALIBRATE=1 alone starts from what is kept.
    other = on_int8("deploy/build.py", "--calib", photos(9))
    assert re.search(r"minmax on 9 photos of \S+, .* replaces minmax on 15 photos", other.stderr)
    of_nine = files.sha256(file)
    assert of_nine != files.sha256(packaged / "model.onnx")
    anew = on_int8("deploy/build.py", "--recalibrate")
    assert (anew.returncode, files.sha256(file)) == (0, of_nine)
    assert "15 photos" not in anew.stderr


def test_the_demos_photos_calibrate_a_users_own_checkpoint_only_where_they_are_named(
    command, weights
):
    words = ("--model", "SqueezeNet1_1", "--weights", weights, "--target", "mnn")
    done = command("deploy/build.py", *words, "--precision", "int8")
    assert_refused(
        done,
        *("a checkpoint of its own, whose INT8 for mnn", "CALIB=folder (or CALIB=demo)"),
        "make calibrate MODEL=SqueezeNet1_1 TARGET=mnn DATA=folder",
    )


def test_the_search_leaves_sensitive_layers_in_float(calibrate):
    # No loss is allowed, so that it goes on for as long as one photo is lost; ten seconds are
    # enough for the first method, and the ranking takes part of the rest.
    done = calibrate(
        *("--target", "trt-t4", "--within-budget", "--budget", "0", "--minutes", "3", "--json")
    )
    attempts = [json.loads(line) for line in done.stdout.splitlines()]
    assert [one["chosen"] for one in attempts] == [False] * (len(attempts) - 1) + [True]
    best = attempts[-1]
    assert best["execution"] == "simulated"
    assert "speed" not in best
    assert best["drift"]["top1_pp"] == max(one["drift"]["top1_pp"] for one in attempts)
    if best["drift"]["top1_pp"] < 0:
        assert best["sensitivity"]
    if best["calibration"]["keep_float"]:
        # TensorRT's file holds its weights in float: layers without pairs make it smaller.
        assert best["all_int8"]["size"]["int8"] > best["size"]["int8"]


@pytest.mark.skipif(LITE.problem() is not None, reason=f"Paddle Lite: {LITE.problem()}")
def test_paddle_lites_int8_on_x86_is_warned_of_and_far_off(calibrate):
    done = calibrate("--target", "lite-x86", "--json")
    assert "warning: lite-x86: Paddle Lite computes INT8 wrongly on x86" in done.stderr
    one = json.loads(done.stdout)
    assert one["execution"] == "native"
    assert one["drift"]["agreement"] < 0.8  # 0.9 and more on the same photos in ARM's arithmetic


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--target", "onnx", "--method", "nncf"], ["onnx", "nncf", "entropy"]),
        (["--target", "onnx", "--method", "entropi"], ["entropi", "entropy"]),
        (["--target", "onnx", "--keep-float", "Conv.77"], ["Conv.77", "did you mean Conv.7"]),
        (["--target", "onnx", "--budget", "-1"], ["budget"]),
        (["--target", "onnx", "--calib", "nowhere"], ["nowhere"]),
    ],
)
def test_mistakes_are_refused(calibrate, arguments, words):
    assert_refused(calibrate(*arguments), *words)


def test_photos_that_judge_may_not_calibrate(calibrate, photos):
    data = photos(45)
    done = calibrate("--target", "onnx", "--calib", data, data=data)
    assert_refused(done, "45 of 45", "also among those that judge")


def test_photos_without_labels_calibrate(calibrate, photos, tmp_path):
    data, flat = photos(12), tmp_path / "flat"
    flat.mkdir()
    judging = (data / "val_list.txt").read_text()
    others = [path for path in sorted((data / "images").iterdir()) if path.name not in judging]
    for path in others[:8]:
        (flat / path.name).symlink_to(path)
    # A target that is simulated: its INT8 is not timed.
    done = calibrate("--target", "trt-t4", "--calib", flat, "--json", data=data)
    assert json.loads(done.stdout)["calibration"]["photos"]["images"] == 8, done.stderr
    assert "flat: 8 photos without labels" in done.stderr


def test_two_photos_are_too_few(calibrate, photos):
    assert_refused(calibrate("--target", "onnx", data=photos(2)), "too few to calibrate")


def test_photos_that_are_all_the_same_are_refused(calibrate, tmp_path):
    random = np.random.default_rng(3)
    pixels = random.integers(0, 256, (256, 256, 3), np.uint8)
    for number in range(4):
        folder = tmp_path / "same" / str(number % 2)
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    done = calibrate("--target", "onnx", "--calib", tmp_path / "same")
    assert_refused(done, "the 4 photos all give the same logits")


def test_weights_that_are_not_numbers_are_refused(command, weights, photos, tmp_path):
    state = read_state(weights / "SqueezeNet1_1_pretrained.pdparams")
    name = next(iter(state))
    state[name] = np.full_like(state[name], np.nan)
    write_state(tmp_path / "SqueezeNet1_1_pretrained.pdparams", state)
    done = command(
        *(SCRIPT, "--model", "SqueezeNet1_1", "--weights", tmp_path, "--target", "onnx"),
        *("--data", photos(45)),
    )
    assert_refused(done, name, "infinite or not a number")
