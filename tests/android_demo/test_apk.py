"""The APK: built by the command from made-up engines and packages, and taken apart."""

import dataclasses
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import onnxruntime
import pytest

from common.elf import read_library
from common.errors import StepError, UserError
from common.paths import ROOT, cache_root
from data.demo import demo_photos
from deploy.android import compile as compiling
from deploy.android import engines, sign
from deploy.android.project import ANDROID, read_project
from deploy.android.tools import Tools, find_tools
from deploy.packages.signature import SIGNATURE, key_name
from models.demo_weights import make_demo_weights
from runtimes.paddle_lite_arm.library import ARCHIVES
from tests.android_demo import apks
from tests.conftest import assert_refused, skipped_without_a_registry
from tests.deploy.packages.tampering import make_keys

ABIS = {"arm64-v8a", "x86_64"}
LIBRARIES = {
    "lib/arm64-v8a/libpaddle_lite_jni.so",
    *(
        f"lib/{abi}/{name}.so"
        for abi in ABIS
        for name in ("libonnxruntime", "libopencv_java4", "libc++_shared")
    ),
}
MODEL = bytes(range(256)) * 400
TOOLKIT_PINS = ROOT / "requirements" / "toolkit-no-deps.in"


@pytest.fixture(scope="session")
def tools() -> Tools:
    if shutil.which("javac") is None:
        pytest.skip("needs a JDK: javac is not on this machine")
    return find_tools()


@pytest.fixture(scope="session")
def given(tmp_path_factory, tools) -> dict[str, Path]:
    """Archives in the forms of the engines' official ones, by the command's flags."""
    folder = tmp_path_factory.mktemp("engines")
    arm, intel = apks.shared_object(apks.ARM64, "libc.so"), apks.shared_object(apks.X86_64)
    lite, onnx = apks.jar_of_stubs(folder, "com"), apks.jar_of_stubs(folder, "ai")
    libraries = {"arm64-v8a/libonnxruntime.so": arm, "x86_64/libonnxruntime.so": intel}
    return {
        "--paddle-lite": apks.write_paddle_lite(folder / "lite.tar.gz", lite, arm),
        "--onnxruntime": apks.write_aar(folder / "onnxruntime.aar", onnx, libraries),
    }


