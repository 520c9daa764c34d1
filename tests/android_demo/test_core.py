"""The app's Java computes what the toolkit computes; JUnit and the toolkit look at it by turns."""

import csv
import dataclasses
import io
import json
import re
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from common import strict_json
from convert import lite_file
from data.preprocess import Preprocess
from deploy.phones.phone_result import FIELDS, PhoneResult, read_result
from deploy.verdict import drift, gates
from runtimes.sessions.onnx_runtime import Session
from tests.android_demo import arrays, java


@pytest.mark.parametrize("test_class", java.TEST_CLASSES)
def test_junit(junit, test_class):
    java.assert_all_pass(junit.report, test_class)


def test_json_is_what_python_reads_too(junit):
    assert json.loads((junit.out / "json.json").read_text()) == [
        'a"b\\c\n\x01é中😀',
        *(1, -0.1, 1e-7, True, None, {"k": []}, {}),
    ]


def test_the_header_of_a_model_is_what_the_toolkit_reads(junit, toolkit_data):
    found = lite_file.read(toolkit_data / "packages" / "lite-arm" / "model.nb")
    assert (junit.out / "nb.txt").read_text() == f"{found.version} {found.topology_bytes}"


def test_percentiles_are_the_toolkits(junit, latencies):
    lines = (junit.out / "latency.txt").read_text().splitlines()
    assert len(lines) == len(latencies)
    for line, sample in zip(lines, latencies, strict=True):
        expected = np.percentile(sample / 1e6, (50, 90, 99), method="inverted_cdf")
        assert np.allclose([float(word) for word in line.split()], expected, rtol=1e-12)


@pytest.mark.parametrize("name", arrays.drift_cases())
def test_a_check_has_the_toolkits_numbers_and_verdict(junit, name):
    case = arrays.drift_cases()[name]
    found = strict_json.decode(
        PhoneResult, strict_json.parse((junit.out / f"{name}.json").read_text())
    )
    with np.errstate(invalid="ignore"):
        expected = drift.measure_drift(case.reference, case.measured, case.labels)
    for side in ("reference", "measured"):
        theirs, ours = getattr(found, side), getattr(expected, side)
        assert theirs.top1 == pytest.approx(ours.top1, rel=1e-12)
        assert theirs.top5 == pytest.approx(ours.top5, rel=1e-12)
    theirs, ours = strict_json.encode(found.drift), strict_json.encode(expected.drift)
    for computed_here in ("ci95_pp", "ci_method"):
        del theirs[computed_here], ours[computed_here]
    assert theirs == pytest.approx(ours, rel=1e-12)

    decided = drift.decisions(case.measured).tolist()
    assert found.decisions == tuple(None if one < 0 else one for one in decided)
    if case.gate == "numeric":
        assert found.verdict == gates.numeric_verdict(expected).verdict
        assert found.budget == gates.numeric_verdict(expected).budget
    else:
        assert found.verdict == "undecided"
        assert found.budget.kind == "statistical"
    assert strict_json.encode(found.host) == {"name": "phone", "isa": ["arm64-v8a"]}
    assert strict_json.encode(found.environment) == {
        "device": 'Maker "Phone" 5',
        "soc": "SoC 1",
        "abi": "arm64-v8a",
        "android": "14",
        "engine": "paddle-lite",
        "versions": {"app": "0.1", "paddle-lite": "v2.14-rc"},
        "threads": 4,
        "power_mode": "high",
    }


def test_the_cases_of_drift_meet_every_verdict():
    beyond = arrays.drift_cases()["beyond"]
    found = drift.measure_drift(beyond.reference, beyond.measured, beyond.labels)
    assert found.drift.flips_beyond_tie == found.images
    assert found.drift.max_rel < gates.MAX_RELATIVE

    verdicts = {
        name: gates.numeric_verdict(drift.measure_drift(case.reference, case.measured, case.labels))
        for name, case in arrays.drift_cases().items()
        if case.gate == "numeric"
    }
    assert {name: verdict.verdict for name, verdict in verdicts.items()} == {
        **dict.fromkeys(("equal", "close", "ties"), "pass"),
        **dict.fromkeys(("far", "beyond", "broken", "zeros"), "fail"),
    }


