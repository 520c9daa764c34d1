"""`python deploy/validate.py`: verdicts, exit statuses, results; and what it refuses."""

import json

import pytest

from common import files
from data.images import ImageSet
from runtimes.environments import LITE
from tests.conftest import assert_refused, needs_shared

lite_only = pytest.mark.skipif(LITE.problem() is not None, reason=f"Paddle Lite: {LITE.problem()}")


def results(done) -> dict[tuple[str, str], dict]:
    found = [json.loads(line) for line in done.stdout.splitlines()]
    return {(one["target"], one["precision"]): one for one in found}


@lite_only
@pytest.mark.parametrize(
    "model", [pytest.param("SqueezeNet1_0", marks=needs_shared), "SqueezeNet1_1"]
)
def test_real_weights_decide_alike_on_every_fp32_target(command, built, weights, photos, model):
    done = command(
        *("deploy/validate.py", "--model", model, "--weights", weights, "--target", "all"),
        *("--precision", "fp32", "--data", photos(100), "--json"),
        BUILD_DIR=built,
    )
    assert done.returncode == 3, done.stderr  # lite-arm has no device here
    found = results(done)
    for target in ("paddle", "onnx", "openvino", "mnn", "ncnn", "opencv", "lite-x86"):
        one = found[target, "fp32"]
        assert one["verdict"] == "pass"
        assert one["execution"] == "native"
        assert one["drift"]["agreement"] == 1.0
        assert one["drift"]["max_rel"] < 1e-4
        assert one["measured"]["top1"] > 0.5
        assert one["weights"] == files.sha256(weights / f"{model}_pretrained.pdparams")
        assert files.read_json(built / model / "results" / f"{target}-fp32.json") == one
    arm = found["lite-arm", "fp32"]
    assert (arm["verdict"], arm["execution"]) == ("unavailable", "none")
    assert "drift" not in arm
    kernels = files.read_json(built / model / "lite-arm" / "fp32" / "manifest.json")["facts"]
    assert set(kernels["kernels"]) == {"arm", "host"}
    assert arm["kernel_precisions"] == kernels["kernel_precisions"]
    counted = found["openvino", "fp32"]["kernel_precisions"]
    assert counted.keys() == {"fp32"}
    assert 26 <= counted["fp32"] < 60  # its convolutions; fewer than all nodes, constants included
    assert "kernel_precisions" not in found["onnx", "fp32"]


@lite_only
def test_fp16_for_arm_is_simulated_on_a_few_photos(command, built, weights, photos):
    done = command(
        *("deploy/validate.py", "--model", "SqueezeNet1_1", "--weights", weights),
        *("--target", "lite-arm", "--precision", "fp16", "--data", photos(20), "--json"),
        BUILD_DIR=built,
    )
    one = results(done)["lite-arm", "fp16"]
    assert (one["verdict"], one["execution"]) == ("undecided", "simulated")
    assert one["data"]["images"] == 8
    assert one["drift"]["agreement"] == 1.0
    assert one["kernel_precisions"]["fp16"] >= 26
    assert 1e-3 < one["drift"]["max_rel"] < 2e-2
    assert one["environment"]["kernels"] == "Paddle Lite's FP16 kernels, simulated"
    facts = files.read_json(built / "SqueezeNet1_1" / "lite-arm" / "fp16" / "manifest.json")[
        "facts"
    ]
    assert facts["layer_precisions"] == {"fp16": 26}


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_reduced_precision_is_judged_by_the_interval(command, built, weights, photos, precision):
    done = command(
        *("deploy/validate.py", "--model", "SqueezeNet1_1", "--weights", weights),
        *("--target", "openvino", "--precision", precision, "--data", photos(100), "--json"),
        BUILD_DIR=built,
    )
    one = results(done)["openvino", precision]
    assert one["budget"]["kind"] == "statistical"
    low, high = one["drift"]["ci95_pp"]
    assert low <= one["drift"]["top1_pp"] <= high
    assert 1e-5 < one["drift"]["max_rel"] < 0.1  # it really rounds
    assert one["verdict"] == "undecided"  # so few photos cannot show a loss of 0.6 points
    assert done.returncode == 3


def test_one_precision_of_one_target_in_a_table(command, built, weights, photos):
    done = command(
        *("deploy/validate.py", "--model", "SqueezeNet1_1", "--weights", weights),
        *("--target", "onnx", "--precision", "fp32", "--data", photos(10)),
        BUILD_DIR=built,
    )
    assert done.returncode == 0
    row = next(line for line in done.stdout.splitlines() if "SqueezeNet1_1" in line)
    assert row.split()[1:4] == ["onnx", "fp32", "native"]
    assert row.split()[-1] == "pass"


