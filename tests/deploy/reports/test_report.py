"""`make report`: the page, as a browser sees it, and the forms beside it."""

import csv
import json
import re
import shutil
import subprocess
import xml.etree.ElementTree as ET
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from deploy.reports.beside import markdown
from deploy.reports.figures import front
from deploy.reports.forest import Lies, budget_pp, lies
from deploy.reports.page import page
from deploy.targets import TARGETS
from deploy.verdict import result
from deploy.verdict.result import (
    Accuracy,
    Budget,
    Calibration,
    Data,
    Estimate,
    Latency,
    Published,
    PublishedLatency,
    Sensitivity,
    Size,
    Temperature,
    Unlabelled,
)
from models.registry import MODELS
from tests.conftest import assert_refused
from tests.deploy.verdict.results import a_drift, a_result

COMMAND = "deploy/report.py"
MARKUP = "<img src=x onerror=alert(1)> & [b] `c` | \x01"


def statistical(**changes):
    values = {
        "precision": "int8",
        "drift": a_drift(3, 9),
        "budget": Budget(kind="statistical", limit="top-1 loss <= 0.60 pp (1% of the reference)"),
        "verdict": "undecided",
        "reason": "more photos",
        "files": {"model.onnx": "c" * 64},
        "calibration": Calibration(method="mse", keep_float=("Conv.1",), weight_bits=8),
        "sensitivity": (Sensitivity(layer="Conv.1", operator="Conv", noise=0.01),),
        "size": Size(int8=1.3, fp32=5.0),
        "latency": {"1": Latency(median_ms=2.5, ci95_ms=(2.4, 2.6), runs=100, noisy=("others",))},
    }
    return a_result(**values | changes)


def a_run() -> list:
    """One of everything."""
    published = Published(
        gpu="T4",
        precision="fp16",
        batch={"1": PublishedLatency(ms=1.5, place="line 59", contested=("two pages differ",))},
        comparable=False,
        why="there is no GPU here",
    )
    simulated = {"execution": "simulated", "verdict": "undecided", "simulation": "pass"}
    return [
        a_result(latency={"1": Latency(median_ms=5.0, runs=100)}),
        statistical(),
        statistical(
            target="openvino",
            verdict="pass",
            drift=a_drift(0, 1),
            more=Data(name="thumbnails", images=90, sha256="b" * 64),
        ),
        statistical(target="trt-t4", precision="fp16", published=published, **simulated),
        a_result(
            target="lite-arm",
            verdict="unavailable",
            execution="none",
            drift=None,
            measured=None,
            reference=None,
            budget=None,
            reason=MARKUP,
            data=Data(name=MARKUP, images=400, sha256="a" * 64),
        ),
    ]


def many() -> list:
    """17 models, every target and precision."""
    return [
        make(model=model, name=model, target=target.name, precision=precision)
        for model in MODELS
        for target in TARGETS.values()
        for precision in target.precisions
        for make in (a_result if precision == "fp32" else statistical,)
    ]


class _Page(HTMLParser):
    """The page's ids, links, tags and text."""

    def __init__(self, text: str):
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.tags: set[str] = set()
        self.said = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.ids += [value for name, value in attrs if name == "id" and tag in ("section", "tr")]
        self.links += [value for name, value in attrs if name == "href" and tag == "a"]

    def handle_data(self, data):
        self.said += f"{data} "


@pytest.fixture(scope="module")
def whole() -> str:
    return page(a_run())


def test_every_link_leads_to_a_place_in_the_page(whole):
    found = _Page(whole)
    assert len(set(found.ids)) == len(found.ids)
    assert {link.removeprefix("#") for link in found.links} <= set(found.ids)
    assert {"verdicts", "drift", "numeric", "speed", "calibration", "results"} <= set(found.ids)


def test_nothing_in_the_page_runs_or_asks_for_anything(whole):
    assert not _Page(whole).tags & {"script", "link", "iframe", "img", "object"}
    assert "default-src 'none'" in whole
    assert set(re.findall(r"https?://[^\"' )]+", whole)) <= {
        "http://www.w3.org/2000/svg",  # names of the format of plots
        "http://www.w3.org/1999/xlink",
    }


def test_what_a_cell_says_tells_how_it_ran_without_colour(whole):
    said = " ".join(_Page(whole).said.split())
    assert "fp32 ✓ pass native" in said
    assert "fp16 ? undecided simulated, would pass" in said
    assert "fp32 – unavailable none" in said


def test_names_with_markup_are_text(whole):
    assert "<img src=x" not in whole
    assert MARKUP.split("\x01", maxsplit=1)[0] in _Page(whole).said


def test_the_head_names_all_photos_that_judged(whole):
    said = " ".join(_Page(whole).said.split())
    beside = f"and 90 of thumbnails, without labels (sha256 {'b' * 12})"
    assert f"400 of demo, labelled (sha256 {'a' * 12}) {beside}" in said


