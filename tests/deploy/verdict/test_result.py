"""The typed result: written and read back, refused by name, kept, shown; and its documentation."""

import dataclasses
import json
import re
import types
import typing
from collections.abc import Iterator, Mapping

import pytest

from common import files
from common.cli import Exit
from common.paths import ROOT
from common.strict_json import FormError, decode, encode, parse
from deploy.phones.phone_result import FIELDS, PhoneResult
from deploy.verdict import result, tables
from deploy.verdict.result import (
    Calibration,
    CalibrationPhotos,
    Costs,
    Data,
    Environment,
    Estimate,
    Latency,
    Mistake,
    Powered,
    Published,
    PublishedLatency,
    Result,
    Sensitivity,
    Served,
    Size,
    Speed,
    Temperature,
    Unlabelled,
)
from tests.deploy.verdict.results import a_drift, a_result

SPEED = Speed(int8_ms=1.0, fp32_ms=2.0, ratio=2.0, ci95=(1.9, 2.1), advice="INT8 is faster")
FULL = a_result(
    precision="int8",
    simulation="pass",
    more=Data(name="others", images=1600, sha256="e" * 64),
    unlabelled=Unlabelled(
        images=2000,
        changed=30,
        agreement_ci95=(0.978, 0.99),
        bound_pp=2.2,
        expected_top1=0.6,
        estimate=Estimate(
            top1_pp=-0.2,
            ci95_pp=(-0.5, -0.1),
            ci_method="Stringer bound",
            largest_pp=80.0,
            temperature=Temperature(value=1.1, photos=400, error_at_one=0.05, error=0.03),
            verdict="pass",
        ),
        powered=Powered(top1_pp=-0.3, ci95_pp=(-0.9, 0.3), ci_method="normal", used=True),
    ),
    decisions=(1, None, 3),
    served=Served(
        url="grpc://host:8001",
        server="triton",
        model="SqueezeNet1_1",
        takes="photos",
        retried=2,
        mistake=Mistake(words="BGR for RGB", tried=23, explained=22),
    ),
    build_report="built ahead of time",
    files={"model.onnx": "c" * 64},
    kernel_precisions={"int8": 26, "any": 4},
    calibration=Calibration(
        method="mse",
        keep_float=("Conv.1",),
        weight_bits=8,
        photos=CalibrationPhotos(name="demo", images=23, sha256="d" * 64, split="apart"),
    ),
    latency={"1": Latency(median_ms=2.0, runs=100, ci95_ms=(1.9, 2.1), noisy=())},
    published=Published(
        gpu="T4",
        precision="fp16",
        batch={"1": PublishedLatency(ms=1.5, place="line 59", ratio=1.3)},
        comparable=True,
    ),
    chosen=True,
    sensitivity=(Sensitivity(layer="Conv.1", operator="Conv", noise=0.1),),
    all_int8=Costs(size=Size(int8=1.0, fp32=4.0)),
    size=Size(int8=1.2, fp32=4.0),
    speed=SPEED,
)


@pytest.mark.parametrize("one", [a_result(), FULL])
def test_what_is_written_is_read_again(one, build_folder):
    result.write(one)
    assert result.kept(one.model) == [one]
    assert parse(json.dumps(encode(one))) == encode(one)


def test_what_is_absent_is_left_out_and_fields_keep_their_order():
    written = encode(a_result(reference=None, measured=None, drift=None, budget=None))
    assert "null" not in json.dumps(written)
    assert list(written) == [
        *("schema", "toolkit", "model", "name", "target", "precision", "weights", "host"),
        *("execution", "data", "verdict", "reason", "environment"),
    ]
    assert list(encode(FULL)) == [field.name for field in dataclasses.fields(Result)]
    assert encode(FULL)["decisions"] == [1, None, 3]


def test_a_result_cannot_be_changed_nor_be_wrong():
    one = a_result()
    with pytest.raises(dataclasses.FrozenInstanceError):
        one.verdict = "fail"
    with pytest.raises(ValueError, match="agreement"):
        a_drift(agreement=1.5)


