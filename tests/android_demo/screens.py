"""Draw the app's screens without a phone.

    python -m tests.android_demo.screens BUILD OUT

Android's own views and drawing code on a JVM (Robolectric), with the resources and packages of the
APK in a build folder (of signed packages, with their key: `make apk SIGN= KEY=`), and OpenCV's and
ONNX Runtime's libraries for desktops. It shows what the screens look like and what they do, not how
a phone's camera, its heat or its processor behave.
"""

import dataclasses
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np

from common import files
from common.paths import ROOT
from common.registries.maven import maven_artifact
from data.decode import decode_photo
from data.preprocess import Preprocess
from deploy.android import compile as compiling
from deploy.android.project import read_project
from deploy.android.tools import QUICK, Tools, find_tools
from runtimes.sessions.onnx_runtime import Session
from tests.android_demo import java

SOURCES = ROOT / "android_demo" / "app" / "src"
TESTS = sorted((SOURCES / "screens").rglob("*Test.java"))
_LIMIT = 900.0  # seconds
_GROUP = "org.robolectric"
_ROBOLECTRIC = "4.14.1"
# Android 15, prepared for a JVM: the newest that this Robolectric knows, which it always wants.
_ANDROID = (
    (_GROUP, "android-all-instrumented", "15-robolectric-12650502-i7"),
    "33c2d7cc4186d4605269d5d411fa1818972c5b30a9f70bfbbd3d430b076af52f",
)
# Of everything that Robolectric needs: the hash of all names and hashes.
_LIBRARIES_SHA256 = "041b2f857535922e49c2641d4524dc354d7778ebc4ec96eca2ad83103f91294b"
_POM = f"""
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>demo</groupId><artifactId>screens</artifactId><version>1</version>
  <dependencies>
    <dependency>
      <groupId>{_GROUP}</groupId><artifactId>robolectric</artifactId>
      <version>{_ROBOLECTRIC}</version>
      <exclusions>
        <exclusion><groupId>androidx.test</groupId><artifactId>monitor</artifactId></exclusion>
        <exclusion><groupId>androidx.annotation</groupId><artifactId>*</artifactId></exclusion>
      </exclusions>
    </dependency>
    <dependency>
      <groupId>androidx.test</groupId><artifactId>monitor</artifactId><version>1.7.2</version>
      <type>aar</type>
      <exclusions>
        <exclusion><groupId>*</groupId><artifactId>*</artifactId></exclusion>
      </exclusions>
    </dependency>
  </dependencies>
</project>
"""


@dataclasses.dataclass(frozen=True)
class Expected:
    """What the toolkit decides: for the package's first photo, and for the one that is shared."""

    top: str
    photo_top: str


def expected(package: Path, photo: Path) -> Expected:
    """The first sample by its golden logits; the photo by the packaged model on ONNX Runtime."""
    labels = (package / "labels.txt").read_text(encoding="utf-8").splitlines()
    first = np.fromfile(package / "golden" / "logits.bin", "<f4")[: len(labels)]
    preprocess = Preprocess.from_json(json.loads((package / "preprocess.json").read_text()))
    crop = preprocess.crop_photo(decode_photo(photo.read_bytes()))
    logits = Session(str(package), "fp32", threads=1).run(preprocess.normalize(crop[None]))
    return Expected(labels[first.argmax()], labels[logits.argmax()])


def draw_screens(apk: Path, photo: Path, expects: Expected, out: Path) -> dict[str, str | None]:
    """Run the screens' tests, which leave pictures in `out`: each one's name and fault, or None."""
    tools = find_tools()
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="screens-") as scratch:
        work = Path(scratch)
        libraries, android = _libraries(work)
        path = [_compile(tools, libraries, work), *_settings(apk, work), *libraries]
        path += [java.onnx_runtime_jar(), java.opencv_jar(), tools.framework]
        settings = {
            "robolectric.offline": "true",
            "robolectric.dependency.dir": android.parent,
            "portage.out": out,
            "portage.photo": photo,
            "portage.top": expects.top,
            "portage.photo_top": expects.photo_top,
            "portage.key": _key_inside(apk),
        }
        settings["java.library.path"] = java.unpack_opencv(work / "native")
        places, environment = java.own_places(work / "tmp")
        words = [*QUICK, *places, *(f"-D{name}={value}" for name, value in settings.items())]
        for package in ("java.io", "java.lang", "java.util"):
            words += ["--add-opens", f"java.base/{package}=ALL-UNNAMED"]
        words += ["-cp", ":".join(map(str, path)), "org.paddleportage.RunAll"]
        words += [f"org.paddleportage.app.{test.stem}" for test in TESTS]
        done = _run([tools.java, java.arguments_in(work / "java.txt", words)], environment)
    said = f"status {done.returncode}: {done.stdout[-2000:]}{done.stderr[-4000:]}"
    assert "end" in done.stdout.splitlines(), said
    found = re.findall(r"^(passed|failed) \S+ (\S+) ?(.*)", done.stdout, re.M)
    return {test: None if verdict == "passed" else trace for verdict, test, trace in found}


