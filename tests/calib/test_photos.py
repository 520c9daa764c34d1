"""Photos that calibrate are never among those that judge."""

import shutil

import pytest

from calib.photos import leave_out, open_apart, set_apart, trained_apart
from common.errors import UserError
from data.images import ImageSet
from models.split import Split, read_split
from tests.splits import write_split


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


@pytest.mark.parametrize(
    "files",
    [
        ["a.jpg", "b.jpg", "c.png"],
        ["2024/a.jpg", "2025/b.jpg", "2025/c.jpg"],
        ["cat/a.jpg", "dog/b.jpg", "c.jpg"],
    ],
    ids=["flat", "folders that are no classes of the model", "photos beside folders"],
)
def test_photos_without_labels_calibrate(folder, tmp_path, capsys, files):
    other = tmp_path / "field"
    for file in files:
        (other / file).parent.mkdir(parents=True, exist_ok=True)
        (other / file).write_bytes(file.encode())
    chosen = open_apart(str(other), 1000, ImageSet.open(folder))
    assert (len(chosen), chosen.labels, chosen.left_out) == (3, None, {})
    assert "field: 3 photos without labels" in capsys.readouterr().err


def test_class_folders_calibrate_with_their_labels(folder, tmp_path):
    for file in ("cat/a.jpg", "dog/b.jpg"):
        (tmp_path / "pets" / file).parent.mkdir(parents=True)
        (tmp_path / "pets" / file).write_bytes(file.encode())
    assert open_apart(str(tmp_path / "pets"), 2, ImageSet.open(folder)).labels == [0, 1]


def test_photos_without_labels_that_also_judge_are_refused(folder, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    shutil.copy(folder / "7.jpg", other / "renamed.jpg")
    (other / "new.jpg").write_bytes(b"new")
    with pytest.raises(UserError, match=r"1 of 2 photos .* also among those that judge"):
        open_apart(str(other), 1000, ImageSet.open(folder))


def test_no_photos_to_calibrate_on_is_an_error(folder, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(UserError, match="empty"):
        open_apart(str(empty), 1000, ImageSet.open(folder))


def test_what_cannot_be_read_calibrated_nothing(folder):
    (folder / "3.jpg").unlink()
    (folder / "3.jpg").symlink_to("nowhere")
    images = ImageSet("thirty", [folder / f"{number}.jpg" for number in range(30)], [0] * 30)
    left = leave_out(images, {images.hashes[0], images.hashes[3]})
    assert [path.name for path in left.paths[:3]] == ["1.jpg", "2.jpg", "3.jpg"]


class TestSplit:
    """Where it is known which photos trained the checkpoint."""

    @pytest.fixture
    def split(self, folder, tmp_path) -> Split:
        """Of the thirty, twenty trained, six were held out, and four are new."""
        hashes = ImageSet.open(folder).hashes
        (tmp_path / "net.pdparams").write_bytes(b"")
        path = write_split(tmp_path / "net.pdparams", hashes[:20], hashes[20:26])
        return read_split(path)

    def listed(self, folder, *numbers) -> str:
        """A folder of the same photos under another name, with no list of what judges."""
        other = folder / "other"
        for number in numbers:
            (other / "01"[number % 2]).mkdir(parents=True, exist_ok=True)
            shutil.copy(folder / f"{number}.jpg", other / "01"[number % 2] / f"new{number}.jpg")
        return str(other)

    def test_photos_that_trained_calibrate(self, folder, split):
        judging = ImageSet.open(folder).take(range(20, 30))
        for chosen in (
            trained_apart(str(folder), 1000, judging, 10, split),
            open_apart(str(folder), 1000, judging, 10, split),
        ):
            assert len(chosen) == 10
            assert split.training.known.has(chosen.hashes).all()

    def test_a_source_with_none_of_them_has_nothing_apart(self, folder, split):
        source = self.listed(folder, 0, 26, 27, 28, 29)
        assert trained_apart(source, 2, ImageSet("", [], []), 10, split) is None
        assert trained_apart(str(folder), 1000, ImageSet("", [], []), 10, None) is None

    def test_held_out_photos_never_calibrate(self, folder, split):
        source = self.listed(folder, *range(20, 30))
        chosen = open_apart(source, 2, ImageSet("", [], []), 10, split)
        assert len(chosen) == 4
        assert not split.held_out.known.has(chosen.hashes).any()

    def test_photos_to_train_on_calibrate_before_a_third_of_those_that_judge(self, folder):
        (folder / "train_list.txt").write_text("0.jpg 0\n1.jpg 0\n2.jpg 0\n")
        judging = ImageSet.open(folder)  # of which they are three
        assert trained_apart(str(folder), 1000, judging.take(range(1, 30)), 10, None) is None
        assert len(trained_apart(str(folder), 1000, judging.take(range(3, 30)), 10, None)) == 3
