"""`python deploy/validate.py --import`: phones' results, judged by their numbers."""

import dataclasses
import json
import re

import numpy as np
import pytest

from common import files
from common.errors import UserError
from common.strict_json import encode
from common.version import VERSION
from deploy.phones.phone_result import beside, import_results
from deploy.targets.lite_arm import LiteArm
from deploy.verdict import drift, gates, result, tables
from tests.conftest import assert_refused
from tests.deploy.verdict.results import a_result

MODEL = "SqueezeNet1_1"
WHOLE = {"model": MODEL, "key": "k", "facts": {}}  # what every manifest has


def phones_words(images: int = 4) -> dict:
    """A result as the app writes it, of a phone that computes what the toolkit does."""
    return {
        "schema": 2,
        "model": MODEL,
        "name": MODEL,
        "target": "lite-arm",
        "precision": "fp32",
        "weights": "demo",
        "host": {"name": "phone", "isa": ["arm64-v8a"]},
        "execution": "native",
        "files": {"model.nb": "b" * 64},
        "verdict": "pass",
        "reason": "4 of 4 decisions agree",
        "data": {"name": "demo", "images": images, "sha256": "a" * 64},
        "reference": {"runtime": "paddle", "top1": 0.75, "top5": 1.0},
        "measured": {"top1": 0.75, "top5": 1.0},
        "drift": {
            "top1_pp": 0.0,
            "agreement": 1.0,
            "gained": 0,
            "lost": 0,
            "flips_beyond_tie": 0,
            "max_abs": 1e-5,
            "max_rel": 4e-7,
            "non_finite": 0,
            "non_finite_photos": 0,
        },
        "decisions": [7, 8, 9, 10][:images],
        "budget": {"kind": "numeric", "limit": "relative logit difference <= 1e-03"},
        "latency": {"1": {"median_ms": 20.1, "p90_ms": 21.0, "p99_ms": 25.2, "runs": 200}},
        "environment": {
            "device": "Maker Phone [red] 8",
            "soc": "unknown",
            "abi": "arm64-v8a",
            "android": "14",
            "engine": "paddle-lite",
            "versions": {"app": "1.0", "paddle-lite": "v2.14-rc"},
            "threads": 4,
            "power_mode": "high",
        },
    }


def changed(path: str, value) -> dict:
    """The sound result with one field, named with dots, set to a value (... removes it)."""
    found = phones_words()
    *way, last = re.split(r"\.(?!nb$)", path)  # model.nb is a name
    inner = found
    for name in way:
        inner = inner[name]
    if value is ...:
        del inner[last]
    else:
        inner[last] = value
    return found


def built_file(folder, content: bytes = b"a model") -> str:
    """Make the folder a whole artifact with this `model.onnx`; returns the file's sha256."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "model.onnx"
    path.write_bytes(content)
    digest = files.sha256(path)
    fact = {"bytes": len(content), "sha256": digest, "stamp": files.stamp(path)}
    files.write_json(folder / "manifest.json", WHOLE | {"files": {path.name: fact}})
    return digest


@pytest.fixture
def take_in(tmp_path, build_folder):
    """Import one result: a value, or a file's text."""

    def take_in(content):
        path = tmp_path / "result.json"
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        [outcome] = import_results([path])
        return outcome

    return take_in


def test_a_phones_result_is_kept_beside_those_of_the_toolkit(take_in, build_folder, capsys):
    digest = built_file(build_folder / MODEL / "onnx" / "fp32")
    own = a_result(model=MODEL, weights="demo", files={"model.onnx": digest})
    result.write(own)
    result.write(dataclasses.replace(own, precision="fp16", weights="official"))
    outcome = take_in(phones_words())
    folder = build_folder / MODEL / "results"
    assert result.read(folder / "lite-arm-fp32-Maker-Phone-red-8.json") == outcome
    assert result.read(folder / "onnx-fp32.json") == own
    assert (outcome.verdict, outcome.toolkit) == ("pass", VERSION)
    assert outcome.drift.ci95_pp[0] < 0 < outcome.drift.ci95_pp[1]

    table = beside([outcome])
    assert [one.target for one in table] == ["lite-arm", "onnx"]  # of the same weights
    tables.show(table)
    said = capsys.readouterr()
    assert "lite-arm (Maker Phone [red] 8)" in said.out
    assert "not shown" not in said.err

    # Another file takes its place: what was measured of the old one is not shown beside it.
    built_file(build_folder / MODEL / "onnx" / "fp32", b"another")
    assert beside([outcome]) == [outcome]
    assert "of files that are not here any more: 1" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("drift.max_rel", 0.002, "0.002 exceeds 1e-03"),
    ],
)
def test_the_numbers_decide_and_not_the_phones_word(take_in, capsys, path, value, words):
    outcome = take_in(changed(path, value))
    assert outcome.verdict == "fail"
    assert "the phone said pass, but" in outcome.reason
    assert words in outcome.reason
    assert "its numbers say fail" in capsys.readouterr().err


