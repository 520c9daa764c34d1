"""The screens, used and drawn on a JVM with the APK's resources; what they say in both languages.

The Java side is android_demo/app/src/screens; Robolectric and Android for it are some 400 MB, which
Maven fetches once.
"""

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from PIL import Image

from deploy.phones.phone_result import read_result
from tests.android_demo import screens

RESOURCES = screens.SOURCES / "main" / "res"
SOURCE = "".join(path.read_text() for path in screens.TESTS)
TESTS = re.findall(r"@Test\n(?:\s+@Config.*\n)?\s+public void (\w+)", SOURCE)
PICTURES = (
    *("main", "main-zh-night-landscape", "main-large-text", "photo", "no-photo", "no-engine"),
    *(
        "damaged-model",
        "not-signed",
        "not-signed-zh-night-landscape",
        "no-permission",
        "check",
        "check-zh-night-landscape",
        "bench",
    ),
    *("bench-large-text", "bench-zh-night-landscape", "about", "about-zh-night-landscape"),
    *("list-models", "list-power", "list-power-zh-night-landscape"),
)


@pytest.fixture(scope="session")
def drawn(package_build, signing_keys, tmp_path_factory) -> tuple[dict[str, str | None], Path]:
    """What became of each Java test, and the folder of what they left."""
    for tool in ("javac", "mvn", "npm"):
        if shutil.which(tool) is None:
            pytest.skip(f"needs {tool}, which is not on this machine")
    environment = os.environ | {"BUILD_DIR": str(package_build)}
    words = [sys.executable, "deploy/apk.py", "--key", signing_keys / "own.pub"]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr
    out = tmp_path_factory.mktemp("screens")
    return screens.draw_build(package_build, out), out


def test_every_screen_is_tested():
    assert len(set(TESTS)) == SOURCE.count("@Test\n") > 0


@pytest.mark.parametrize("name", TESTS)
def test_screen(drawn, name):
    assert drawn[0][name] is None


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_shows_something(drawn, name):
    with Image.open(drawn[1] / f"{name}.png") as picture:
        if not name.startswith(("about", "list")):  # which are as large as what they say
            assert (picture.width > picture.height) == ("landscape" in name)
        assert len(picture.convert("RGB").getcolors(picture.width * picture.height)) > 50


def test_what_adb_pulls_passes_the_toolkits_gate(drawn, package_build, monkeypatch):
    monkeypatch.setenv("BUILD_DIR", str(package_build))
    folder = drawn[1] / "check"
    done = json.loads((folder / "done.json").read_text())
    assert done["files"] == [f"squeezenet1_1-{target}-fp32.json" for target in ("onnx", "opencv")]
    [error] = done["errors"]
    assert "SqueezeNet1_1-lite-arm-fp32: Paddle Lite's library is not inside" in error
    for name in done["files"]:
        outcome = read_result(folder / name)
        assert (outcome.verdict, outcome.drift.agreement) == ("pass", 1.0)
        assert outcome.drift.max_rel < 1e-4


def test_what_adb_pulls_of_the_bench_is_a_table(drawn):
    folder = drawn[1] / "bench"
    assert json.loads((folder / "done.json").read_text())["files"] == ["bench.csv"]
    with (folder / "bench.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["engine"] for row in rows] == ["onnxruntime", "opencv"]
    for row in rows:
        assert (row["model"], row["threads"], row["runs"]) == ("SqueezeNet1_1", "1", "3")
        assert 0 < float(row["median_ms"]) <= float(row["p90_ms"]) <= float(row["p99_ms"])
        assert row["note"] == "thermal none"


# ---- languages ----


def places(sentence: str) -> list[str]:
    """What is filled in, e.g. "%1$s"; in any order, since languages differ."""
    return sorted(re.findall(r"%\d\$[^a-z]*[a-z]|%%", sentence))


def texts(language: str) -> dict[str, list[str]]:
    """The strings (one each) and lists of strings of a language, by name."""
    found = {}
    for node in ElementTree.parse(RESOURCES / language / "strings.xml").getroot():
        items = [item.text for item in node] if node.tag == "string-array" else [node.text]
        found[node.get("name")] = items
    return found


def test_every_text_is_there_in_both_languages():
    english, chinese = texts("values"), texts("values-zh")
    assert english.keys() == chinese.keys()
    for name in english:
        assert [places(text) for text in english[name]] == [places(text) for text in chinese[name]]
