"""The app's Java without Android: compiled, and its JUnit tests run in a child process."""

import os
import platform
import re
import shutil
import subprocess
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from common.paths import ROOT
from common.registries.maven import maven_artifact
from deploy.android.tools import QUICK

SOURCES = ROOT / "android_demo" / "app" / "src"
TESTS = SOURCES / "test" / "java"
_TEST_FILES = sorted(TESTS.rglob("*Test.java"), key=lambda path: path.stem)
TEST_CLASSES = [path.stem for path in _TEST_FILES]

_LIMIT = 300.0  # seconds
_JUNIT = (
    ("junit", "junit", "4.13.2"),
    "8e495b634469d64fb8acfa3495a065cbacc8a0fff55ce1e31007be4c16dc57d3",
)
_HAMCREST = (
    ("org.hamcrest", "hamcrest-core", "1.3"),
    "66fdef91e9739348df7a096aa384a5685f4e875584cce89386a7a47251c4d8e9",
)
# The last that the repository has for desktops; the Android archive has the same Java API.
_ONNX_RUNTIME = (
    ("com.microsoft.onnxruntime", "onnxruntime", "1.29.0"),
    "5933bbc0c6c4d89afc04bf7c11011de23a947509c1352e5bf5936e62a84e4d10",
)

# OpenCV's Java API with the library for desktops; the Android archive has the same API, and a newer
# version, which no repository has for desktops.
_OPENCV = (
    ("org.openpnp", "opencv", "4.9.0-0"),
    "17823d249cb8ba18bc3cdb878db84936694d1cfaeac0f95517e320c8a8c458d9",
)
_OPENCV_FOLDERS = {"x86_64": "x86_64", "aarch64": "ARMv8"}
_OPENCV_LIBRARY = "libopencv_java4.so"  # Android's name, by which the app asks for it


def junit_jars() -> list[Path]:
    """JUnit and what it needs."""
    return [maven_artifact(*name, sha256) for name, sha256 in (_JUNIT, _HAMCREST)]


def onnx_runtime_jar() -> Path:
    """ONNX Runtime for the desktop's JVM, with its native library inside."""
    name, sha256 = _ONNX_RUNTIME
    return maven_artifact(*name, sha256)


def opencv_jar() -> Path:
    """OpenCV for the desktop's JVM; `unpack_opencv` gives its native library a place."""
    name, sha256 = _OPENCV
    return maven_artifact(*name, sha256)


def unpack_opencv(folder: Path) -> Path:
    """The folder, with OpenCV's library for this machine, as Java's `java.library.path`."""
    machine = _OPENCV_FOLDERS.get(platform.machine())
    if machine is None:
        pytest.skip(f"OpenCV's desktop library is not there for {platform.machine()}")
    folder.mkdir()
    with zipfile.ZipFile(opencv_jar()) as jar:
        inside = f"nu/pattern/opencv/linux/{machine}/libopencv_java490.so"
        with jar.open(inside) as source, (folder / _OPENCV_LIBRARY).open("wb") as target:
            shutil.copyfileobj(source, target)
    return folder


def own_places(folder: Path) -> tuple[list[str], dict[str, str]]:
    """Java's settings and environment with which temporary files stay in a folder.

    Its libraries unpack themselves into one, and ONNX Runtime's, which would report its use to its
    maker, writes a log there.
    """
    folder.mkdir(exist_ok=True)
    environment = os.environ | {"TMPDIR": str(folder), "ORT_DISABLE_TELEMETRY": "1"}
    return [f"-Djava.io.tmpdir={folder}"], environment


def compile_java(sources: Sequence[Path], folder: Path, path: Sequence[Path] = ()) -> Path:
    """Compile sources into a folder; whatever javac warns of is an error.

    A missing serial number is no fault: exceptions are never stored.
    """
    folder.mkdir()
    _call(
        *("javac", *(f"-J{flag}" for flag in QUICK), "--release", "17", "-encoding", "UTF-8"),
        *("-Xlint:all,-serial,-removal", "-Werror", "-classpath", _joined(path), "-d", folder),
        *sources,
    )
    return folder


def sources_of(*folders: Path) -> list[Path]:
    """All Java files below these folders."""
    return sorted(path for folder in folders for path in folder.rglob("*.java"))


def run_junit(
    path: Sequence[Path],
    library: Path,
    data: Path,
    out: Path,
    classes: Sequence[str] = TEST_CLASSES,
) -> dict[str, dict[str, str | None]]:
    """Run test classes: for each, its tests' names with None or what went wrong.

    `library` is the folder of OpenCV's library, `data` holds what the tests read, `out` takes what
    they hand over.
    """
    names = [
        ".".join(path.relative_to(TESTS).with_suffix("").parts)
        for path in _TEST_FILES
        if path.stem in classes
    ]
    places, environment = own_places(out / "tmp")
    settings = [*QUICK, *places, f"-Dportage.data={data}", f"-Dportage.out={out}"]
    settings.append(f"-Djava.library.path={library}")
    words = [*settings, "-cp", _joined(path), "org.paddleportage.RunAll", *names]
    printed = _call("java", arguments_in(out / "java.txt", words), environment=environment)
    lines = printed.splitlines()
    assert "end" in lines, f"JUnit did not come to its end: {printed[-2000:]}"
    report: dict[str, dict[str, str | None]] = {name: {} for name in classes}
    for line in lines:
        if found := re.match(r"(passed|failed) (\S+) (\S+) ?(.*)", line):
            verdict, test_class, test, trace = found.groups()
            report[test_class][test] = None if verdict == "passed" else trace
    return report


def arguments_in(file: Path, words: Sequence[object]) -> str:
    """Java's arguments, kept in a file: the one word that stands for them.

    ONNX Runtime searches its process's command line with a regular expression; on one of four
    thousand characters, as a class path easily has, that overflows the stack of a Java thread.
    """
    lines = [str(word).replace("\\", "\\\\").replace('"', '\\"') for word in words]
    file.write_text("".join(f'"{line}"\n' for line in lines))
    return f"@{file}"


def tests_written(test_class: str) -> int:
    """How many tests a class's source has, so that none is left out unseen."""
    [source] = TESTS.rglob(f"{test_class}.java")
    return source.read_text().count("@Test\n")


def assert_all_pass(report: dict[str, dict[str, str | None]], test_class: str) -> None:
    """Every test that a class's source has was run, and passed."""
    failures = {test: trace[:1500] for test, trace in report[test_class].items() if trace}
    assert not failures
    assert len(report[test_class]) == tests_written(test_class) > 0


def _joined(path: Sequence[Path]) -> str:
    return ":".join(map(str, path))


def _call(tool: str, *arguments: object, environment: dict[str, str] | None = None) -> str:
    program = shutil.which(tool)
    if program is None:
        pytest.skip(f"needs a JDK: {tool} is not on this machine")
    command = [program, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_LIMIT, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