@pytest.mark.parametrize(("target", "engine"), [("onnx", "onnxruntime"), ("opencv", "opencv")])
def test_a_result_of_a_real_model_is_imported_as_a_pass(
    junit, package_build, monkeypatch, target, engine
):
    monkeypatch.setenv("BUILD_DIR", str(package_build))
    outcome = read_result(junit.out / f"{target}-result.json")
    assert outcome.verdict == "pass"
    assert outcome.drift.agreement == 1
    assert outcome.drift.max_rel < 1e-4
    assert re.fullmatch(r"\d+\.\d+\.\d+", outcome.environment.versions[engine])


def test_the_app_writes_what_a_phones_result_has_and_no_more(junit):
    written = json.loads((junit.out / "onnx-result.json").read_text())
    assert list(written) == [
        one.name for one in dataclasses.fields(PhoneResult) if one.name in FIELDS
    ]


@pytest.mark.parametrize("target", ["onnx", "opencv"])
def test_real_photos_get_the_same_top_5_as_in_python(junit, toolkit_data, decoded, target):
    session = Session(str(toolkit_data / "packages" / target), "fp32", threads=2)
    preprocess = Preprocess()
    lines = (junit.out / f"{target}-top5.txt").read_text().splitlines()
    assert len(lines) == len(decoded) >= 50
    for line, rgb in zip(lines, decoded.values(), strict=True):
        [logits] = session.run(preprocess.normalize(preprocess.crop_photo(rgb)[None]))
        shares = np.exp(logits.astype(np.float64) - logits.max())
        shares /= shares.sum()
        top = np.argsort(-logits, kind="stable")[:5]
        words = line.split()
        assert [int(word) for word in words[::2]] == top.tolist()
        assert np.allclose([float(word) for word in words[1::2]], shares[top], atol=1e-5)


def test_a_table_of_measurements_is_read_by_another_csv_reader(junit, toolkit_data):
    text = (junit.out / "bench.csv").read_bytes().decode()
    rows = list(csv.DictReader(io.StringIO(text, newline=""), strict=True))
    manifest = json.loads((toolkit_data / "packages" / "lite-arm" / "manifest.json").read_text())
    assert len(rows) == 2
    assert rows[1] == {
        **{name: manifest[name] for name in ("model", "name", "target", "precision", "weights")},
        "engine": manifest["engine"],
        "engine_version": "v2.14-rc",
        "threads": "4",
        "power_mode": "no_bind",
        "runs": "3",
        "median_ms": "12.346",
        "p90_ms": "20.000",
        "p99_ms": "20.000",
        "note": "warm, throttled",
        "device": 'Maker, "Phone" 5',
        "soc": "SoC\n1",
        "abi": "arm64-v8a",
        "android": "14",
        "app": "0.1",
    }


def test_every_fault_is_translated_with_all_its_details():
    source = (java.SOURCES / "main/java/org/paddleportage/core/Fault.java").read_text()
    sentences = dict(re.findall(r'^    ([A-Z0-9_]+)\("(.*)"\)[,;]$', source, re.MULTILINE))
    assert len(sentences) == source.count('("') > 20
    listings = sorted((java.SOURCES / "main" / "res").glob("values*/strings.xml"))
    shown = {listing.parent.name: _faults(listing) for listing in listings}
    assert shown["values"] == {name.lower(): text for name, text in sentences.items()}
    assert len(shown) > 1
    for texts in shown.values():
        assert texts.keys() == shown["values"].keys()
        for name, text in texts.items():
            assert _places(text) == _places(shown["values"][name]), name


def _faults(listing: Path) -> dict[str, str]:
    """The sentences of a language, as Android reads them: quotes have a backslash before them."""
    return {
        node.get("name").removeprefix("fault_"): node.text.replace("\\'", "'")
        for node in ElementTree.parse(listing).iter("string")
        if node.get("name").startswith("fault_")
    }


def _places(sentence: str) -> set[str]:
    return set(re.findall(r"%\d\$s", sentence))
