"""What commands that judge say last: after a fail the line that looks for where drift begins, after
what was not decided the words with which it would count."""

import argparse
import dataclasses

import pytest

from common import cli
from common.cli import Exit
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


def options(simulated: bool, estimated: bool) -> argparse.Namespace:
    return argparse.Namespace(accept_simulated=simulated, accept_estimated=estimated)


def test_what_would_pass_if_it_counted_names_the_words_that_are_missing(last_words):
    simulated = a_result(execution="simulated", verdict="unavailable", simulation="pass")
    for accepted in (options(False, False), options(False, True)):
        assert advice.status([simulated, a_result()], accepted) == Exit.UNDECIDED
        assert "ACCEPT_SIMULATED=1" in last_words[0]
        assert "ESTIMATED" not in last_words[0]
    last_words.clear()
    assert advice.status([simulated], options(True, False)) == Exit.OK
    assert last_words == []


def test_what_nothing_decides_names_no_word(last_words):
    results = [a_result(verdict="undecided"), a_result(verdict="unavailable", simulation="pass")]
    assert advice.status(results, options(False, False)) == Exit.UNDECIDED
    assert last_words == []
