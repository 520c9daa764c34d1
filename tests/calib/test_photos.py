"""Photos that calibrate are never among those that judge."""

import shutil

import pytest

from calib.photos import open_apart, set_apart
from common.errors import UserError
from data.images import ImageSet


@pytest.fixture
def folder(tmp_path):
    """Thirty files with contents of their own, in a list of ten classes."""
    for number in range(30):
        (tmp_path / f"{number}.jpg").write_bytes(b"photo %d" % number)
    lines = [f"{number}.jpg {number // 3}" for number in range(30)]
    (tmp_path / "val_list.txt").write_text("\n".join(lines))
    return tmp_path


def test_a_third_is_set_apart_and_spread_over_the_classes(folder):
    images = ImageSet.open(folder)
    apart, judging = set_apart(images)
    assert (len(apart), len(judging)) == (10, 20)
    assert not set(apart.hashes) & set(judging.hashes)
    assert sorted(apart.labels) == list(range(10))


def test_at_most_the_wanted_number_is_set_apart(folder):
    apart, judging = set_apart(ImageSet.open(folder), 4)
    assert (len(apart), len(judging)) == (4, 26)


def test_a_photo_that_is_there_twice_is_on_one_side_only(folder):
    shutil.copy(folder / "0.jpg", folder / "1.jpg")
    apart, judging = set_apart(ImageSet.open(folder))
    assert not set(apart.hashes) & set(judging.hashes)
    assert len(apart) + len(judging) == 30


def test_too_few_photos_are_refused(folder):
    with pytest.raises(UserError, match="5 photos are too few"):
        set_apart(ImageSet.open(folder).spread(5))


def test_photos_that_also_judge_are_refused_even_under_another_name(folder, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    shutil.copy(folder / "7.jpg", other / "renamed.jpg")
    (other / "new.jpg").write_bytes(b"new")
    (other / "val_list.txt").write_text("renamed.jpg 0\nnew.jpg 1")
    judging = ImageSet.open(folder)
    with pytest.raises(UserError, match=r"1 of 2 photos .* also among those that judge"):
        open_apart(str(other), 1000, judging)


def test_photos_to_train_on_are_taken_where_there_are_some(folder):
    for number in range(4):
        (folder / f"train{number}.jpg").write_bytes(b"train %d" % number)
    lines = [f"train{number}.jpg {number}" for number in range(4)]
    (folder / "train_list.txt").write_text("\n".join(lines))
    assert len(open_apart(str(folder), 1000, ImageSet.open(folder))) == 4


def test_no_photos_to_calibrate_on_is_an_error(folder, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(UserError, match="empty"):
        open_apart(str(empty), 1000, ImageSet.open(folder))
