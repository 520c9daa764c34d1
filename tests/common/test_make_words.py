"""What was typed on make's command line is what the command gets."""

import argparse
import os

import pytest

from common import make_words
from common.cli import positive
from common.errors import UserError
from common.paths import absolute


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser()
    made.add_argument("--model", action="append")
    made.add_argument("--keep-float", action="append")
    made.add_argument("--import", action="append", type=absolute)
    made.add_argument("--photos", type=positive)
    made.add_argument("--compare", nargs=2)
    made.add_argument("--skip-bad", action="store_true")
    return made


def arguments(target="validate", goals=("validate",), /, **words):
    return make_words.arguments(parser()._actions, target, goals, words)


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ("", {}),
        ("s", {}),
        (" -- MODEL=VGG16", {"MODEL": "VGG16"}),
        ("s -j2 --jobserver-auth=3,4 -- A=1 B=", {"A": "1", "B": ""}),
        (r' -- IMPORT=/a\ b/$$x"y.json', {"IMPORT": '/a b/$x"y.json'}),
        (r" -- DATA=back\\slash\	tab", {"DATA": "back\\slash\ttab"}),
        (" -- A=two\nlines B=x=y", {"A": "two\nlines", "B": "x=y"}),
        (" -- A:=1 B+=2", {"A": "1", "B": "2"}),
    ],
)
def test_words_as_they_were_typed(flags, words):
    assert make_words.typed(flags) == words


def test_words_that_make_keeps_to_itself_are_no_secret():
    with pytest.raises(UserError, match="leave out -e"):
        make_words.typed("e -- $(MAKEOVERRIDES)")


def test_a_token_on_the_line_is_refused_and_not_repeated():
    with pytest.raises(UserError, match="can be read by everybody on this machine") as error:
        arguments(PORTAGE_SERVED_TOKEN="s3cret")
    assert "s3cret" not in str(error.value)
    assert "PORTAGE_SERVED_TOKEN" not in os.environ


def test_a_word_of_every_kind():
    assert arguments(MODEL="A B", MODELS="C") == ["--model=A", "--model=B", "--model=C"]
    assert arguments(KEEP_FLOAT="Conv.0") == ["--keep-float=Conv.0"]
    assert arguments(PHOTOS="-3") == ["--photos=-3"]
    assert arguments(COMPARE="onnx openvino:fp32") == ["--compare", "onnx", "openvino:fp32"]
    assert arguments(IMPORT="/my results/r.json") == ["--import=/my results/r.json"]
    assert arguments(IMPORT="a b\nc") == ["--import=a b", "--import=c"]
    assert arguments(SKIP_BAD="1") == ["--skip-bad"]
    assert arguments(HELP="1") == ["--help"]
    assert arguments(SKIP_BAD="0", HELP="", MODEL="", PHOTOS="", COMPARE="", IMPORT="") == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"MODLE": "VGG16"}, "make validate takes no MODLE=, did you mean MODEL?"),
        ({"SKIPBAD": "1"}, "did you mean SKIP_BAD?"),
        ({"ZZZ": "1"}, "known: HELP, MODEL,"),
        ({"SKIP_BAD": "yes"}, "SKIP_BAD=yes: 1 turns it on, 0 or nothing off"),
    ],
)
def test_words_that_no_argument_has_are_refused(words, said):
    with pytest.raises(UserError) as caught:
        arguments(**words)
    assert said in str(caught.value)


def test_one_of_several_commands_says_so():
    with pytest.raises(UserError, match="call the commands one by one"):
        arguments("validate", ("export", "validate"), CLASES="3")


def test_what_others_need_has_no_words_of_its_own():
    assert arguments("setup", ("demo",), MODLE="VGG16") == []


def test_some_words_are_for_the_environment(monkeypatch):
    for name in ("BUILD_DIR", "PORTAGE_PYTHON_LITE"):
        monkeypatch.setenv(name, "before")
    assert arguments("setup", ("demo",), BUILD_DIR="~/$b") == []
    assert os.environ["BUILD_DIR"] == "~/$b"
    assert arguments(PORTAGE_PYTHON_LITE="/p", PYTHON="python3") == []
    assert os.environ["PORTAGE_PYTHON_LITE"] == "/p"