def test_random_weights_only_when_asked_for_and_every_result_says_so(command, photos, tmp_path):
    elsewhere = {"XDG_CACHE_HOME": tmp_path / "cache", "WEIGHTS_DIR": tmp_path / "none"}
    chain = (
        "--model",
        "SqueezeNet1_1",
        "--target",
        "onnx",
        "--precision",
        "fp32",
        "--data",
        photos(10),
    )
    assert_refused(
        command("deploy/validate.py", *chain, **elsewhere), "no weights for SqueezeNet1_1"
    )

    done = command("deploy/validate.py", *chain, "--weights", "random", "--json", **elsewhere)
    assert done.returncode == 0, done.stderr
    assert results(done)["onnx", "fp32"]["weights"] == "random"

    # Once exported they are used by name, but nobody gets them by default.
    done = command("deploy/validate.py", *chain, "--json", **elsewhere)
    assert results(done)["onnx", "fp32"]["weights"] == "random"
    done = command("deploy/validate.py", *chain[2:], **elsewhere)
    assert done.returncode == 3
    assert "skipped, exported from random weights" in done.stderr
    assert "skipped, no weights here: AlexNet, SqueezeNet1_0, VGG11" in done.stderr


def test_help_needs_no_heavy_library(command):
    done = command("deploy/validate.py", "--help", PYTHONPROFILEIMPORTTIME="1")
    assert done.returncode == 0
    for library in ("paddle", "onnx", "openvino", "cv2", "onnxruntime", "numba", "scipy"):
        assert f"| {library}\n" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--model", "SqueezNet1_1", "--target", "onnx"], ["'SqueezNet1_1'", "SqueezeNet1_1"]),
        (["--target", "openvinno"], ["'openvinno'", "did you mean openvino"]),
        (["--target", "onnx", "--precision", "int3"], ["onnx", "'int3'", "choose from fp32"]),
        (["--target", "all", "--precision", "int3"], ["there is no precision 'int3'"]),
        (["--target", "onnx", "--photos", "0"], ["--photos", "at least 1"]),
        (["--target", "onnx", "--data", "/no/such/folder"], ["/no/such/folder"]),
        (["--target", "onnx", "--opset", "99"], ["--opset", "'99'", "from 11 to 19"]),
        (["--target", "onnx", "--opset", "new"], ["--opset", "'new'", "from 11 to 19"]),
        (["--target", "onnx", "--budget", "abc"], ["--budget", "'abc' is not a number"]),
        (["--target", "onnx", "--classes", "-3"], ["--classes", "'-3'", "at least 1"]),
        (["--target", "onnx", "--weights", "offical"], ["'offical'", "did you mean official"]),
        (["--target", "onnx", "--presicion", "fp32"], ["--presicion", "did you mean precision"]),
        (["VGG16", "--target", "onnx"], ["there is no argument VGG16"]),
        ([], ["--target"]),
    ],
)
def test_mistyped_words_are_refused_before_any_work(command, tmp_path, arguments, words):
    assert_refused(command("deploy/validate.py", *arguments), *words)
    assert not (tmp_path / "build").exists()


def listing(tmp_path, text: str):
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "val_list.txt").write_text(text)
    (folder / "there.jpg").touch()
    return folder


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ["val_list.txt", "empty"]),
        ("there.jpg 1000\n", ["line 1", "label 1000", "0..999"]),
        ("a.jpg 1\nb.jpg 2\n", ["2 of 2 photos are absent", "a.jpg"]),
    ],
)
def test_bad_lists_are_refused(command, built, weights, tmp_path, text, words):
    done = command(
        *("deploy/validate.py", "--model", "SqueezeNet1_1", "--weights", weights),
        *("--target", "onnx", "--precision", "fp32", "--data", listing(tmp_path, text)),
        BUILD_DIR=built,
    )
    assert_refused(done, *words)


def test_unreadable_photos_are_all_named_or_skipped_and_counted(
    command, built, weights, photos, tmp_path
):
    folder = listing(tmp_path, "good.jpg 0\ncut1.jpg 0\ncut2.jpg 0\n")
    [path] = ImageSet.open(photos(1)).paths
    photo = path.read_bytes()
    (folder / "good.jpg").write_bytes(photo)
    for part, name in ((2, "cut1.jpg"), (3, "cut2.jpg")):
        (folder / name).write_bytes(photo[: len(photo) // part])
    chain = ("--model", "SqueezeNet1_1", "--weights", weights, "--target", "onnx")
    chain += ("--precision", "fp32")
    refused = command("deploy/validate.py", *chain, "--data", folder, BUILD_DIR=built)
    assert_refused(refused, "cut1.jpg", "cut2.jpg", "--skip-bad")

    done = command(
        "deploy/validate.py", *chain, "--data", folder, "--skip-bad", "--json", BUILD_DIR=built
    )
    assert done.returncode == 0, done.stderr
    assert results(done)["onnx", "fp32"]["data"]["images"] == 1
    assert results(done)["onnx", "fp32"]["data"]["skipped"] == 2