def changed(path: str, value) -> dict:
    """A full result as JSON with one field, named with dots, set to a value (...: removed)."""
    found = encode(FULL)
    *way, last = path.split(".")
    inner = found
    for name in way:
        inner = inner[name]
    if value is ...:
        del inner[last]
    else:
        inner[last] = value
    return found


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("toolkit", ..., "toolkit is missing"),
        ("files", {"model.onnx": "c" * 63}, "files.model.onnx is 'ccc"),
        ("files", ["c" * 64], "files is "),
        ("kernel_precisions.int8", 0, "kernel_precisions.int8 is 0"),
        ("drift.agreement", ..., "drift.agreement is missing"),
        ("unlabelled.bound_pp", ..., "unlabelled.bound_pp is missing"),
        ("unlabelled.estimate.temperature.value", 0, "temperature.value is 0"),
        ("latency.1.median_ms", ..., "latency.1.median_ms is missing"),
        ("published.batch.1.place", ..., "published.batch.1.place is missing"),
        ("drifft", 1, "'drifft' is unknown"),
        ("drift.flips", 1, "drift.'flips' is unknown"),
        ("latency.one", {}, "latency.one is"),
        ("latency.1.median_ms", "2", "latency.1.median_ms is '2'"),
        ("latency", None, "latency is null"),
        ("drift.ci95_pp", [0.0], "drift.ci95_pp is"),
        ("drift.gained", 1.0, "drift.gained is 1.0"),
        ("chosen", 1, "chosen is 1"),
        ("host.isa", ["avx2", 3], r"host.isa is \['avx2', 3\]: .* \(entry 1\)"),
        ("sensitivity", [{"layer": 3}], r"sensitivity\[0\].layer is 3"),
        ("sensitivity", [{"layer": "x"}], r"sensitivity\[0\].operator is missing"),
        ("sensitivity", [3], r"sensitivity is \[3\]: .* \(entry 0\)"),
        ("verdict", "good", "verdict is 'good'"),
        ("schema", 3, "schema is 3"),
    ],
)
def test_what_does_not_fit_is_an_error_that_names_it(path, value, words):
    with pytest.raises(FormError, match=words):
        decode(Result, changed(path, value))


def test_results_of_an_older_toolkit_are_left_out_and_asked_for_again(build_folder, capsys):
    result.write(a_result())
    folder = build_folder / "SqueezeNet1_1" / "results"
    files.write_json(folder / "lite-arm-fp32.json", encode(a_result()) | {"schema": 1})
    (folder / "openvino-fp32.json").write_text('{"schema": 2,')
    assert result.kept("SqueezeNet1_1") == [a_result()]
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 2
    assert "lite-arm-fp32.json is left out: schema is 1, not 2" in said[0]
    assert "openvino-fp32.json is left out: not JSON, or cut short" in said[1]
    assert all("make it again: make validate MODEL=SqueezeNet1_1" in line for line in said)


def test_a_simulation_that_passes_counts_where_it_is_accepted():
    one = a_result(execution="simulated", verdict="unavailable", simulation="pass")
    assert result.exit_status([one], accept_simulated=False) == Exit.UNDECIDED
    assert result.exit_status([one], accept_simulated=True) == Exit.OK
    broken = dataclasses.replace(one, verdict="fail", simulation="fail")
    assert result.exit_status([one, broken], accept_simulated=True) == Exit.BROKEN
    assert result.exit_status([], accept_simulated=True) == Exit.UNDECIDED