def test_a_phone_that_doubts_itself_without_cause_is_told_so_too(take_in):
    outcome = take_in(changed("verdict", "fail"))
    assert outcome.verdict == "pass"
    assert outcome.reason.startswith("the phone said fail, but")


def test_reduced_precision_is_judged_by_the_interval(take_in, tmp_path, monkeypatch):
    monkeypatch.setattr(LiteArm, "precisions", ("fp32", "int8"))
    told = changed("precision", "int8") | {"verdict": "undecided"}
    outcome = take_in(told)
    assert outcome.verdict == "undecided"
    assert outcome.budget.kind == "statistical"
    assert import_results([tmp_path / "result.json"], budget_pp=100)[0].verdict == "pass"


# ---- damaged and foreign files ----

SOUND = json.dumps(phones_words())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "not JSON"),
        ("hello", "not JSON"),
        (SOUND[: len(SOUND) // 2], "cut short"),
        ("[" * 100_000, "not JSON"),
        (SOUND.replace('"lite-arm"', '{"a":' * 900 + "1" + "}" * 900), "nested too deeply"),
        (SOUND.replace('"lite-arm"', "[" * 900 + "]" * 900), "nested too deeply"),
        (SOUND.replace("4e-07", "NaN"), "NaN is not a number"),
        (SOUND.replace("4e-07", "-Infinity"), "-Infinity is not a number"),
        (SOUND.replace("4e-07", "1e999"), "drift.max_rel is inf: it should be a finite number"),
        (SOUND.replace("4e-07", "9" * 5000), "not JSON"),
        (
            SOUND.replace("4e-07", '"4e-07"'),
            "drift.max_rel is '4e-07': it should be",
        ),
        (SOUND.replace('{"schema"', '{"schema": 2, "schema"'), "'schema' stands there twice"),
        ("[]", r"it is \[\]: it should be an object"),
        (" " * (1 << 25), "too large"),
    ],
)
def test_what_is_no_result_is_refused(take_in, build_folder, text, words):
    with pytest.raises(UserError, match=words) as error:
        take_in(text)
    assert "result.json: " in str(error.value)
    assert "\n" not in str(error.value)
    assert not build_folder.exists()


def test_bytes_that_are_no_text_are_refused(tmp_path):
    path = tmp_path / "result.json"
    path.write_bytes(b"\xff\xd8\xff\xe0 a photo")
    with pytest.raises(UserError, match="not JSON"):
        import_results([path])
    with pytest.raises(UserError, match="no such file"):
        import_results([tmp_path / "absent.json"])


def leaves(value: dict, prefix: str = "") -> list[str]:
    """The dotted names of everything in a JSON object."""
    names = []
    for name, inner in value.items():
        names.append(f"{prefix}{name}")
        if isinstance(inner, dict):
            names += leaves(inner, f"{prefix}{name}.")
    return names


OPTIONAL = ("latency", "latency.1", "environment.power_mode")