def test_contested_and_noisy_figures_are_marked(whole):
    said = " ".join(_Page(whole).said.split())
    assert "1.50* - line 59" in said
    assert "two pages differ" in said
    assert "not compared: there is no GPU here" in said
    assert "noisy: others" in said


def test_the_pareto_front_leaves_out_what_another_beats():
    assert front([(1, 0.5), (2, 0.6), (3, 0.55), (2, 0.6), (4, 0.9)]) == [0, 1, 3, 4]


def test_a_budget_is_what_the_gate_says():
    assert budget_pp(statistical()) == 0.6
    assert budget_pp(a_result()) is None
    assert budget_pp(a_result(budget=None)) is None


def test_without_labels_a_drift_lies_within_its_bound():
    labelled = statistical(drift=a_drift(0, 2, 400))
    few = dict.fromkeys(("top1_pp", "ci95_pp", "ci_method", "gained", "lost"))
    estimate = Estimate(
        top1_pp=-0.2,
        ci95_pp=(-0.9, 0.5),
        ci_method="x",
        largest_pp=3.0,
        temperature=Temperature(value=1.0, photos=0),
        verdict="undecided",
    )
    unlabelled = Unlabelled(
        images=400, changed=8, agreement_ci95=(0.9, 1.0), bound_pp=3.4, estimate=estimate
    )
    without = statistical(
        target="mnn", drift=replace(labelled.drift, **few), measured=None, unlabelled=unlabelled
    )
    assert lies(labelled) == Lies(-0.5, labelled.drift.ci95_pp)
    assert lies(without) == Lies(-0.2, (-0.9, 0.5), 3.4)
    assert lies(without).ends == (-3.4, 3.4)
    assert lies(a_result()) is None
    said = " ".join(_Page(page([labelled, without])).said.split())
    assert "agree 99.5 % agree 98.0 %" in said


def test_accuracy_is_compared_on_the_same_photos_only(whole):
    assert "top-1 against median latency" in whole
    apart = [
        statistical(data=Data(name="a", images=90, sha256=digit * 64), measured=accuracy)
        for digit, accuracy in (("a", Accuracy(top1=0.5, top5=0.6)), ("b", None))
    ]
    assert "No 30 photos have judged two results" in page(apart)


def test_few_photos_of_many_are_no_peers_of_theirs():
    few = Data(name="demo", images=8, sha256="a" * 64)
    both = [statistical(), statistical(target="mnn", data=few)]
    assert "No 30 photos have judged two results" in page(both)


def test_with_photos_of_which_some_have_no_labels_agreement_is_compared():
    quick = {"1": Latency(median_ms=1.0, runs=100)}
    both = [statistical(), statistical(target="mnn", measured=None, latency=quick)]
    text = page(both)
    assert "decisions that agree with Paddle against median latency" in text
    assert "top-1 against median latency" not in text


def test_the_command_writes_the_page_and_the_forms_beside_it(command, tmp_path, monkeypatch):
    monkeypatch.setenv("BUILD_DIR", str(tmp_path / "build"))
    for one in a_run():
        result.write(one)
    out = tmp_path / "mail" / "drift.html"
    done = command(COMMAND, "--out", out, "--also", "md,csv,junit,json")
    assert done.returncode == 0, done.stderr
    assert "5 results: 2 pass, 2 undecided, 1 unavailable; 1 of them pass as a sim" in done.stdout
    assert sorted(path.name for path in out.parent.iterdir()) == [
        *("drift.html", "junit.xml", "report.md", "results.csv", "results.json"),
    ]
    rows = list(csv.DictReader((out.parent / "results.csv").read_text().splitlines()))
    assert [(row["target"], row["verdict"]) for row in rows][:2] == [
        *(("onnx", "pass"), ("onnx", "undecided")),
    ]
    assert float(rows[1]["drift_pp"]) == -1.5
    suite = ET.parse(out.parent / "junit.xml").getroot()[0]
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("5", "0", "3")
    again = command(COMMAND, "--against", out.parent / "results.json", "--fail-on", "regression")
    assert again.returncode == 0, again.stderr
    assert "nothing got worse" in again.stdout
    assert (tmp_path / "build" / "report.html").exists()


def test_photos_are_in_the_page_on_request_only(command, tmp_path, monkeypatch, photos):
    monkeypatch.setenv("BUILD_DIR", str(tmp_path / "build"))
    result.write(a_result())
    assert command(COMMAND).returncode == 0
    place = tmp_path / "build" / "report.html"
    assert "<img" not in place.read_text()
    there = sorted((photos(20) / "images").iterdir())[:30]
    known = {"model": "M", "target": "onnx", "precision": "int8", "old": 1, "old_probability": 0.9}
    decided = {"new": 2, "new_class": "<b>", "new_probability": 0.05, "margin": 0.1}
    rows = [{**known, "path": str(path), **decided} for path in there]
    rows.append({**rows[0], "target": "mnn", "new": 3, "new_class": None, "label": 3})
    rows[1] = {**known, "path": str(tmp_path / "gone.jpg")}
    changes = tmp_path / "changes.json"
    changes.write_text(json.dumps(rows))
    done = command(COMMAND, "--changes", changes)
    assert done.returncode == 0, done.stderr
    text = place.read_text()
    assert text.count("data:image/jpeg;base64,") == 23
    said = " ".join(_Page(text).said.split())
    assert "24 of 30 photos, those first" in said
    both = "onnx int8: <b> (5 %) mnn int8: class 3 (5 %, right)"
    assert f"M: class 1 (90 %) {both}" in said
    assert "cannot be read any more" in said
    assert "no decision: a logit is not finite" in said
    assert str(tmp_path) not in text


