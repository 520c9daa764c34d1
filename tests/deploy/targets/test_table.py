"""The table drives everything: a target that is defined in one place is found in all of them."""

import dataclasses
import json
import re
import sys

import pytest

from common.errors import UserError
from deploy import apk, benchmark, build, doctor, matrix, package, phone, validate
from deploy.packages.making import packages_here
from deploy.packages.package import content_folder
from deploy.targets import TARGETS, find_cells
from runtimes.environments import ENVIRONMENTS
from runtimes.hosts.local import Local
from runtimes.session_pool import NATIVE
from tests.deploy.targets.fake import Fake
from tests.test_readme import missing_targets

MODEL = "SqueezeNet1_1"


@pytest.fixture(scope="module")
def fake():
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(TARGETS, Fake.name, Fake())
        yield TARGETS[Fake.name]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        made = tmp_path_factory.mktemp("build")
        patch.setenv("BUILD_DIR", str(made))
        yield made


@pytest.fixture
def say(monkeypatch, capsys):
    """Run a command in this process; returns its status and what it printed."""

    def run(module, *words) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", [f"{module.__name__}.py", *map(str, words)])
        try:
            status = module.main()
        except SystemExit as end:  # --help
            status = end.code
        return status, capsys.readouterr().out

    return run


@pytest.mark.parametrize("command", [build, validate, matrix, package, benchmark, apk])
def test_help_names_it_and_its_precisions(say, fake, command):
    status, text = say(command, "--help")
    assert status == 0
    assert re.search(rf"{fake.name} +{fake.summary}", text)
    assert re.search(r"fp32, [a-z0-9, ]*fp4; repeatable", " ".join(text.split()))
    assert f"guess for {fake.name}" in " ".join(text.split())


def test_the_apps_precisions_are_those_of_its_targets(say, fake):
    assert "only fp32, fp16, int8, fp4" in " ".join(say(phone, "--help")[1].split())


def test_doctor_shows_its_tools_and_where_it_runs(say, fake):
    _, text = say(doctor)
    assert re.search(r"^rich +[\d.]+ +for fake +ok \(.venv\)", text, re.M)
    assert re.search(r"^fake +fp4 +board +none +no board is here", text, re.M)


def test_matrix_has_its_verdict_and_its_costs(say, fake, folder, weights, photos):
    words = ("--model", MODEL, "--weights", weights, "--target", "fake", "--data", photos(4))
    status, text = say(matrix, *words)
    assert status == 3
    verdicts, steps, sizes = re.split("^Steps.*|^Files.*", text, flags=re.M)
    assert re.search(rf"fake fp32 +fake fp4\s+{MODEL} +unavailable +unavailable", verdicts)
    assert re.search(rf"inference +fake +peak MiB\s+{MODEL} +[\d.]+ +0\.0 +\d+", steps)
    assert re.search(rf"inference +fake\s+{MODEL} +4\.9 +0\.0\n", sizes)


def test_benchmark_times_it_and_its_peer(say, fake, folder, weights):
    words = ("--target", "fake", "--precision", "fp4", "--batch", "2", "--limit", "0", "--peers")
    status, text = say(benchmark, "--model", MODEL, "--weights", weights, *words, "--json")
    assert status == 0
    outcome = json.loads(text)
    assert list(outcome["latency"]) == ["2"]
    peer = outcome["peers"]["2"]["the maker's own tool"]
    assert peer["verdict"] == "first is faster"
    assert peer["second_ms"] == 1000


def test_the_app_gets_its_package(say, fake, folder, weights, photos):
    words = ("--target", "fake", "--precision", "fp4", "--data", photos(4))
    assert say(package, "--model", MODEL, "--weights", weights, *words)[0] == 0
    (found,) = packages_here(["fp4"], MODEL)
    about = json.loads((content_folder(found) / "manifest.json").read_text())
    assert (about["engine"], about["engine_version"]) == ("fake-engine", "v1000")
    assert "model.fake" in about["files"]


def test_the_readme_misses_it(fake):
    assert missing_targets() == [["`fake/<precision>/model.fake`", "fp32, fp4", "a fake board"]]


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
def test_what_is_native_here_has_this_host(target):
    executions = {target.session_spec(precision).execution for precision in target.precisions}
    assert Local.name in target.hosts or NATIVE not in executions


@pytest.mark.parametrize(
    ("names", "precisions", "cells"),
    [
        (["onnx", "openvino"], ["fp32", "bf16"], "onnx fp32, openvino fp32, openvino bf16"),
        (["paddle", "openvino"], ["bf16"], "openvino bf16"),
        (["onnx", "openvino"], ["fp16"], "onnx fp16, openvino fp16"),
    ],
)
def test_a_precision_counts_for_the_targets_that_have_it(names, precisions, cells):
    found = find_cells(names, precisions)
    assert ", ".join(f"{target.name} {precision}" for target, precision in found) == cells


def test_a_precision_that_no_named_target_has_is_refused():
    with pytest.raises(UserError, match="target onnx or paddle has no precision 'bf16'; choose"):
        find_cells(["onnx", "paddle"], ["fp32", "bf16"])


def test_doctor_says_what_to_do_where_something_required_is_missing(say, monkeypatch):
    main = dataclasses.replace(ENVIRONMENTS["main"], folder=".venv-of-nobody")
    monkeypatch.setitem(ENVIRONMENTS, "main", main)
    status, text = say(doctor)
    assert status == 1
    assert text.splitlines()[-1] == "Next: .venv-of-nobody is not there yet; run: make setup"