def build(folder: Path, words: list, key: Path | None = None) -> tuple[Path, str]:
    """Run the command with packages in a build folder of its own; the app, and what was said."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BUILD_DIR", str(folder))
        for target in apks.MODELS:
            apks.write_package(target, MODEL, key=key)
        done = subprocess.run(
            [sys.executable, "deploy/apk.py", *map(str, words)],
            capture_output=True,
            text=True,
            timeout=600,
        )
    assert done.returncode == 0, done.stderr
    return folder / "apk" / "paddle-portage-demo.apk", done.stderr


@pytest.fixture(scope="session")
def keys(tmp_path_factory) -> Path:
    return make_keys(tmp_path_factory.mktemp("keys"))


@pytest.fixture(scope="session")
def apk(given, keys, tmp_path_factory) -> Path:
    """An app with all engines, for two processors, two packages, and the key that signed them."""
    words = [word for pair in given.items() for word in pair]
    words += [word for abi in ABIS for word in ("--abis", abi)]
    words += ["--key", keys / "own.pub"]
    return build(tmp_path_factory.mktemp("with-engines"), words, keys / "own.pem")[0]


@pytest.fixture(scope="session")
def bare(tools, tmp_path_factory) -> tuple[Path, str]:
    """An app without an engine that is given, and what the command said."""
    return build(tmp_path_factory.mktemp("bare"), [])


def test_it_asks_for_the_camera_and_for_nothing_else(apk, tools):
    badging = apks.aapt2(tools, "dump", "badging", apk)
    assert re.findall("^uses-permission.*", badging, re.M) == [
        "uses-permission: name='android.permission.CAMERA'"
    ]
    assert "package: name='org.paddleportage.demo' versionCode='1'" in badging
    assert "sdkVersion:'23'" in badging
    assert int(re.search(r"targetSdkVersion:'(\d+)'", badging)[1]) >= 34
    assert "launchable-activity: name='org.paddleportage.app.MainActivity'" in badging
    [abis] = re.findall("^native-code: (.*)", badging, re.M)
    assert set(re.findall("'([^']*)'", abis)) == ABIS
    assert "uses-feature-not-required: name='android.hardware.camera'" in badging
    assert "application-debuggable" not in badging


def test_only_the_screens_that_others_need_are_open_to_them(apk, tools):
    tree = apks.aapt2(tools, "dump", "xmltree", apk, "--file", "AndroidManifest.xml")
    parts = re.split(r"\n(?=\s*E: )", tree)
    open_ones = {
        re.search(r'app\.(\w+)"', part)[1] for part in parts if re.search("exported.*=true", part)
    }
    assert open_ones == {"MainActivity", "RunActivity"}
    [run] = [part for part in parts if "RunActivity" in part]
    assert 'permission(0x01010006)="android.permission.DUMP"' in run
    [application] = [part for part in parts if "E: application" in part]
    assert re.search("extractNativeLibs.*=true", application)


def test_models_and_libraries_are_stored_and_aligned(apk):
    found = apks.entries(apk)
    libraries = {name for name in found if name.endswith(".so")}
    assert libraries == LIBRARIES
    models = {name for name in found if name.endswith((".nb", ".onnx"))}
    assert len(models) == 2
    for name in (*libraries, *models, "resources.arsc"):
        assert found[name].stored, name
        assert found[name].start % (16384 if name in libraries else 4) == 0, name
    assert not found["classes.dex"].stored


def test_the_key_that_packages_must_be_signed_with_is_inside(apk, bare, keys):
    own = keys / "own.pub"
    found = apks.entries(apk)
    assert found[f"assets/keys/{key_name(own)}.pem"].content == own.read_bytes()
    assert not [name for name in apks.entries(bare[0]) if name.startswith("assets/keys/")]


def test_every_library_can_be_loaded_by_phones_with_pages_of_16_kb(apk):
    for name, entry in apks.entries(apk).items():
        if name.endswith(".so"):
            found = read_library(entry.content)
            assert name.startswith(f"lib/{found.abi}/")
            assert found.page % 16384 == 0, name


def test_what_opencv_needs_is_inside_and_of_the_version_that_judged(apk):
    found = apks.entries(apk)
    for abi in ABIS:
        library = read_library(found[f"lib/{abi}/libopencv_java4.so"].content)
        assert "libc++_shared.so" in library.needed
    pinned = re.search(r"^opencv-python-headless==([\d.]+)\.\d+", TOOLKIT_PINS.read_text(), re.M)
    assert pinned[1] == engines.OPENCV_VERSION
    assert f"\ndemo.opencv={pinned[1]}\n" in (ANDROID / "gradle.properties").read_text()
    version = engines.OPENCV_VERSION.encode()
    assert b"configuration for OpenCV " + version in found["lib/x86_64/libopencv_java4.so"].content


def test_the_app_knows_what_is_inside_and_its_licences(apk):
    inside = json.loads(apks.entries(apk)["assets/inside.json"].content)
    assert inside["engines"].keys() == {"OpenCV", "Paddle Lite", "ONNX Runtime"}
    assert inside["engines"]["Paddle Lite"]["abis"] == ["arm64-v8a"]
    assert all(engine["licence"] for engine in inside["engines"].values())
    assert inside["models"] == dict.fromkeys(
        ("Tiny-lite-arm-fp32", "Tiny-onnx-fp32"), "Weights: none, they are made up."
    )


def test_packages_are_inside_as_they_were_made(apk):
    found = apks.entries(apk)
    inside = {name for name in found if name.startswith("assets/packages/")}
    assert inside == {
        f"assets/packages/Tiny-{target}-fp32/{name}"
        for target, model in apks.MODELS.items()
        for name in (model, "manifest.json", SIGNATURE, "golden/crops.bin")
    }
    assert found["assets/packages/Tiny-lite-arm-fp32/model.nb"].content == MODEL


def test_the_engines_classes_are_shipped_and_their_stubs_are_not(apk, bare):
    shipped = apks.classes_in(apks.entries(apk)["classes.dex"].content)
    assert {"com.baidu.paddle.lite.MobileConfig", "ai.onnxruntime.OrtSession"} <= shipped
    alone = apks.classes_in(apks.entries(bare[0])["classes.dex"].content)
    assert {"org.paddleportage.engine.PaddleLiteEngine", "org.opencv.dnn.Net"} <= alone
    assert not [name for name in alone if name.startswith(("com.baidu", "ai.onnxruntime"))]


def test_without_given_engines_it_is_built_and_says_what_is_missing(bare):
    path, said = bare
    assert {name for name in apks.entries(path) if name.endswith(".so")} == {
        "lib/arm64-v8a/libopencv_java4.so",
        "lib/arm64-v8a/libc++_shared.so",
    }
    assert "without Paddle Lite's library: PADDLE_LITE_ANDROID=path" in said
    assert "without ONNX Runtime's library: ONNXRUNTIME_ANDROID=path" in said
    assert "Tiny-lite-arm-fp32, Tiny-onnx-fp32; engines: OpenCV" in said


def test_the_sizes_of_its_parts_are_those_of_the_whole(bare):
    path, said = bare
    parts = re.findall(r"^ +([\d.]+) MB  (.+)$", said, re.M)
    assert {"code", "resources", "Tiny-onnx-fp32", "libopencv_java4.so (arm64-v8a)"} <= {
        name for _, name in parts
    }
    total = sum(float(size) for size, _ in parts)
    assert total == pytest.approx(path.stat().st_size / 1e6, abs=0.005 * len(parts))


def test_the_signature_holds_and_breaks(apk, tools, tmp_path):
    assert sign.verify(tools, 23, apk) == ["v1", "v2", "v3"]
    data = bytearray(apk.read_bytes())
    data[apks.entries(apk)["lib/arm64-v8a/libonnxruntime.so"].start + 100] ^= 1
    damaged = tmp_path / "damaged.apk"
    damaged.write_bytes(data)
    with pytest.raises(StepError, match=r"signature of damaged\.apk"):
        sign.verify(tools, 23, damaged)


def test_androids_own_verifier_agrees(apk):
    if shutil.which("apksigner") is None:
        pytest.skip("needs apksigner, which is not on this machine")
    words = ["apksigner", "verify", "--min-sdk-version", "23", "--verbose", apk]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_same_input_gives_the_same_bytes(bare, tmp_path):
    again, _ = build(tmp_path / "elsewhere", [])
    assert again.read_bytes() == bare[0].read_bytes()


def test_where_nothing_is_packaged_yet_a_model_goes_in_that_recognizes(tools, command, tmp_path):
    with skipped_without_a_registry():
        make_demo_weights()
        demo_photos()
    done = command("deploy/apk.py")
    assert done.returncode == 0, done.stderr
    assert "SqueezeNet1_1 for opencv is, with the demo weights" in done.stderr
    found = apks.entries(tmp_path / "build" / "apk" / "paddle-portage-demo.apk")
    folder = "assets/packages/SqueezeNet1_1-opencv-fp32"
    manifest = json.loads(found[f"{folder}/manifest.json"].content)
    assert (manifest["engine"], manifest["weights"]) == ("opencv", "demo")
    assert manifest["engine_version"] == engines.OPENCV_VERSION
    said = json.loads(found["assets/inside.json"].content)
    assert "MIT" in said["models"]["SqueezeNet1_1-opencv-fp32"]


# ---- what the oldest Android lacks ----


def compile_alone(tools: Tools, folder: Path, body: str) -> tuple:
    """Compile one class as the app's; returns the project and the folder of class files."""
    source = folder / "src" / "Newer.java"
    source.parent.mkdir()
    source.write_text(f"class Newer {{\n    Object at(Object x) {{\n        {body}\n    }}\n}}\n")
    project = dataclasses.replace(read_project(), java=source.parent)
    return project, compiling.compile_java(project, tools, folder, [])