def test_a_regression_fails_on_request(command, tmp_path, monkeypatch):
    monkeypatch.setenv("BUILD_DIR", str(tmp_path / "build"))
    result.write(a_result(verdict="fail"))
    before = tmp_path / "before.json"
    before.write_text(json.dumps(result.encode(a_result())))
    done = command(COMMAND, "--against", before)
    assert done.returncode == 0, done.stderr
    assert "worse: SqueezeNet1_1 onnx fp32: pass to fail" in done.stdout
    done = command(COMMAND, "--against", before, "--fail-on", "regression", "--also", "junit,md")
    assert done.returncode == 1, done.stderr
    suites = ET.parse(tmp_path / "build" / "junit.xml").getroot()
    assert [suite.get("name") for suite in suites] == ["SqueezeNet1_1", "regressions"]
    assert "| worse | SqueezeNet1\\_1 onnx fp32 | pass to fail |" in (
        tmp_path / "build" / "report.md"
    ).read_text(encoding="utf-8")


def test_noise_is_no_regression(command, tmp_path, monkeypatch):
    monkeypatch.setenv("BUILD_DIR", str(tmp_path / "build"))
    now = statistical(
        drift=a_drift(3, 12),
        latency={"1": Latency(median_ms=2.7, ci95_ms=(2.65, 2.75), runs=100)},
    )
    result.write(now)
    before = tmp_path / "before.json"
    before.write_text(json.dumps(result.encode(statistical())))
    done = command(COMMAND, "--against", before, "--fail-on", "regression")
    assert done.returncode == 0, done.stderr
    assert "nothing got worse" in done.stdout
    text = (tmp_path / "build" / "report.html").read_text()
    assert "0 worse, 0 better, 0 appeared, 0 went, 1 same" in text
    assert str(tmp_path) not in text


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "there are no results to report on"),
        (["--out", "page.pdf"], "name a file that ends with .html"),
        (["--fail-on", "regression"], "name the other one with --against"),
        (["--fail-on", "drift"], "unknown 'drift'"),
        (["--against", "absent.json"], "absent.json: there is no such file or folder"),
        (["--changes", "absent.json"], "absent.json is no file of changed decisions"),
        (["--also", "pdf"], "unknown 'pdf'"),
        (["--model", "NoSuch"], "unknown model 'NoSuch'"),
    ],
)
def test_bad_input_is_a_sentence(command, words, said):
    assert_refused(command(COMMAND, *words), said)


def test_markdown_takes_no_markup_from_names():
    text = markdown(a_run(), None)
    assert "\\<img src=x" in text
    assert "\\|" in text
    assert "<img" not in text.replace("\\<img", "")


chromium = shutil.which("chromium")


def opened(file: Path) -> tuple[subprocess.CompletedProcess, set[str]]:
    """A page in a browser without a way out, and the addresses that it, not the browser, asked."""
    profile, log = file.with_suffix(".profile"), file.with_suffix(".log")
    done = subprocess.run(
        [
            *(chromium, "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr"),
            *("--no-first-run", "--proxy-server=http://127.0.0.1:1", f"--user-data-dir={profile}"),
            *(f"--log-net-log={log}", "--dump-dom", file.as_uri()),
        ],
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    asked = re.findall(
        r'"initiator":"(?!not an origin")[^\n]*"url":"(\w+://[^"]*)"', log.read_text()
    )
    return done, {one for one in asked if not one.startswith("file:")}


@pytest.mark.skipif(not chromium, reason="no chromium (Debian: chromium)")
def test_a_browser_shows_it_and_asks_nobody(tmp_path):
    planted = tmp_path / "planted.html"
    planted.write_text('<img src="http://planted.invalid/x.png"><script>undefinedCall()</script>')
    done, asked = opened(planted)
    assert asked == {"http://planted.invalid/x.png"}
    assert "CONSOLE" in done.stderr
    file = tmp_path / "report.html"
    file.write_text(page(many()), encoding="utf-8")
    assert file.stat().st_size < 5e6
    done, asked = opened(file)
    found = _Page(done.stdout)
    assert {"verdicts", "drift", "numeric", "speed", "calibration", "results"} <= set(found.ids)
    assert "CONSOLE" not in done.stderr
    assert asked == set()
