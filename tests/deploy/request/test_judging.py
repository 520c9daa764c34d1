"""Photos without labels, as those that judge."""

from pathlib import Path

import pytest

from common.console import say_once
from common.errors import UserError
from data.photo_folders import AS_FOUND
from deploy.request.judging import open_judging
from deploy.request.values import Photos


@pytest.fixture
def field(tmp_path, monkeypatch):
    """Makes a folder of files with these contents."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    say_once.cache_clear()

    def make(*contents: bytes):
        folder = tmp_path / "field"
        folder.mkdir()
        for number, content in enumerate(contents):
            (folder / f"{number}.jpg").write_bytes(content)
        return str(folder)

    return make


def test_each_content_judges_once(field, capsys):
    images = open_judging(field(b"a", b"b", b"a"), 1000, None, labels=AS_FOUND)
    assert [path.name for path in images.paths] == ["0.jpg", "1.jpg"]
    said = capsys.readouterr().err
    assert "field: 1 of 3 photos are there already under another name, and count once" in said
    assert "field: 2 photos without labels decide little; 30 or more" in said


def test_labelled_ones_judge_once_too(field, capsys):
    folder = Path(field(b"a", b"b", b"a"))
    (folder / "val_list.txt").write_text("0.jpg 3\n1.jpg 4\n2.jpg 3\n")
    images = open_judging(str(folder), 1000, None)
    assert images.labels == [3, 4]
    assert "1 of 3 photos are there already" in capsys.readouterr().err


def test_thirty_are_not_few(field, capsys):
    images = Photos(field(*(b"%d" % n for n in range(30))), labels=AS_FOUND).open(1000)
    assert len(images) == 30
    assert "decide little" not in capsys.readouterr().err


def test_photos_that_are_all_the_same_are_refused(field):
    with pytest.raises(UserError, match="field: all 5 photos are the same, so they decide nothing"):
        open_judging(field(*[b"a"] * 5), 1000, None, labels=AS_FOUND)


def test_labels_are_needed_unless_it_is_said_that_they_are_not(field):
    with pytest.raises(UserError, match="photos need labels here"):
        Photos(field(b"a", b"b")).open(1000)