@pytest.mark.parametrize("name", leaves(phones_words()))
def test_every_field_is_required_and_of_its_kind(take_in, name):
    if not (name in OPTIONAL or name.startswith(("environment.versions.", "files."))):
        with pytest.raises(UserError, match=f"{name} is missing"):
            take_in(changed(name, ...))
    for wrong in (None, True, [True], "\x1b[2J"):
        with pytest.raises(UserError, match=f"{name} is "):
            take_in(changed(name, wrong))


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("schema", 1, "schema is 1, not 2, .*; make the app anew .*; export the result"),
        ("schema", 2.0, "schema is 2.0, not 2"),
        ("model", "SqueezNet1_1", "did you mean SqueezeNet1_1"),
        ("model", "../../evil", "model is '../../evil', which is unknown"),
        ("target", "openvino", "target is 'openvino', not onnx or opencv or lite-arm"),
        ("precision", "int3", "precision is 'int3'; lite-arm has fp32"),
        ("verdict", "unavailable", "verdict is 'unavailable'"),
        ("execution", "simulated", "execution is 'simulated': it should be 'native'"),
        ("extra", 1, "'extra' is unknown"),
        ("toolkit", "0.1", "'toolkit' is unknown"),
        ("published", {}, "'published' is unknown"),
        ("host.name", "local", "host.name is 'local'"),
        ("files", {}, "files names nothing, not model.nb alone"),
        ("files", {"model.onnx": "b" * 64}, "files names 'model.onnx', not model.nb alone"),
        ("files", {"model.nb": "b" * 63}, "files.model.nb is 'bbb"),
        ("drift.extra", 1, "drift.'extra' is unknown"),
        ("data.images", 0, "data.images is 0"),
        ("data.images", 5, "decisions has 4 entries for 5 photos"),
        ("data.sha256", "a" * 63, "data.sha256 is"),
        ("measured.top1", 1.5, "measured.top1 is 1.5: it should be less than or equal to 1"),
        ("measured.top1", 0.5, "measured.top1 contradicts"),
        ("drift.lost", 1, "drift.top1_pp contradicts"),
        ("drift.flips_beyond_tie", 1, "drift.agreement leaves fewer"),
        ("drift.non_finite", 3, "drift.non_finite contradicts decisions"),
        ("drift.non_finite_photos", 1, "drift.non_finite_photos contradicts"),
        ("decisions", [7, 8, 9, None], "drift.non_finite_photos contradicts"),
        ("environment.device", "///", "environment.device has no letter"),
        ("latency.1.p99_ms", ..., "latency.1.p99_ms is missing"),
    ],
)
def test_what_cannot_be_is_refused_by_name(take_in, build_folder, path, value, words):
    with pytest.raises(UserError, match=words):
        take_in(changed(path, value))
    assert not build_folder.exists()


def test_nothing_is_kept_unless_all_files_are_sound(tmp_path, build_folder):
    good, bad = tmp_path / "good.json", tmp_path / "bad.json"
    good.write_text(SOUND)
    bad.write_text(SOUND[:-1])
    with pytest.raises(UserError, match=r"bad\.json"):
        import_results([good, bad])
    assert not build_folder.exists()


# ---- against the package ----


@pytest.fixture(scope="module")
def package(session_command, built, weights, photos):
    """The folder of a package of four photos, as a phone has it."""
    done = session_command(
        *("deploy/package.py", "--model", MODEL, "--weights", weights, "--target", "onnx"),
        *("--data", photos(4)),
        BUILD_DIR=built,
    )
    assert done.returncode == 0, done.stderr
    return built / MODEL / "package" / "onnx-fp32" / f"{MODEL}-onnx-fp32"


@pytest.fixture
def unlabelled(command, built, weights, photos, tmp_path):
    """The same of four photos without labels, of a build of its own."""
    flat = tmp_path / "field"
    flat.mkdir()
    for path in sorted((photos(4) / "images").iterdir())[:4]:
        (flat / path.name).symlink_to(path)
    done = command(
        *("deploy/package.py", "--model", MODEL, "--weights", weights, "--target", "onnx"),
        *("--name", "unlabelled", "--data", flat),
        BUILD_DIR=built,
    )
    assert done.returncode == 0, done.stderr
    assert "field: 4 photos without labels" in done.stderr
    return built / "unlabelled" / "package" / "onnx-fp32" / "unlabelled-onnx-fp32"


def checked_on_a_phone(package, change=lambda logits: logits) -> dict:
    """What a phone's check screen makes of a package, where its logits are these."""
    manifest = files.read_json(package / "manifest.json")
    golden = files.read_json(package / "golden" / "golden.json")
    reference = np.fromfile(package / "golden" / "logits.bin", "<f4").reshape(golden["count"], -1)
    measured = change(reference.copy())
    found = drift.measure_drift(reference, measured, np.array(golden["labels"]))
    told = {name: encode(getattr(found, name)) for name in ("reference", "measured", "drift")}
    del told["drift"]["ci95_pp"], told["drift"]["ci_method"]
    verdict = gates.numeric_verdict(found)
    return {
        **phones_words(),
        **{name: manifest[name] for name in ("model", "target", "precision", "weights", "data")},
        **told,
        "files": {"model.onnx": manifest["files"]["model.onnx"]["sha256"]},
        "verdict": verdict.verdict,
        "reason": verdict.reason,
        "decisions": [None if one < 0 else one for one in drift.decisions(measured).tolist()],
    }


