"""`python deploy/evaluate.py`: accuracy with its interval, and the worst classes."""

import json

import numpy as np
import pytest

from deploy.verdict.accuracy import accuracy
from tests.colours import write_photos
from tests.conftest import assert_refused


def test_accuracy_of_known_decisions():
    decided = [0, 0, 1, 2, 2, 2]
    logits = np.eye(7, dtype=np.float32)[decided]
    found = accuracy(logits, np.array([0, 0, 0, 2, 2, 6]), ["a", "b", "c", "d", "e", "f", "g"])
    assert found["top1"]["share"] == 4 / 6
    low, high = found["top1"]["ci95"]
    assert low < 4 / 6 < high
    assert found["top5"]["share"] == 5 / 6  # of the six equal zeros, g is the last
    assert found["worst_classes"] == [
        {"class": "g", "photos": 1, "recall": 0.0, "taken_for": "c"},
        {"class": "a", "photos": 3, "recall": 2 / 3, "taken_for": "b"},
    ]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_photo_with_a_logit_that_is_not_finite_is_wrong(bad):
    logits = np.eye(7, dtype=np.float32)[[0, 1]]
    logits[1, 3] = bad
    found = accuracy(logits, np.array([0, 1]), None)
    assert (found["top1"]["share"], found["top5"]["share"]) == (0.5, 0.5)
    assert found["worst_classes"] == [{"class": "1", "photos": 1, "recall": 0.0, "taken_for": None}]


def test_real_weights_on_real_photos(command, built, weights, photos):
    data = photos(100)
    arguments = ("--model", "SqueezeNet1_1", "--weights", weights, "--data", data)
    done = command("deploy/evaluate.py", *arguments, "--json", BUILD_DIR=built)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert 0.5 < found["top1"]["share"] < found["top5"]["share"] < 1
    listed = (data / "val_list.txt").read_text().splitlines()
    assert found["data"]["images"] == len(listed) >= 70
    assert found["photos_per_second"] > 1

    done = command("deploy/evaluate.py", *arguments, BUILD_DIR=built)
    assert f"top-1  {100 * found['top1']['share']:.1f} %" in done.stdout
    assert "Classes recognised least" in done.stdout


def test_a_missing_folder_is_refused_before_any_work(command, tmp_path):
    done = command("deploy/evaluate.py", "--model", "VGG11", "--data", tmp_path / "absent")
    assert_refused(done, "absent")
    assert not (tmp_path / "build").exists()


def test_class_names_are_shown_as_they_are(command, tmp_path):
    names = ("cat [b]", "dog [small]", "[red]")
    data = write_photos(tmp_path / "photos", 2, names)
    words = ("--model", "SqueezeNet1_1", "--weights", "random", "--classes", "3", "--data", data)
    done = command("deploy/evaluate.py", *words)
    assert done.returncode == 0, done.stderr
    for name in sorted(names)[1:]:  # of equal chances, whatever the network takes photos for
        assert name in done.stdout
