"""What `validate` and `calibrate` say after a fail: the line that looks for where drift begins."""

import dataclasses

import pytest

from common import cli
from deploy.verdict import advice
from tests.deploy.verdict.results import a_result

WORDS = {"DATA": "/my photos/val", "HOST": "arm", "ARM_CPU": None}


@pytest.fixture(autouse=True)
def last_words(monkeypatch) -> list[str]:
    """Make's last line, of this test alone."""
    said: list[str] = []
    monkeypatch.setattr(cli, "_last_words", said)
    return said


def test_a_fail_ends_with_the_line_to_type(capsys, last_words):
    failed = a_result(target="ncnn", precision="int8", verdict="fail")
    passed = a_result(target="onnx", precision="int8", verdict="pass")
    advice.end([passed, failed], WORDS, shows=True)
    line = (
        f"make explain MODEL={failed.name} TARGET=ncnn PRECISION=int8 DATA='/my photos/val' "
        "HOST=arm"
    )
    assert capsys.readouterr().out.splitlines()[-1].endswith(f": {line}")
    assert last_words[0].endswith(f": {line}")


def test_json_stays_json(capsys, last_words):
    advice.end([a_result(verdict="fail")], {}, shows=False)
    assert not capsys.readouterr().out
    assert "make explain" in last_words[0]


@pytest.mark.parametrize("verdict", ["pass", "undecided", "unavailable"])
def test_nothing_else_is_explained(capsys, last_words, verdict):
    advice.end([a_result(verdict=verdict)], WORDS, shows=True)
    assert not capsys.readouterr().out
    assert last_words == []


def test_what_gave_no_logits_has_nothing_to_look_into(last_words):
    advice.end([dataclasses.replace(a_result(verdict="fail"), drift=None)], {}, shows=True)
    assert last_words == []
