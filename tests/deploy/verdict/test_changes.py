"""Which photos changed: a file, the most confident first, and the classes that changed most."""

import csv
import errno
import json
from pathlib import Path

import numpy as np
import pytest

from common.errors import UserError
from deploy.verdict.changes import Changes, check_place, read_changes
from deploy.verdict.probabilities import fit_temperature, probability

REFERENCE = np.log([[0.6, 0.3, 0.1], [0.2, 0.5, 0.3], [0.5, 0.4, 0.1], [0.9, 0.05, 0.05]])
PATHS = [Path(f"/photos/{name}") for name in ("a.jpg", "b.jpg", "c, d.jpg", "e.jpg")]


@pytest.fixture
def changes() -> Changes:
    """Three decisions of four changed; the last photo's has a logit that is not finite."""
    target = REFERENCE.copy()
    target[0, 1], target[2, 1], target[3, 2] = 0.0, 0.0, np.nan
    found = Changes()
    who = ("Model", "onnx", "int8")
    found.note(who, PATHS, REFERENCE, target, None, ["cat", "dog", "cow"])
    return found


def test_csv(changes, tmp_path):
    changes.write(tmp_path / "c.csv")
    rows = list(csv.DictReader((tmp_path / "c.csv").read_text().splitlines()))
    assert [row["path"] for row in rows] == ["/photos/e.jpg", "/photos/a.jpg", "/photos/c, d.jpg"]
    assert [float(row["old_probability"]) for row in rows] == pytest.approx([0.9, 0.6, 0.5])
    assert float(rows[1]["new_probability"]) == pytest.approx(0.3)
    assert float(rows[1]["margin"]) == pytest.approx(np.log(2))
    assert (rows[1]["old_class"], rows[1]["new_class"], rows[1]["label"]) == ("cat", "dog", "")
    assert (rows[0]["new"], rows[0]["margin"]) == ("", "")  # no decision


def test_json_keeps_labels_and_their_temperature(tmp_path):
    labels = np.array([0, 1, 1])
    target = REFERENCE[:, [1, 0, 2]]
    found = Changes()
    found.note(("Model", "onnx", "int8"), PATHS, REFERENCE, target, labels, None)
    found.write(tmp_path / "c.JSON")
    rows = {row["path"]: row for row in json.loads((tmp_path / "c.JSON").read_text())}
    assert [rows[str(path)].get("label") for path in PATHS] == [0, 1, 1, None]
    temperature = fit_temperature(REFERENCE[:3], labels).value
    sure = probability(REFERENCE, np.array([0, 1, 0, 0]), temperature)
    assert rows["/photos/a.jpg"]["old_probability"] == pytest.approx(sure[0])
    assert "old_class" not in rows["/photos/a.jpg"]
    assert sorted(read_changes(tmp_path / "c.JSON"), key=str) == sorted(found.found, key=str)


@pytest.mark.parametrize("text", ["", "{}", '[{"path": "a"}]', "[1]", "\x00"])
def test_a_file_that_holds_no_changes_is_named(tmp_path, text):
    (tmp_path / "c.json").write_text(text)
    with pytest.raises(UserError, match=r"c\.json is no file of changed decisions: .*; make one"):
        read_changes(tmp_path / "c.json")


def test_the_classes_that_changed_most(changes):
    assert list(changes.lines()) == [
        "Model onnx int8: 3 decisions changed, most of what was cat (3)"
    ]


@pytest.mark.parametrize("name", ["c.txt", "c", "absent/c.csv", "folder.csv"])
def test_a_place_that_cannot_be_is_refused_before_any_work(tmp_path, name):
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(UserError, match=name.partition("/")[0]):
        check_place(tmp_path / name)


def test_what_was_there_stays_where_writing_fails(changes, tmp_path, monkeypatch):
    place = tmp_path / "c.csv"
    place.write_text("mine")
    monkeypatch.setattr("os.fsync", lambda _: (_ for _ in ()).throw(OSError(errno.ENOSPC, "full")))
    with pytest.raises(OSError, match="full"):
        changes.write(place)
    assert place.read_text() == "mine"
    assert list(tmp_path.iterdir()) == [place]