@pytest.mark.parametrize(
    "body",
    [
        "return java.nio.file.Paths.get(x.toString());",
        "return x.toString().isBlank();",
        "return java.util.stream.Stream.of(x);",
        "return android.graphics.ImageDecoder.createSource((java.nio.ByteBuffer) x);",
        "return android.os.Build.SOC_MODEL;",
    ],
)
def test_a_newer_class_is_named_with_its_line(tools, tmp_path, body):
    project, classes = compile_alone(tools, tmp_path, body)
    with pytest.raises(StepError, match=r"an API newer than .* 23: .*Newer\.java:3"):
        compiling.check_api(project, tools, classes)


# ---- bad input ----


def test_a_broken_package_is_refused(command, build_folder):
    package = apks.write_package("onnx", MODEL)
    (package / "model.onnx").write_bytes(MODEL[:-1])
    done = command("deploy/apk.py", BUILD_DIR=build_folder)
    assert_refused(done, "onnx-fp32", "not a whole package", "make package")


def test_a_mistyped_abi_is_refused(command):
    assert_refused(command("deploy/apk.py", "--abis", "arm64-v7a"), "did you mean arm64-v8a")


def test_a_mistyped_model_is_refused(command):
    assert_refused(command("deploy/apk.py", "--model", "SqueezeNet1_7"), "SqueezeNet1_1")


def test_without_java_it_says_what_to_install(command, tmp_path):
    done = command("deploy/apk.py", PATH=tmp_path, JAVA_HOME="")
    assert_refused(done, "java is not on this machine", "openjdk-17-jdk-headless")
    done = command("deploy/apk.py", JAVA_HOME=tmp_path)
    assert_refused(done, "java is not in JAVA_HOME", str(tmp_path))


