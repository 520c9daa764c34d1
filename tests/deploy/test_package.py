"""`python deploy/package.py`: what an app gets, that it is right, and what is refused."""

import dataclasses
import hashlib
import json
import shlex
import shutil
import subprocess
import sys
import zipfile

import cv2
import numpy as np
import onnxruntime
import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from common import files
from common.errors import UserError
from common.paths import ROOT
from convert import lite_file
from convert.artifact import Artifact
from convert.builds import choose
from data.preprocess import Preprocess
from deploy.packages.labels import Labels, find_labels
from deploy.packages.model_card import model_card
from deploy.packages.package import content_folder, package, packaged, tells_all, zip_path
from deploy.request.building import build_files, inference_graph
from deploy.request.opening import open_photos, ready_to_judge
from deploy.request.values import Files, Photos
from deploy.targets.onnx import Onnx
from deploy.verdict import result
from models.registry import MODELS
from runtimes.environments import LITE, MAIN
from tests.conftest import assert_refused
from tests.deploy.verdict.results import a_result

MODEL = "SqueezeNet1_1"


@pytest.fixture
def make(command, built, weights):
    """Package the model with real weights: `make("onnx", photos(4))`; returns the folder."""

    def make(target: str, photos, *arguments):
        done = command(
            *("deploy/package.py", "--model", MODEL, "--weights", weights, "--target", target),
            *("--precision", "fp32", "--data", photos, *arguments),
            BUILD_DIR=built,
        )
        assert done.returncode == 0, done.stderr
        return built / MODEL / "package" / f"{target}-fp32"

    return make


def read_manifest(folder):
    return json.loads((folder / "manifest.json").read_text())


def test_an_app_finds_everything_in_the_package_alone(make, photos):
    four = photos(4)
    made = make("onnx", four)
    package = made / f"{MODEL}-onnx-fp32"
    manifest = read_manifest(package)
    assert (manifest["engine"], manifest["gate"]) == ("onnxruntime", "numeric")
    assert manifest["engine_version"] == MAIN.version("onnxruntime")

    # Every file is listed and as listed, and nothing else is there.
    found = {p.relative_to(package).as_posix() for p in package.rglob("*") if p.is_file()}
    assert found == {*manifest["files"], "manifest.json"}
    for name, fact in manifest["files"].items():
        content = (package / name).read_bytes()
        assert fact == {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    with zipfile.ZipFile(made / f"{MODEL}-onnx-fp32.zip") as archive:
        assert set(archive.namelist()) == found
        assert all(archive.read(name) == (package / name).read_bytes() for name in found)

    labels = (package / "labels.txt").read_text().splitlines()
    assert len(labels) == manifest["class_num"] == 1000
    assert labels[0] == "tench, Tinca tinca"

    # The crops are those of the photos, and the model computes the golden logits from them.
    golden = json.loads((package / "golden" / "golden.json").read_text())
    listed = [line.split() for line in (four / "val_list.txt").read_text().splitlines()]
    assert golden["labels"] == [int(label) for _, label in listed]
    assert golden["names"] == [path.rpartition("/")[2] for path, _ in listed]
    preprocess = Preprocess.from_json(files.read_json(package / "preprocess.json"))
    raw = (package / "golden" / "crops.bin").read_bytes()
    crops = np.frombuffer(raw, np.uint8).reshape(golden["shape"])
    photo = cv2.imread(str(four / listed[1][0]))[:, :, ::-1]
    assert (crops[1] == preprocess.crop_photo(photo)).all()
    expected = np.fromfile(package / "golden" / "logits.bin", "<f4").reshape(4, 1000)
    session = onnxruntime.InferenceSession(package / "model.onnx")
    for crop, logits in zip(crops, expected, strict=True):
        [[computed]] = session.run(None, {"x": preprocess.normalize(crop[None])})
        assert np.abs(computed - logits).max() < 1e-3 * np.abs(logits).max()


@pytest.mark.skipif(LITE.problem() is not None, reason=f"Paddle Lite: {LITE.problem()}")
def test_a_paddle_lite_package_names_the_version_of_its_file(make, photos):
    package = make("lite-arm", photos(4)) / f"{MODEL}-lite-arm-fp32"
    manifest = read_manifest(package)
    assert manifest["engine"] == "paddle-lite"
    assert manifest["engine_version"] == lite_file.read(package / "model.nb").version
    assert manifest["tools"]["paddlelite"] == LITE.version("paddlelite")
    card = (package / "MODEL_CARD.md").read_text()
    assert "Anything on a phone" in card
    assert manifest["weights"] in card


def test_a_package_is_made_once_and_the_same_again(make, photos, built):
    four = photos(4)
    made = make("onnx", four)
    archive = made / f"{MODEL}-onnx-fp32.zip"
    before, written = archive.read_bytes(), archive.stat().st_mtime_ns
    make("onnx", four)
    assert archive.stat().st_mtime_ns == written

    shutil.rmtree(made)
    shutil.rmtree(built / MODEL / "reference")
    make("onnx", four)
    assert archive.read_bytes() == before


def test_a_package_is_signed_and_its_receiver_sees_by_whom(make, command, photos, tmp_path):
    key, public = tmp_path / "key.pem", tmp_path / "public.pem"
    openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", key)
    openssl("ec", "-in", key, "-pubout", "-out", public)
    four = photos(4)
    made = make("onnx", four, "--sign", key)
    archive = made / f"{MODEL}-onnx-fp32.zip"
    once = archive.read_bytes()
    done = command("deploy/verify.py", "--package", archive, "--key", public)
    assert done.returncode == 0, done.stderr
    assert "signed with" in done.stdout

    # No two signatures are equal: the same key pair does not sign the same files again.
    make("onnx", four, "--sign", key)
    assert archive.read_bytes() == once
    make("onnx", four)
    refused = command("deploy/verify.py", "--package", archive, "--key", public)
    assert_refused(refused, "is not signed", "SIGN=key.pem")

    key.write_text("no key")
    words = ("--model", MODEL, "--target", "onnx", "--sign", key)
    assert_refused(command("deploy/package.py", *words), "is no private key in PEM", "openssl")


def openssl(*words):
    subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True)