def test_a_check_of_the_package_that_is_here(package, command, built, tmp_path):
    exported = tmp_path / "phone.json"
    exported.write_text(json.dumps(checked_on_a_phone(package)))
    done = command("deploy/validate.py", "--import", exported, BUILD_DIR=built)
    assert done.returncode == 0, done.stderr
    row = next(line for line in done.stdout.splitlines() if "Maker Phone" in line)
    assert row.split()[-1] == "pass"
    assert "on trust" not in done.stderr

    def zeros(logits):
        logits[:] = 0
        return logits

    def broken(logits):
        logits[1, 5:8] = np.nan
        return logits

    for change, words in ((zeros, "exceeds"), (broken, "3 non-finite logits")):
        exported.write_text(json.dumps(checked_on_a_phone(package, change)))
        done = command("deploy/validate.py", "--import", exported, "--json", BUILD_DIR=built)
        assert done.returncode == 1, done.stderr
        assert json.loads(done.stdout)["verdict"] == "fail"
        assert words in json.loads(done.stdout)["reason"]

    refused = command("deploy/validate.py", "--import", exported, "--target", "onnx")
    assert_refused(refused, "--import", "leave out --target")


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("weights", "demo", "weights is demo, in the package that is here"),
        ("files", {"model.onnx": "c" * 64}, "model.onnx is cccc.*, in the package that is here"),
        ("data", {"name": "x", "images": 4, "sha256": "b" * 64}, "data.sha256 is bbbb"),
        ("decisions", [1, 2, 3, 1000], "decisions names classes beyond 999"),
        ("decisions", [None] * 4, "contradicts the other numbers"),
    ],
)
def test_a_check_of_something_else_is_refused(
    package, built, tmp_path, monkeypatch, field, value, words
):
    monkeypatch.setenv("BUILD_DIR", str(built))
    exported = tmp_path / "phone.json"
    exported.write_text(json.dumps(checked_on_a_phone(package) | {field: value}))
    with pytest.raises(UserError, match=words):
        import_results([exported])


def test_a_change_that_no_tie_explains_cannot_be_kept_silent(package, built, tmp_path, monkeypatch):
    monkeypatch.setenv("BUILD_DIR", str(built))

    def swap(logits):
        first, second = np.argsort(logits[0])[[-1, -2]]
        logits[0, [first, second]] = logits[0, [second, first]]
        return logits

    told = checked_on_a_phone(package, swap)
    assert told["drift"]["flips_beyond_tie"] == 1  # the lead is what the photo moved by: no tie
    told["drift"]["flips_beyond_tie"] = 0
    exported = tmp_path / "phone.json"
    exported.write_text(json.dumps(told))
    with pytest.raises(UserError, match="flips_beyond_tie contradicts"):
        import_results([exported])


def test_photos_without_labels_are_compared_by_their_decisions(
    unlabelled, built, monkeypatch, tmp_path
):
    monkeypatch.setenv("BUILD_DIR", str(built))
    golden = files.read_json(unlabelled / "golden" / "golden.json")
    logits = np.fromfile(unlabelled / "golden" / "logits.bin", "<f4").reshape(4, -1)
    assert (golden["labelled"], golden["labels"]) == (False, logits.argmax(1).tolist())
    assert "4 golden photos (which have no labels: " in (unlabelled / "MODEL_CARD.md").read_text()

    def other_decision(logits):
        logits[0, logits[0].argmin()] = 2 * logits[0].max()
        return logits

    for change, verdict, agreement in ((np.copy, "pass", 1), (other_decision, "fail", 0.75)):
        path = tmp_path / "result.json"
        phones = checked_on_a_phone(unlabelled, change) | {"name": "unlabelled"}
        phones["data"].pop("labelled")  # which the app does not repeat
        path.write_text(json.dumps(phones))
        [found] = import_results([path])
        assert (found.verdict, found.drift.agreement) == (verdict, agreement)
        assert found.reference is found.measured is found.drift.top1_pp is found.drift.lost is None