def refused(read, path: Path, abis=engines.ABIS) -> str:
    with pytest.raises(UserError) as caught:
        read(path, abis)
    assert str(path) in str(caught.value)
    return str(caught.value)


def test_what_is_no_engine_is_refused(tmp_path, given):
    library = apks.shared_object(apks.ARM64)
    absent = tmp_path / "absent.tar.gz"
    assert "no such file" in refused(engines.paddle_lite, absent)
    text = tmp_path / "text.tar.gz"
    text.write_text("<html>404</html>")
    assert "cannot be read" in refused(engines.paddle_lite, text)
    assert "classes.jar is not inside" in refused(
        engines.onnxruntime, apks.write_paddle_lite(tmp_path / "swapped.aar", b"", library)
    )
    assert "its jar is damaged" in refused(
        engines.paddle_lite, apks.write_paddle_lite(tmp_path / "jar.tar.gz", b"PK", library)
    )
    damaged = apks.write_paddle_lite(tmp_path / "so.tar.gz", b"PK", library[:80])
    assert "libpaddle_lite_jni.so is not a library for Android" in refused(
        engines.paddle_lite, damaged
    )
    cut = tmp_path / "cut.tar.gz"
    cut.write_bytes(given["--paddle-lite"].read_bytes()[:-2000])
    assert "cannot be read" in refused(engines.paddle_lite, cut)
    whole = given["--paddle-lite"].read_bytes()
    cut.write_bytes(whole[:200] + bytes(50) + whole[250:])
    assert "cannot be read: no archive, or a damaged one" in refused(engines.paddle_lite, cut)
    empty = apks.write_aar(tmp_path / "empty.aar", b"", {})
    assert "no native library" in refused(engines.onnxruntime, empty)
    said = refused(engines.paddle_lite, given["--paddle-lite"], ["x86_64"])
    assert "no native library (.so) for x86_64 is inside" in said


def test_the_official_archive_is_fetched_once_and_trusted_from_then_on(given, releases):
    folder, asked = releases
    archive = folder / ARCHIVES["android"]
    shutil.copyfile(given["--paddle-lite"], archive)
    found = engines.paddle_lite("official", ["arm64-v8a"])
    assert found.sha256 == engines.paddle_lite(given["--paddle-lite"], ["arm64-v8a"]).sha256
    assert engines.paddle_lite("official", ["arm64-v8a"]) == found
    assert len(asked) == 1
    [kept] = cache_root().rglob(archive.name)
    kept.unlink()
    archive.write_bytes(archive.read_bytes() + b"changed")
    with pytest.raises(UserError, match="is not the expected file"):
        engines.paddle_lite("official", ["arm64-v8a"])
    for path in cache_root().rglob(f"{archive.name}*"):
        path.unlink()


def test_an_unpacked_archive_is_the_same_engine(tmp_path, given):
    shutil.unpack_archive(given["--paddle-lite"], tmp_path / "unpacked", filter="data")
    packed, unpacked = (
        engines.paddle_lite(path, ["arm64-v8a"])
        for path in (given["--paddle-lite"], tmp_path / "unpacked")
    )
    assert (packed.jar, packed.native, packed.abis) == (
        unpacked.jar,
        unpacked.native,
        ["arm64-v8a"],
    )


def test_what_a_phone_would_refuse_to_load_is_said(tmp_path, given, capsys):
    with_needs = apks.shared_object(apks.ARM64, "libc.so", "libc++_shared.so", page=4096)
    jar = engines.paddle_lite(given["--paddle-lite"], engines.ABIS).jar
    path = apks.write_paddle_lite(tmp_path / "lite.tar.gz", jar, with_needs)
    engines.paddle_lite(path, engines.ABIS)
    said = capsys.readouterr().err
    assert "libpaddle_lite_jni.so (arm64-v8a) is aligned to 4096 bytes" in said
    assert "needs libc++_shared.so, which is not in the archive" in said
    assert "needs libc.so" not in said
    # The first archive of a name is remembered, since nobody publishes checksums.
    assert "another file than when first used" in said
    assert "Paddle Lite has no library for x86_64: there its models will not run" in said


def test_a_real_library_is_read():
    [path] = (Path(onnxruntime.__file__).parent / "capi").glob("libonnxruntime_providers_shared.so")
    library = read_library(path)
    assert library.abi in ("x86_64", "arm64-v8a")
    assert library.page >= 4096
    assert "libc.so.6" in library.needed
    assert read_library(path.read_bytes()[:50]) is None
    assert read_library(b"text") is None