def test_an_estimate_counts_where_it_is_accepted():
    def one(verdict: str, **changes):
        estimate = dataclasses.replace(FULL.unlabelled.estimate, verdict=verdict)
        unlabelled = dataclasses.replace(FULL.unlabelled, estimate=estimate)
        return a_result(verdict="undecided", unlabelled=unlabelled, **changes)

    assert result.exit_status([one("pass")], False) == Exit.UNDECIDED
    assert result.exit_status([one("pass")], False, accept_estimated=True) == Exit.OK
    assert result.exit_status([one("fail")], False) == Exit.UNDECIDED
    assert result.exit_status([one("fail")], False, accept_estimated=True) == Exit.BROKEN
    assert result.exit_status([one("undecided")], False, accept_estimated=True) == Exit.UNDECIDED
    simulated = one("pass", execution="simulated", simulation="undecided")
    assert result.exit_status([simulated], False, accept_estimated=True) == Exit.UNDECIDED
    assert result.exit_status([simulated], True, accept_estimated=True) == Exit.OK
    failed = dataclasses.replace(one("pass"), verdict="fail")
    assert result.exit_status([failed], False, accept_estimated=True) == Exit.BROKEN


def test_the_table_says_what_did_not_pass_and_where(capsys):
    phone = a_result(
        verdict="fail",
        reason="3 decisions changed",
        environment=Environment(device="Acme [red] One"),
        build_report="built ahead of time",
    )
    unavailable = a_result(
        verdict="unavailable", reason="no GPU", reference=None, measured=None, drift=None
    )
    tables.show([a_result(), phone, unavailable])
    shown = capsys.readouterr().out
    assert "SqueezeNet1_1 onnx (Acme [red] One) fp32: fail: 3 decisions changed" in shown
    assert "SqueezeNet1_1 onnx (Acme [red] One) fp32: built ahead of time" in shown
    assert "SqueezeNet1_1 onnx fp32: unavailable: no GPU" in shown
    assert ": pass" not in shown


def test_kernels_are_shown_where_they_are_known(capsys):
    tables.show([FULL, a_result(), a_result(target="openvino", kernel_precisions={"fp32": 3})])
    shown = capsys.readouterr().out
    line = "SqueezeNet1_1, kernels by arithmetic: onnx int8: 26 int8, 4 any; openvino fp32: 3 fp32"
    assert line in shown
    tables.show([a_result()])
    assert "kernels" not in capsys.readouterr().out


# ---- docs/result.md ----


def documented() -> dict[str, tuple[str, str]]:
    """Each field's dotted name, with who writes it: the toolkit, a phone."""
    rows = re.findall(
        r"^\| `([\w.*]+)` \| (\S+) \| (\S+) \| .*\|$",
        (ROOT / "docs" / "result.md").read_text(),
        re.MULTILINE,
    )
    return {name: (toolkit, phone) for name, toolkit, phone in rows}


def form(kind: type, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Each field's dotted name, "*" for any name or place, with "yes" (required) or "may"."""
    hints = typing.get_type_hints(kind)
    for field in dataclasses.fields(kind):
        required = field.default is dataclasses.MISSING
        yield f"{prefix}{field.name}", "yes" if required else "may"
        yield from _inside(hints[field.name], f"{prefix}{field.name}")


def _inside(hint: typing.Any, where: str) -> Iterator[tuple[str, str]]:
    if dataclasses.is_dataclass(hint):
        yield from form(hint, f"{where}.")
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        for one in arguments:
            yield from _inside(one, where)
    elif origin is Mapping:
        yield from _inside(arguments[1], f"{where}.*")
    elif origin is tuple and dataclasses.is_dataclass(arguments[0]):
        yield from form(arguments[0], f"{where}.*.")


def test_the_documentation_has_every_field_and_who_writes_it():
    phones = {name: word for name, word in form(PhoneResult) if name.partition(".")[0] in FIELDS}
    assert documented() == {name: (word, phones.get(name, "–")) for name, word in form(Result)}


def test_the_documentations_example_is_a_phones_result():
    text = (ROOT / "docs" / "result.md").read_text()
    found = decode(PhoneResult, json.loads(re.search(r"```json\n(.*?)```", text, re.DOTALL)[1]))
    assert found.host.name == "phone"
