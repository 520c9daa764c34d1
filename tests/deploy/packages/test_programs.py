"""Packages for programs of one's own: what is in the folder alone gives the golden logits."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from common import files
from data.preprocess import Preprocess
from deploy.packages.making import packages_here
from deploy.targets import TARGETS
from runtimes.environments import MAIN
from runtimes.worker import Worker
from tests.conftest import assert_refused
from tests.deploy.packages import lines, program
from tests.deploy.test_validate import results

MODEL = "SqueezeNet1_1"
FILES = {
    "ncnn": {"model.param", "model.bin"},
    "mnn": {"model.mnn"},
    "openvino": {"model.xml", "model.bin"},
}
PACKAGES = {"ncnn": "ncnn", "mnn": "MNN", "openvino": "openvino"}


@pytest.fixture(scope="module")
def judged(tmp_path_factory):
    return tmp_path_factory.mktemp("build")


@pytest.fixture
def package(command, judged, weights, photos):
    """`package(target, "fp32")`: the folder of a package, made after both were judged."""

    def make(target: str, precision: str) -> Path:
        targets = (word for target in FILES for word in ("--target", target))
        about = ("--model", MODEL, "--weights", weights, *targets)
        folder = judged / MODEL / "package" / f"{target}-{precision}"
        if not folder.exists():
            twelve = ("--precision", "fp32", "--precision", "int8", "--data", photos(9), "--json")
            done = command("deploy/validate.py", *about, *twelve, BUILD_DIR=judged)
            assert set(results(done)) == {(one, word) for one in FILES for word in ("fp32", "int8")}
            done = command("deploy/package.py", *about, "--data", photos(4), BUILD_DIR=judged)
            assert done.returncode == 0, done.stderr
        return folder / f"{MODEL}-{target}-{precision}"

    return make


@pytest.mark.parametrize("target", FILES)
def test_a_program_computes_the_golden_logits_from_the_folder_alone(package, tmp_path, target):
    for precision, limit in (("fp32", 1e-5), ("int8", 0.3)):
        folder = shutil.copytree(package(target, precision), tmp_path / precision)
        words = [sys.executable, "-I", program.__file__, target]
        done = subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        golden, computed = (
            np.fromfile(folder / name, "<f4").reshape(-1, 1000)
            for name in ("golden/logits.bin", "logits.bin")
        )
        assert 0 < furthest(golden, computed) < limit
        # Only files that hold integers may be far from Paddle, and then as they were when judged.
        assert furthest(as_judged(target, precision, folder), computed) < 1e-5


def missing(runtime: str) -> str | None:
    """What compiling the lines of a runtime's page lacks here."""
    header, install = lines.HEADERS[runtime], {"ncnn": "ncnn", "mnn": "MNN"}.get(runtime)
    words = ["-E", "-x", "c++", "-include", header, "/dev/null", "-o", "/dev/null"]
    if shutil.which("g++") is None:
        return "g++ is not here"
    if subprocess.run([*lines.compiler(runtime), *words], capture_output=True).returncode:
        return f"the compiler finds no {header}; name {install}'s with CPATH (docs/package.md)"
    return None


@pytest.mark.parametrize("target", FILES)
def test_the_lines_of_the_page_compute_the_golden_logits(package, tmp_path, target):
    if lack := missing(target):
        pytest.skip(lack)
    folder = shutil.copytree(package(target, "fp32"), tmp_path / "fp32")
    words = [sys.executable, "-I", lines.__file__, target]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "warning" not in done.stderr
    golden, computed = (
        np.fromfile(folder / name, "<f4").reshape(-1, 1000)
        for name in ("golden/logits.bin", "logits.bin")
    )
    assert 0 < furthest(golden, computed) < 1e-5


def furthest(ours: np.ndarray, theirs: np.ndarray) -> float:
    """The largest difference of a photo's logits, relative to its largest logit."""
    return float((np.abs(ours - theirs).max(axis=1) / np.abs(ours).max(axis=1)).max())


def as_judged(target: str, precision: str, folder: Path) -> np.ndarray:
    """The golden photos' logits by the session that judges the target."""
    preprocess = Preprocess.from_json(files.read_json(folder / "preprocess.json"))
    shape = files.read_json(folder / "golden" / "golden.json")["shape"]
    crops = np.fromfile(folder / "golden" / "crops.bin", np.uint8).reshape(shape)
    with Worker("main", target) as worker:
        session = TARGETS[target].session_spec("fp32").session
        worker.open(session, folder=str(folder), precision=precision, threads=1)
        return worker.use("run", batch=preprocess.normalize(crops))


@pytest.mark.parametrize("target", FILES)
def test_it_carries_the_files_that_were_judged(package, judged, target):
    for precision in ("fp32", "int8"):
        folder = package(target, precision)
        manifest = files.read_json(folder / "manifest.json")
        assert (manifest["engine"], manifest["engine_version"]) == (
            target,
            MAIN.version(PACKAGES[target]),
        )
        found = {one.relative_to(folder).as_posix() for one in folder.rglob("*") if one.is_file()}
        assert found == {*manifest["files"], "manifest.json"}
        result = files.read_json(judged / MODEL / "results" / f"{target}-{precision}.json")
        assert result["files"].keys() == FILES[target]
        for name, sha256 in result["files"].items():
            assert files.sha256(folder / name) == manifest["files"][name]["sha256"] == sha256
        assert manifest.get("batch") == (1 if target == "ncnn" else None)
        card, page = ((folder / name).read_text() for name in ("MODEL_CARD.md", "README.md"))
        assert result["reason"] in card
        assert "README.md says how a program there runs" in card
        assert f"(judged with {result['environment']['threads']})" in page
        assert ("The batch is always 1" in page) == (target == "ncnn")


def test_the_app_does_not_take_them(command, package, judged):
    package("ncnn", "fp32")
    words = ("--model", MODEL, "--target", "ncnn")
    done = command("deploy/apk.py", *words, BUILD_DIR=judged)
    assert_refused(done, "the app has no engine for ncnn", "it runs onnx", "make package")


def test_the_apps_packages_leave_them_out(package, judged, monkeypatch, capsys):
    package("ncnn", "fp32")
    monkeypatch.setenv("BUILD_DIR", str(judged))
    assert packages_here(["fp32"], MODEL) == []
    said = capsys.readouterr().err
    assert f"left out: {MODEL}-ncnn-fp32, since the app has no engine for ncnn" in said
