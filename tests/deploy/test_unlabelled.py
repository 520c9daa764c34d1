"""Photos without labels, through the commands: verdicts, statuses, and the photos that changed."""

import csv
import json

import pytest

from tests.conftest import assert_refused

CELL = ("--target", "openvino", "--precision", "bf16")


@pytest.fixture
def validate(command, built, weights):
    def run(*arguments):
        chain = ("--model", "SqueezeNet1_1", "--weights", weights, *CELL)
        return command("deploy/validate.py", *chain, *arguments, BUILD_DIR=built)

    return run


@pytest.fixture
def flat(photos, tmp_path):
    """A folder of 40 photos, and nothing that says what they show."""
    listed = photos(40)
    folder = tmp_path / "flat"
    folder.mkdir()
    for line in (listed / "val_list.txt").read_text().splitlines():
        path = (listed / line.partition(" ")[0]).resolve()
        (folder / path.name).symlink_to(path)
    return folder


def test_an_estimate_alone_is_no_verdict_unless_it_is_accepted(validate, flat):
    done = validate("--data", flat, "--budget", 5, "--json")
    assert done.returncode == 3, done.stderr
    [one] = map(json.loads, done.stdout.splitlines())
    assert (one["verdict"], one["budget"]["kind"]) == ("undecided", "unlabelled")
    assert not {"reference", "measured"} & set(one)
    assert not {"top1_pp", "gained", "lost"} & set(one["drift"])
    found = one["unlabelled"]
    assert found["images"] == one["data"]["images"] == 40
    assert found["estimate"]["verdict"] == "pass"
    assert found["estimate"]["temperature"] == {"value": 1.0, "photos": 0}
    assert "not fitted, for want of labels" in one["reason"]
    done = validate(*("--data", flat, "--budget", 5, "--accept-estimated", "--accept-simulated"))
    assert done.returncode == 0, done.stderr
    assert "undecided (estimate: pass)" in done.stdout


def test_beside_labelled_photos_and_what_changed_in_a_file(validate, photos, flat, tmp_path):
    place = tmp_path / "changed.csv"
    done = validate("--data", photos(10), "--more", flat, "--changes", place, "--json")
    assert done.returncode == 3, done.stderr
    [one] = map(json.loads, done.stdout.splitlines())
    shared = 40 - one["more"]["images"]
    assert f"{shared} of 40 photos judge already, with labels, and count once" in done.stderr
    assert one["budget"]["kind"] == "statistical"
    assert one["unlabelled"]["images"] == 10 + one["more"]["images"]
    assert one["unlabelled"]["estimate"]["temperature"]["photos"] == 10
    rows = list(csv.DictReader(place.read_text().splitlines()))
    assert len(rows) == one["unlabelled"]["changed"]
    assert "changed decisions: " in done.stderr


def test_mistakes_are_one_sentence(validate, photos, flat, tmp_path):
    assert_refused(validate("--data", flat, "--more", photos(10)), "leave out MORE=")
    assert_refused(validate("--data", photos(10), "--more", photos(10)), "all 10 photos judge")
    assert_refused(validate("--data", flat, "--changes", tmp_path / "c.txt"), ".csv or .json")
    assert_refused(validate("--data", photos(10), "--more", "/no/such/folder"), "/no/such/folder")
