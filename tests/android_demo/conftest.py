"""The app's core, compiled once; the toolkit's data for it, made once; JUnit's report of both."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from common.paths import ROOT
from data.decode import decode_photo
from data.images import ImageSet
from tests.android_demo import arrays, java
from tests.deploy.packages.tampering import make_keys

PHOTOS = 60
TARGETS = ("onnx", "opencv", "lite-arm")


@dataclass(frozen=True)
class Compiled:
    """Class files: the app's core and engines, the tests with the stand-in library; jars; and the
    folder of OpenCV's native library."""

    app: Path
    tests: Path
    jars: list[Path]
    library: Path


@dataclass(frozen=True)
class Run:
    """JUnit's report, and the folder of what the tests handed over."""

    report: dict[str, dict[str, str | None]]
    out: Path


@pytest.fixture(scope="session")
def compiled(tmp_path_factory) -> Compiled:
    folder = tmp_path_factory.mktemp("classes")
    jars = [*java.junit_jars(), java.onnx_runtime_jar(), java.opencv_jar()]
    main = java.SOURCES / "main" / "java" / "org" / "paddleportage"
    stubs = java.compile_java(
        java.sources_of(java.SOURCES / "stubs" / "java" / "com"), folder / "stubs"
    )
    sources = java.sources_of(main / "core", main / "engine")
    app = java.compile_java(sources, folder / "app", [stubs, *jars])
    # The tests bring Paddle Lite's classes themselves, and never see the stubs.
    tests = java.compile_java(java.sources_of(java.TESTS), folder / "tests", [app, *jars])
    return Compiled(app, tests, jars, java.unpack_opencv(folder / "native"))


@pytest.fixture(scope="session")
def photo_folder(photos) -> Path:
    return photos(PHOTOS)


@pytest.fixture(scope="session")
def decoded(photo_folder) -> dict[str, np.ndarray]:
    """Real photos: uint8 RGB [height, width, 3] by name."""
    paths = ImageSet.open(photo_folder).paths
    return {f"photo{index}": decode_photo(path.read_bytes()) for index, path in enumerate(paths)}


@pytest.fixture(scope="session")
def signing_keys(tmp_path_factory) -> Path:
    return make_keys(tmp_path_factory.mktemp("keys"))


@pytest.fixture(scope="session")
def package_build(photo_folder, weights, signing_keys, tmp_path_factory) -> Path:
    """A build folder with signed packages of the real SqueezeNet1_1, made by the command."""
    build = tmp_path_factory.mktemp("packages")
    words = [sys.executable, ROOT / "deploy" / "package.py", "--model", "SqueezeNet1_1"]
    words += [word for target in TARGETS for word in ("--target", target)]
    words += ["--precision", "fp32", "--sign", signing_keys / "own.pem"]
    words += ["--photos", str(PHOTOS)]
    words += ["--weights", weights, "--data", photo_folder]
    done = subprocess.run(
        words,
        env=os.environ | {"BUILD_DIR": str(build)},
        capture_output=True,
        text=True,
        timeout=600,
    )
    if done.returncode == 3:
        pytest.skip(f"the packages cannot be made here: {done.stderr.strip().splitlines()[-1]}")
    assert done.returncode == 0, done.stderr
    return build


@pytest.fixture(scope="session")
def latencies() -> list[np.ndarray]:
    return []


@pytest.fixture(scope="session")
def toolkit_data(package_build, decoded, latencies, tmp_path_factory) -> Path:
    """Everything that the Java tests read."""
    folder = tmp_path_factory.mktemp("data")
    for target in TARGETS:
        name = f"SqueezeNet1_1-{target}-fp32"
        made = package_build / "SqueezeNet1_1" / "package" / f"{target}-fp32" / name
        shutil.copytree(made, folder / "packages" / target)
    (folder / "families").mkdir()
    (folder / "families" / "SqueezeNet1_1").symlink_to(folder / "packages" / "opencv")
    arrays.write_tiny(folder / "tiny")
    real = dict(list(decoded.items())[::2])
    arrays.write_preprocess(folder / "preprocess", real | arrays.made_up_photos())
    arrays.write_photos(folder / "photos", decoded)
    arrays.write_drift(folder / "drift", arrays.drift_cases())
    latencies.extend(arrays.write_latency(folder / "latency.txt"))
    return folder


@pytest.fixture(scope="session")
def junit(compiled, toolkit_data, tmp_path_factory) -> Run:
    """All Java tests, run on the class files that the compiler made."""
    out = tmp_path_factory.mktemp("handed")
    path = [compiled.app, compiled.tests, *compiled.jars]
    return Run(java.run_junit(path, compiled.library, toolkit_data, out), out)