def _key_inside(apk: Path) -> str:
    """What the app calls the key that was built into it."""
    with zipfile.ZipFile(apk) as archive:
        names = [name for name in archive.namelist() if name.startswith("assets/keys/")]
    assert len(names) == 1, "it should be built with one key: make apk SIGN=key.pem KEY=public.pem"
    return Path(names[0]).name[:12]


def _run(words: list, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess:
    return subprocess.run(
        list(map(str, words)), capture_output=True, text=True, timeout=_LIMIT, env=environment
    )


def _compile(tools: Tools, libraries: list[Path], work: Path) -> Path:
    """The app and the tests of its screens, as class files."""
    project = read_project()
    compiling.link(project, tools, work)
    engines = [java.onnx_runtime_jar(), java.opencv_jar()]
    classes = compiling.compile_java(project, tools, work, engines)
    sources = [SOURCES / "test" / "java" / "org" / "paddleportage" / "RunAll.java"]
    sources += java.sources_of(SOURCES / "screens" / "java")
    words = [tools.javac, *(f"-J{flag}" for flag in QUICK), "--release", "17", "-nowarn"]
    words += ["-encoding", "UTF-8", "-proc:none"]
    words += ["-classpath", ":".join(map(str, [classes, *libraries, tools.framework]))]
    words += ["-d", classes, *sources]
    done = _run(words)
    assert done.returncode == 0, done.stderr
    return classes


def _settings(apk: Path, work: Path) -> list[Path]:
    """A folder for the class path that tells Robolectric where the app is."""
    about = work / "settings" / "com" / "android" / "tools" / "test_config.properties"
    about.parent.mkdir(parents=True)
    (work / "assets").mkdir()
    about.write_text(
        f"android_resource_apk={apk}\nandroid_merged_assets={work / 'assets'}\n"
        f"android_merged_manifest={work / 'AndroidManifest.xml'}\n"
        f"android_custom_package={read_project().namespace}\n"
    )
    return [work / "settings"]


def _libraries(work: Path) -> tuple[list[Path], Path]:
    """Robolectric with all it needs, where Maven keeps it, and Android for it."""
    pom, listing = work / "pom.xml", work / "libraries.txt"
    pom.write_text(_POM)
    words = [shutil.which("mvn"), "-B", "-q", "-f", pom, f"-Dmdep.outputFile={listing}"]
    words += ["org.apache.maven.plugins:maven-dependency-plugin:3.8.1:build-classpath"]
    done = _run(words, os.environ | {"MAVEN_OPTS": " ".join(QUICK)})
    assert done.returncode == 0, done.stdout
    paths = sorted(map(Path, listing.read_text().strip().split(":")), key=lambda path: path.name)
    found = files.sha256_of({path.name: files.sha256(path) for path in paths})
    assert found == _LIBRARIES_SHA256, f"Robolectric's libraries are not those expected: {found}"
    name, sha256 = _ANDROID
    android = maven_artifact(*name, sha256)
    return [*(_jar(path, work) for path in paths), *java.junit_jars()], android


def _jar(path: Path, work: Path) -> Path:
    """A library as a jar: Android's own archives have theirs inside."""
    if path.suffix != ".aar":
        return path
    jar = work / f"{path.stem}.jar"
    with zipfile.ZipFile(path) as archive:
        jar.write_bytes(archive.read("classes.jar"))
    return jar


def draw_build(build: Path, out: Path) -> dict[str, str | None]:
    """`draw_screens` of the APK in a build folder, which has a package of SqueezeNet1_1."""
    package = build / "SqueezeNet1_1" / "package" / "onnx-fp32" / "SqueezeNet1_1-onnx-fp32"
    apk = build / "apk" / "paddle-portage-demo.apk"
    with tempfile.TemporaryDirectory(prefix="photo-") as folder:
        photo = write_photo(package, 3, Path(folder) / "photo.jpg")
        return draw_screens(apk.resolve(), photo, expected(package, photo), out.resolve())


def write_photo(package: Path, index: int, path: Path) -> Path:
    """A golden photo as a camera held upright stores it: lying, with a note to turn it.

    Wider than the crop, so that turning it the wrong way shows.
    """
    from PIL import Image

    facts = json.loads((package / "golden" / "golden.json").read_text())
    crops = np.fromfile(package / "golden" / "crops.bin", np.uint8).reshape(facts["shape"])
    upright = Image.fromarray(crops[index])
    grey = upright.resize((1, 1)).getpixel((0, 0))
    tall = Image.new("RGB", (upright.width, upright.height + 40), grey)
    tall.paste(upright, (0, 20))
    exif = Image.Exif()
    exif[0x0112] = 6  # turn it a quarter clockwise to see it upright
    tall.rotate(90, expand=True).save(path, quality=95, exif=exif)
    return path


def main() -> None:
    build, out = map(Path, sys.argv[1:])
    report = draw_build(build, out)
    for test, trace in sorted(report.items()):
        print(test, trace or "passed")
    sys.exit(any(report.values()))


if __name__ == "__main__":
    main()
