"""Why results are no pass: once for those that share it, or each by itself."""

import dataclasses

from deploy.verdict import reasons, tables
from tests.deploy.verdict.results import a_result

_FEW = "the drift {} pp ({} photos) may or may not stay within a loss of 0.5 pp"


def few(target: str, precision: str, drift: str, photos: str, cause: str = ""):
    simulated = {"execution": "simulated", "simulation": "undecided"} if cause else {}
    reason = _FEW.format(drift, photos)
    return a_result(
        target=target,
        precision=precision,
        verdict="undecided",
        reason=f"simulated, since {cause}: {reason}" if cause else reason,
        **simulated,
    )


RESULTS = [
    a_result(),
    few("onnx", "int8", "-4.26", "1,047"),
    few("mnn", "fp16", "+0.00", "8", "this CPU has no FP16"),
    few("mnn", "int8", "-0.50", "47"),
    few("ncnn", "fp16", "+0.00", "8", "this CPU has no FP16"),
    a_result(target="lite-arm", verdict="unavailable", reason="it takes an ARM CPU"),
]


def test_reasons_that_differ_in_numbers_are_one_with_their_range():
    assert reasons.sentences(RESULTS, verbose=False) == [
        "SqueezeNet1_1 onnx int8, mnn fp16, int8, ncnn fp16: undecided: "
        + _FEW.format("-4.26 … +0.00", "8 … 1,047"),
        "SqueezeNet1_1 lite-arm fp32: unavailable: it takes an ARM CPU",
        "SqueezeNet1_1 mnn fp16, ncnn fp16: simulated, since this CPU has no FP16",
    ]


def test_each_by_itself_where_that_is_asked_for():
    lines = reasons.sentences(RESULTS, verbose=True)
    assert len(lines) == len(RESULTS) - 1
    assert lines[1] == (
        "SqueezeNet1_1 mnn fp16: undecided: simulated, since this CPU has no FP16: "
        + _FEW.format("+0.00", "8")
    )


def test_what_only_one_says_is_said_in_whole():
    (line,) = reasons.sentences(RESULTS[2:3], verbose=False)
    assert line == reasons.sentences(RESULTS[2:3], verbose=True)[0]


def test_clauses_are_said_once_for_all_that_share_them():
    """As of the two cards: where they are absent, and what was built ahead for one of them."""
    rows = []
    for target, built in (("trt-v100", "not built"), ("trt-t4", "built in {} s")):
        for precision, seconds in (("fp16", "0.2"), ("int8", "1.5")):
            report = f"parsed by it 1.7.1; {built.format(seconds)}; {precision} is made there"
            one = few(target, precision, "+0.00", "47", f"it takes a {target}; no GPU is here")
            rows.append(dataclasses.replace(one, build_report=report))
    assert reasons.sentences(rows, verbose=False)[1:] == [
        "SqueezeNet1_1 trt-v100 fp16, int8: simulated, since it takes a trt-v100; not built",
        "SqueezeNet1_1 trt-v100 fp16, int8, trt-t4 fp16, int8: no GPU is here; parsed by it 1.7.1",
        "SqueezeNet1_1 trt-t4 fp16, int8: simulated, since it takes a trt-t4; built in 0.2 … 1.5 s",
        "SqueezeNet1_1 trt-v100 fp16, trt-t4 fp16: fp16 is made there",
        "SqueezeNet1_1 trt-v100 int8, trt-t4 int8: int8 is made there",
    ]


def test_another_verdict_is_another_reason():
    other = a_result(verdict="fail", reason=_FEW.format("-9.00", "47"))
    assert len(reasons.sentences([RESULTS[1], other], verbose=False)) == 2


def test_the_demos_table_fits_a_screen(monkeypatch, capsys):
    """With every row that it can have, and what to type next (of demo.py) below it."""
    from deploy.demo import _NEXT

    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("TERM", "xterm")
    rows = [few("openvino (arm)", "bf16", "+0.00", "47", "of that") for _ in range(34)]
    tables.show_verdicts(rows)
    shown = (capsys.readouterr().out + _NEXT.format(build="b", cache="c", model="M")).splitlines()
    assert len(shown) <= 50 - 2  # a line before "Done in …", and the prompt