def test_the_bill_of_materials_is_cyclonedx(make, command, built, weights, photos):
    ten = photos(10)
    arguments = ("--model", MODEL, "--weights", weights, "--target", "onnx", "--data", ten)
    arguments += ("--precision", "fp32")
    assert command("deploy/validate.py", *arguments, BUILD_DIR=built).returncode == 0
    package = make("onnx", ten) / f"{MODEL}-onnx-fp32"
    text = (package / "bom.cdx.json").read_text()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    bill, manifest = json.loads(text), read_manifest(package)
    model = bill["metadata"]["component"]
    assert model["components"][0]["hashes"] == [
        {"alg": "SHA-256", "content": manifest["files"]["model.onnx"]["sha256"]}
    ]
    hashes = {part["bom-ref"]: part["hashes"][0]["content"] for part in bill["components"]}
    assert hashes["weights"] == files.sha256(weights / f"{MODEL}_pretrained.pdparams")
    assert hashes["golden"] == manifest["data"]["sha256"]
    tools = {tool["name"]: tool for tool in bill["metadata"]["tools"]["components"]}
    assert {name: tools[name]["version"] for name in manifest["tools"]} == manifest["tools"]
    assert tools["onnxruntime"]["licenses"]
    metrics = model["modelCard"]["quantitativeAnalysis"]["performanceMetrics"]
    assert any(one["value"] == "1.0000" and "10 photos" in one["slice"] for one in metrics)

    broken = text.replace('"machine-learning-model"', '"machine-learned-model"')
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(broken) is not None


def test_the_card_tells_the_drift_that_was_measured(
    make, command, built, weights, photos, monkeypatch
):
    ten = photos(10)
    arguments = ("--model", MODEL, "--weights", weights, "--target", "onnx", "--data", ten)
    arguments += ("--precision", "fp32")
    assert command("deploy/validate.py", *arguments, BUILD_DIR=built).returncode == 0
    package = make("onnx", ten, "--photos", "3") / f"{MODEL}-onnx-fp32"
    card = (package / "MODEL_CARD.md").read_text()
    digest = read_manifest(package)["files"]["model.onnx"]["sha256"]
    assert f"The file: `model.onnx`, sha256 `{digest}`." in card
    assert "pass (native" in card
    assert "Photos: 10" in card
    assert json.loads((package / "golden" / "golden.json").read_text())["count"] == 3

    monkeypatch.setenv("BUILD_DIR", str(built))
    made = packaged(MODEL, "onnx", "fp32")
    assert tells_all(made)
    about = "onnx", "fp32", "local"  # a folder of several tests: other hosts' results may lie there
    results = result.kept(MODEL)
    [now] = [one for one in results if (one.target, one.precision, one.host.name) == about]
    result.write(dataclasses.replace(now, verdict="fail", reason="what was measured after"))
    assert not tells_all(made)
    result.write(dataclasses.replace(now, files={"model.onnx": "a" * 64}))
    assert tells_all(made)  # that is another file's
    result.write(now)


def test_the_card_is_silent_about_what_was_measured_of_another_file():
    about = {
        **{"target": "onnx", "precision": "fp32", "class_num": 1000, "tools": {}},
        **{"weights": "demo", "weights_sha256": "d" * 64, "data": {"name": "demo", "images": 4}},
    }
    this, other = {"model.onnx": "b" * 64}, a_result(files={"model.onnx": "a" * 64})
    card = model_card(MODELS[MODEL], about, this, "numbers", [other])
    assert "Nothing was measured of this very file. Results of other files" in card
    assert "no run of it was there" in card
    assert "pass (native" not in card
    card = model_card(MODELS[MODEL], about, this, "numbers", [other, a_result(files=this)])
    assert card.count("pass (native") == 1
    assert "Nothing was measured" not in card


