"""Which photos train and which are held out."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from common.errors import UserError
from data.images import ImageSet
from models.split import read_split
from tests.splits import write_split
from training.division import MOST_HELD_OUT, divide, hold_out


@pytest.fixture
def folder(tmp_path) -> Path:
    """Sixty files with contents of their own, in three class folders."""
    for number in range(60):
        path = tmp_path / "photos" / "abc"[number % 3] / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"photo %d" % number)
    return tmp_path / "photos"


def held_out(folder: Path, **how) -> set[str]:
    return set(divide(str(folder), **how).held_out.hashes)


class TestHoldOut:
    def test_a_tenth_of_each_class(self):
        labels = np.array([0] * 100 + [1] * 50 + [2] * 2)
        rows = hold_out(labels, seed=0)
        assert sorted(set(rows)) == list(rows)
        counts = np.bincount(labels[rows], minlength=3)
        assert list(counts[:2]) == [10, 5]
        assert counts[2] < 2

    def test_no_more_than_fit_into_memory(self):
        rows = hold_out(np.arange(200_000) % 10, seed=0)
        assert 0.9 * MOST_HELD_OUT < len(rows) <= MOST_HELD_OUT

    def test_the_seed_decides(self):
        labels = np.arange(300) % 3
        first, again, other = (hold_out(labels, seed).tolist() for seed in (0, 0, 1))
        assert first == again != other


def test_class_folders_are_divided_by_content(folder):
    division = divide(str(folder))
    assert (len(division.training), len(division.held_out), division.classes) == (54, 6, 3)
    assert sorted(division.held_out.labels) == [0, 0, 1, 1, 2, 2]
    assert not set(division.training.hashes) & set(division.held_out.hashes)
    assert held_out(folder, seed=1) != held_out(folder, seed=0)


def test_copies_of_a_photo_are_on_one_side(folder):
    for number in range(0, 60, 3):
        shutil.copy(folder / "a" / f"{number}.jpg", folder / "a" / f"copy{number}.jpg")
    division = divide(str(folder))
    assert len(division.images) == 80
    assert not set(division.training.hashes) & set(division.held_out.hashes)
    assert len(set(division.held_out.hashes)) == 6


@pytest.mark.parametrize("name", ["list.txt", "train_list.txt"])
def test_a_list_is_divided_too(folder, name):
    paths = sorted(folder.glob("*/*.jpg"))
    lines = [f"{path.relative_to(folder)} {'abc'.index(path.parent.name)}\n" for path in paths]
    (folder / name).write_text("".join(lines))
    division = divide(str(folder / name if name == "list.txt" else folder))
    assert division.whole
    assert (len(division.training), len(division.held_out)) == (54, 6)


def test_train_and_val_stay_as_they_are(folder):
    shutil.copytree(folder, folder / "train", ignore=shutil.ignore_patterns("train", "1*"))
    shutil.copytree(
        folder, folder / "val", ignore=shutil.ignore_patterns("train", "val", "[!1]?.*")
    )
    division = divide(str(folder))
    training, judging = (ImageSet.open(folder, None, split) for split in ("train", "val"))
    assert not division.whole
    assert division.training.hashes == training.hashes
    assert set(division.held_out.hashes) == set(judging.hashes) - set(training.hashes)
    assert len(division.held_out) > 3


def test_photos_of_val_that_are_also_trained_on_do_not_judge(folder, capsys):
    train, val = folder / "train", folder / "val"
    shutil.copytree(folder, train, ignore=shutil.ignore_patterns("train"))
    (val / "a").mkdir(parents=True)
    shutil.copy(folder / "a/0.jpg", val / "a/renamed.jpg")
    with pytest.raises(UserError, match="all 1 photos to judge by are also trained on"):
        divide(str(folder))
    (val / "a/new.jpg").write_bytes(b"new")
    assert len(divide(str(folder)).held_out) == 1
    assert "1 of 2 photos to judge by are also trained on, and are left out" in (
        capsys.readouterr().err
    )


class TestFromACheckpoint:
    """What a training starts from has seen photos already."""

    @pytest.fixture
    def before(self, folder, tmp_path):
        """The split of a training on all photos but those that seed 7 holds out."""
        first = divide(str(folder), seed=7)
        (tmp_path / "net.pdparams").write_bytes(b"")
        path = write_split(tmp_path / "net.pdparams", first.training.hashes, first.held_out.hashes)
        return read_split(path)

    def test_what_was_held_out_is_again(self, folder, before):
        assert held_out(folder, seed=0, before=before) == held_out(folder, seed=7)

    def test_of_new_photos_a_tenth_is_held_out_too(self, folder, before):
        for number in range(100):
            (folder / "a" / f"new{number}.jpg").write_bytes(b"new photo %d" % number)
        division = divide(str(folder), before=before)
        assert len(division.held_out) == 6 + 10
        assert not before.training.known.has(division.held_out.hashes).any()

    def test_where_all_trained_nothing_can_be_held_out(self, folder, before):
        for path in folder.glob("*/*.jpg"):
            if before.held_out.known.has([ImageSet("", [path], [0]).hashes[0]])[0]:
                path.unlink()
        with pytest.raises(UserError, match=r"photos \(0, and 54 that trained what this"):
            divide(str(folder), before=before)

    def test_they_stay_known(self, folder, before, tmp_path):
        other = tmp_path / "other"
        for number in range(30):
            (other / "ab"[number % 2]).mkdir(parents=True, exist_ok=True)
            (other / "ab"[number % 2] / f"{number}.jpg").write_bytes(b"other %d" % number)
        trained, held = divide(str(other), before=before).contents
        assert len(trained) == 54 + 27
        assert len(held) == 3


def test_names_for_labels_have_one_order_on_both_sides(tmp_path):
    for name, lines in (("train", ["1.jpg cat", "2.jpg dog"]), ("val", ["3.jpg dog", "4.jpg eel"])):
        (tmp_path / f"{name}_list.txt").write_text("\n".join(lines))
    for number in range(1, 5):
        (tmp_path / f"{number}.jpg").write_bytes(b"photo %d" % number)
    with pytest.raises(UserError, match="'eel' is a class to judge by and none to train on"):
        divide(str(tmp_path))
    (tmp_path / "classes.txt").write_text("dog\ncat\neel\n")
    division = divide(str(tmp_path))
    assert [division.images.truth[row] for row in division.held_out_rows] == [0, 2]
