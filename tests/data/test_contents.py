"""Sets of photos by content."""

import hashlib
import itertools

import pytest

from data import hashes
from data.contents import Contents
from data.hashes import content_hashes

HASHES = [hashlib.sha256(b"%d" % number).hexdigest() for number in range(100)]


def test_has_what_it_was_made_of_and_nothing_else():
    known = Contents.of(HASHES[:50])
    assert known.has(HASHES).tolist() == [True] * 50 + [False] * 50
    assert len(known) == 50
    assert not Contents.of([]).has(HASHES).any()


def test_copies_count_once_and_what_cannot_be_read_is_never_there():
    known = Contents.of([HASHES[0], "", HASHES[0]])
    assert len(known) == 1
    assert known.has(["", HASHES[0], "", HASHES[1]]).tolist() == [False, True, False, False]


def test_union():
    both = Contents.of(HASHES[:3]) | Contents.of(HASHES[2:5])
    assert both.has(HASHES).sum() == len(both) == 5


def test_text_and_back():
    known = Contents.of(HASHES)
    assert str(Contents.parse(str(known))) == str(known)
    assert str(Contents.of(reversed(HASHES))) == str(known)  # whatever the order
    assert len(str(known)) == 4 * -(-8 * 100 // 3)  # base64 of eight bytes a photo
    assert len(Contents.parse("")) == 0


@pytest.mark.parametrize("text", ["AAAA", "no base64!", "ä", "AAAAAAAAAAA"])
def test_damaged_text(text):
    with pytest.raises(ValueError, match=r"base64|bytes"):
        Contents.parse(text)


def test_reading_many_photos_says_how_long_it_takes(tmp_path, monkeypatch, capsys):
    paths = [tmp_path / f"{number}.jpg" for number in range(40)]
    for path in paths:
        path.write_text(path.name)
    seconds = itertools.count(0, 20)
    monkeypatch.setattr("time.monotonic", lambda: next(seconds))
    monkeypatch.setattr(hashes, "_MANY", 40)
    assert content_hashes(paths)[7] == hashlib.sha256(b"7.jpg").hexdigest()
    said = "reading photos, to know them by their contents: 32 of 40 photos, about 10 s left"
    assert said in capsys.readouterr().err
    content_hashes(paths[:39])
    assert not capsys.readouterr().err