def test_int8_is_packaged_for_the_statistical_gate(built, weights, photos, monkeypatch):
    monkeypatch.setenv("BUILD_DIR", str(built))
    wanted, cell = Files(str(weights)), (Onnx(), "int8")
    graph = inference_graph(choose(MODEL), wanted)
    judging = Photos(str(photos(12)))
    opened = open_photos(judging, [cell], 1000)
    ready = ready_to_judge(graph, [cell], wanted, judging, opened)
    file = build_files(graph, [cell], ready.options)[cell]
    labels = Labels([str(number) for number in range(1000)], "numbers")
    made = package(MODELS[MODEL], graph, cell, file, labels, ready.images, skip_bad=False)
    assert zip_path(made).name == f"{MODEL}-onnx-int8.zip"
    manifest = read_manifest(content_folder(made))
    assert (manifest["precision"], manifest["gate"]) == ("int8", "statistical")


# ---- names of classes ----


def graph_of(tmp_path, classes: int, recorded: str | None = None) -> Artifact:
    """The inference graph of a checkpoint in the folder."""
    checkpoint = tmp_path / "net.pdparams"
    checkpoint.write_bytes(b"a checkpoint")
    facts = {
        "class_num": classes,
        "weights_path": str(checkpoint),
        "weights_sha256": recorded or files.sha256(checkpoint),
    }
    return Artifact(tmp_path, {"model": MODEL, "facts": facts})


@pytest.mark.parametrize("name", ["net.classes.txt", "classes.txt"])
def test_the_list_beside_the_checkpoint_names_the_classes(tmp_path, name):
    (tmp_path / name).write_text("cat\ndog\n金鱼\n")
    labels = find_labels(graph_of(tmp_path, 3), None)
    assert labels.names == ["cat", "dog", "金鱼"]
    assert labels.source == name


def test_a_list_beside_another_checkpoint_is_not_taken(tmp_path, capsys):
    (tmp_path / "net.classes.txt").write_text("cat\ndog\n")
    assert find_labels(graph_of(tmp_path, 2, recorded="0" * 64), None).names == ["0", "1"]
    assert "--labels" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"cat\ndog\n", "names 2 classes, the model has 3"),
        (b"cat\n\ndog\n", "line 2 is blank"),
        (b"cat\ndog\n\xff\xfe\n", "UTF-8"),
        (None, "no such list"),
    ],
)
def test_bad_lists_are_refused(tmp_path, content, words):
    listing = tmp_path / "mine.txt"
    if content is not None:
        listing.write_bytes(content)
    with pytest.raises(UserError, match=words):
        find_labels(graph_of(tmp_path, 3), listing)


# ---- what is refused ----


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--model", "SqueezNet1_1", "--target", "onnx"], ["'SqueezNet1_1'", "SqueezeNet1_1"]),
        (
            ["--model", MODEL, "--target", "trt-t4"],
            ["trt-t4", "only onnx, openvino, mnn, ncnn, opencv, lite-arm"],
        ),
        (
            ["--model", MODEL, "--target", "paddle"],
            ["paddle", "only onnx, openvino, mnn, ncnn, opencv, lite-arm"],
        ),
        (["--model", MODEL, "--target", "onix"], ["'onix'", "did you mean onnx"]),
        (["--model", MODEL, "--target", "onnx", "--precision", "int3"], ["'int3'"]),
        (["--model", MODEL, "--target", "onnx", "--photos", "0"], ["--photos", "at least 1"]),
        (["--model", MODEL, "--target", "onnx", "--data", "/nowhere"], ["/nowhere"]),
        (["--model", MODEL, "--target", "onnx", "--labels", "/no/list"], ["/no/list"]),
        (
            ["--model", MODEL, "--target", "onnx", "--weights", "random", "--classes", "7"],
            ["demo", "the model has 7"],
        ),
        ([], ["no model is named"]),
        (["--model", MODEL, "--precision", "fp64"], ["packages have no precision 'fp64'"]),
    ],
)
def test_mistakes_are_refused_before_any_work(command, tmp_path, arguments, words):
    assert_refused(command("deploy/package.py", *arguments), *words)
    assert not (tmp_path / "build").exists()


def test_a_full_disk_leaves_nothing_behind(make, built, photos, small_disk):
    four = photos(4)
    make("onnx", four)  # so that only the package is missing on the small disk
    there = small_disk.path / "build" / MODEL
    graphs = " ".join(str(built / MODEL / kind) for kind in ("inference", "onnx", "reference"))
    words = [sys.executable, ROOT / "deploy" / "package.py", "--model", MODEL, "--target", "onnx"]
    package = shlex.join(map(str, [*words, "--data", four]))
    done = small_disk.run(
        "16m",
        f"mkdir -p {there} && cp -r {graphs} {there} && {package}; "
        f"status=$?; ls {there}/package; exit $status",
    )
    assert_refused(done, "no space left")
    assert done.stdout == ""
