"""Sets of photos: lists, class folders, and what is said when they are wrong."""

import os
from pathlib import Path

import pytest

from common.console import say_once
from common.errors import UserError
from data import hashes
from data.crops import load_crops
from data.images import ImageSet
from data.photo_folders import AS_FOUND, EITHER, UNLABELLED
from data.preprocess import Preprocess
from tests.data.conftest import encoded, picture


@pytest.fixture(autouse=True)
def unsaid():
    """What a command says once, each test may say."""
    say_once.cache_clear()


@pytest.fixture
def listing(tmp_path):
    """Makes a folder of empty photos with a list of the given text."""

    def make(text: str | bytes, *photos: str) -> Path:
        for photo in photos:
            path = tmp_path / "set" / photo
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        path = tmp_path / "set" / "val_list.txt"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return make


def complaint(source, **options) -> str:
    with pytest.raises(UserError) as caught:
        ImageSet.open(source, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# ---- lists ----


def test_a_list_in_a_folder(listing):
    folder = listing("val/b.jpg 3\nval/a.jpg 999\n", "val/a.jpg", "val/b.jpg").parent
    images = ImageSet.open(folder)
    assert images.name == "set"
    assert images.paths == [folder / "val/b.jpg", folder / "val/a.jpg"]
    assert images.labels == [3, 999]
    assert images.class_names is None
    assert len(images) == 2


def test_a_list_file_itself_under_any_name(listing):
    path = listing("a.jpg 0\n", "a.jpg")
    path = path.rename(path.with_name("my photos.txt"))
    images = ImageSet.open(str(path))
    assert images.name == "my photos.txt"
    assert images.paths == [path.parent / "a.jpg"]


@pytest.mark.parametrize(
    "text",
    [
        "my cat  1.jpg 7\n",
        "my cat  1.jpg\t7\n",
        "my cat  1.jpg 7\r\n",
        "\ufeffmy cat  1.jpg 7",
        "\n\nmy cat  1.jpg   7  \n\n",
    ],
    ids=["blanks in the name", "tab", "Windows line ends", "byte order mark", "blank lines"],
)
def test_spellings_of_a_line(listing, text):
    images = ImageSet.open(listing(text, "my cat  1.jpg").parent)
    assert images.paths[0].name == "my cat  1.jpg"
    assert images.labels == [7]


def test_a_name_that_is_not_utf_8(listing):
    name = os.fsdecode(b"caf\xe9.jpg")
    images = ImageSet.open(listing(b"caf\xe9.jpg 1\n", name))
    assert images.paths[0].name == name


def test_absolute_paths_stay_absolute(listing, tmp_path):
    photo = tmp_path / "elsewhere.jpg"
    photo.touch()
    assert ImageSet.open(listing(f"{photo} 1\n")).paths == [photo]


@pytest.mark.parametrize("line", ["a.jpg one", "7", "a.jpg 7.5", "a.jpg 1_0", "a.jpg,7"])
def test_a_malformed_line_is_named_by_its_number(listing, line):
    path = listing(f"a.jpg 0\n\n{line}\n", "a.jpg")
    said = complaint(path)
    assert f"{path}: line 3: expected 'relative/path label', found '{line}'" in said


def test_a_photo_given_as_a_list_is_called_so(tmp_path):
    path = tmp_path / "photo.jpg"
    path.write_bytes(encoded(picture(50, 50)))
    said = complaint(path)
    assert f"{path}: a photo (JPEG)" in said
    assert "give the folder that it lies in" in said


@pytest.mark.parametrize(("label", "class_num"), [("1000", 1000), ("-1", 1000), ("10", 10)])
def test_a_label_out_of_range(listing, label, class_num):
    said = complaint(listing(f"a.jpg 0\na.jpg {label}\n", "a.jpg"), class_num=class_num)
    assert f"line 2: label {label} is out of the range 0..{class_num - 1}" in said


@pytest.mark.parametrize("text", ["", "\n\n", "  \n"])
def test_an_empty_list(listing, text):
    assert "the list is empty" in complaint(listing(text))


def test_absent_photos_are_counted_and_the_first_named(listing):
    text = "".join(f"{n}.jpg 0\n" for n in range(9))
    said = complaint(listing(text, "0.jpg"))
    assert "8 of 9 photos are absent" in said
    assert all(f"{n}.jpg" in said for n in range(1, 6))
    assert "6.jpg" not in said
    assert "paths start from the list's own folder" in said


def test_a_folder_in_the_place_of_a_photo_is_an_absent_photo(listing):
    assert "1 of 1 photos are absent" in complaint(listing("sub 0\n", "sub/a.jpg"))


# ---- class folders ----


@pytest.fixture
def class_folders(tmp_path):
    def make(*photos: str) -> Path:
        for photo in photos:
            path = tmp_path / "flowers" / photo
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        return tmp_path / "flowers"

    return make


def test_one_folder_per_class(class_folders):
    root = class_folders(
        "tulip/2.JPG", "tulip/1.png", "aster/deep/x.jpeg", "aster/notes.txt", ".git/a.jpg"
    )
    images = ImageSet.open(root, class_num=2)
    assert images.name == "flowers"
    assert images.class_names == ["aster", "tulip"]
    assert images.paths == [root / "aster/deep/x.jpeg", root / "tulip/1.png", root / "tulip/2.JPG"]
    assert images.labels == [0, 1, 1]


def test_numbered_class_folders_are_in_the_order_of_their_numbers(class_folders):
    images = ImageSet.open(class_folders("10/a.jpg", "9/a.jpg", "2/a.jpg"), class_num=3)
    assert images.class_names == ["2", "9", "10"]
    assert images.labels == [0, 1, 2]


def test_some_of_the_classes_are_known_by_their_numbers(class_folders):
    images = ImageSet.open(class_folders("10/a.jpg", "9/a.jpg", "2/a.jpg"))
    assert images.labels == [2, 9, 10]
    assert images.class_names is None


@pytest.mark.parametrize("last", ["c", "1000"])
def test_some_of_the_classes_without_numbers_would_be_a_guess(class_folders, last):
    said = complaint(class_folders("0/a.jpg", "1/a.jpg", f"{last}/a.jpg"))
    assert "3 class folders, but the model has 1000 classes" in said
    assert "0 to 999" in said


def test_an_empty_class_keeps_its_number(class_folders):
    images = ImageSet.open(class_folders("a/1.jpg", "b/notes.txt", "c/1.jpg"), class_num=3)
    assert images.labels == [0, 2]


def test_a_list_goes_before_class_folders(class_folders):
    root = class_folders("a/1.jpg", "b/1.jpg")
    (root / "val_list.txt").write_text("b/1.jpg 7\n")
    assert ImageSet.open(root).labels == [7]


def test_a_folder_without_list_or_class_folders(class_folders):
    said = complaint(class_folders("a.jpg"))
    assert "1 photos, but neither a val_list.txt nor one folder per class" in said
    assert "photos need labels here" in said


def test_a_folder_without_anything(tmp_path):
    assert "no photos in it, nor a val_list.txt" in complaint(tmp_path)


def test_class_folders_without_photos(class_folders):
    assert "no photos in its 2 class folders" in complaint(
        class_folders("a/x.txt", "b/y.txt"), class_num=2
    )


def test_more_class_folders_than_classes(class_folders):
    said = complaint(class_folders("a/1.jpg", "b/1.jpg", "c/1.jpg"), class_num=2)
    assert "3 class folders, but the model has 2 classes" in said


def test_a_folder_that_does_not_exist(tmp_path):
    said = complaint(tmp_path / "nowhere")
    assert f"{tmp_path / 'nowhere'}: no such folder or list file" in said
    assert "demo or cifar10" in said


# ---- photos without labels ----


def test_a_flat_folder_has_no_labels(class_folders, capsys):
    root = class_folders("b.jpg", "a.JPEG", "notes.txt")
    images = ImageSet.open(root, labels=AS_FOUND)
    assert (images.paths, images.labels) == ([root / "a.JPEG", root / "b.jpg"], None)
    assert images.take([1]).labels is images.spread(1).labels is None
    assert capsys.readouterr().err == "  flowers: 2 photos without labels\n"
    ImageSet.open(root, labels=EITHER)  # said once
    assert capsys.readouterr().err == ""


def test_folders_without_photos_are_no_classes(class_folders):
    root = class_folders("a.jpg", "b.jpg", "masks/a.npy")
    assert len(ImageSet.open(root, labels=AS_FOUND)) == 2


def test_a_folder_per_class_stays_labelled(class_folders):
    root = class_folders("aster/1.jpg", "tulip/2.jpg")
    for labels in (AS_FOUND, EITHER):
        assert ImageSet.open(root, 2, labels=labels).labels == [0, 1]
    said = complaint(root, labels=AS_FOUND)
    assert "2 class folders, but the model has 1000 classes" in said
    assert "LABELS=none" in said


def test_labels_are_put_aside_where_that_is_asked_for(class_folders, capsys):
    root = class_folders("2024/may/1.jpg", "2024/2.jpg", "3.jpg")
    images = ImageSet.open(root, labels=UNLABELLED)
    assert images.paths == [root / "2024/2.jpg", root / "2024/may/1.jpg", root / "3.jpg"]
    assert images.labels is None
    assert "3 photos without labels (3 folders, which are no classes)" in capsys.readouterr().err


def test_a_divided_folder_without_labels(class_folders):
    root = class_folders("train/1.jpg", "train/2.jpg", "val/3.jpg")
    assert ImageSet.open(root, labels=AS_FOUND).paths == [root / "val/3.jpg"]
    assert len(ImageSet.open(root, split="train", labels=EITHER)) == 2
    assert "need labels here" in complaint(root, split="train")


def test_the_identity_without_labels_is_of_contents(photo_folder):
    files = {"a.jpg": encoded(picture(40, 30)), "b.jpg": encoded(picture(30, 40))}
    labelled = ImageSet.open(photo_folder(files, "here"))
    (labelled.paths[0].parent / "val_list.txt").unlink()
    images = ImageSet.open(labelled.paths[0].parent, labels=AS_FOUND)
    assert images.hashes == labelled.hashes
    assert images.sha256 != labelled.sha256
    assert load_crops(images, Preprocess()).labels is None
    with pytest.raises(ValueError, match="have no labels"):
        images.truth  # noqa: B018


# ---- photos to train on ----


def test_a_folder_with_both_lists(listing):
    folder = listing("val.jpg 3\n", "val.jpg", "train.jpg").parent
    (folder / "train_list.txt").write_text("train.jpg 7\n")
    assert ImageSet.open(folder).labels == [3]
    images = ImageSet.open(folder, split="train")
    assert images.paths == [folder / "train.jpg"]
    assert images.labels == [7]
    assert images.name == "set"


def test_class_folders_in_train_and_val(class_folders):
    root = class_folders("train/aster/1.jpg", "train/tulip/2.jpg", "val/aster/3.jpg", "val/tulip/x")
    (root / "val" / "tulip" / "4.png").touch()
    for class_num in (2, None):
        trained_on = ImageSet.open(root, class_num=class_num, split="train")
        judged = ImageSet.open(root, class_num=class_num)
        assert trained_on.class_names == judged.class_names == ["aster", "tulip"]
        assert trained_on.paths == [root / "train/aster/1.jpg", root / "train/tulip/2.jpg"]
        assert judged.paths == [root / "val/aster/3.jpg", root / "val/tulip/4.png"]
        assert trained_on.labels == judged.labels == [0, 1]


def test_a_class_that_one_split_lacks_shifts_no_numbers(class_folders):
    root = class_folders("train/a/1.jpg", "train/b/1.jpg", "train/c/1.jpg", "val/a/1.jpg")
    (root / "val" / "c").mkdir()
    (root / "val" / "c" / "1.jpg").touch()
    assert ImageSet.open(root, class_num=None).labels == [0, 2]
    assert ImageSet.open(root, class_num=None, split="train").labels == [0, 1, 2]


@pytest.mark.parametrize("photos", [["a/1.jpg", "b/1.jpg"], ["train/a/1.jpg", "val/a/1.jpg"]])
def test_a_list_to_judge_by_does_not_say_what_to_train_on(class_folders, photos):
    root = class_folders(*photos)
    (root / "val_list.txt").write_text(f"{photos[0]} 1\n")
    said = complaint(root, split="train")
    assert "flowers: no train_list.txt in it; write train_list.txt and val_list.txt" in said
    assert "train/ and val/" in said


def test_a_list_to_train_on_does_not_say_what_to_judge_by(class_folders):
    root = class_folders("train/a/1.jpg", "val/a/1.jpg")
    (root / "train_list.txt").write_text("train/a/1.jpg 1\n")
    assert "no val_list.txt in it" in complaint(root, class_num=None)


@pytest.mark.parametrize("photos", [["a/1.jpg", "b/1.jpg"], ["train/a/1.jpg", "valid/a/1.jpg"]])
def test_class_folders_that_are_not_split(class_folders, photos):
    assert "no train_list.txt in it" in complaint(
        class_folders(*photos), class_num=2, split="train"
    )


def test_the_demo_photos_are_not_to_train_on():
    said = complaint("demo", split="train")
    assert "demo has photos to judge by and none to train on; train on cifar10" in said


def test_a_split_of_another_name(listing):
    with pytest.raises(ValueError, match="'test'"):
        ImageSet.open(listing("a.jpg 0\n", "a.jpg"), split="test")


# ---- as many classes as the set has ----


def test_the_labels_of_a_list_decide(listing):
    path = listing("a.jpg 1200\na.jpg 4\n", "a.jpg")
    (path.parent / "classes.txt").write_text("".join(f"class {n}\n" for n in range(1201)))
    images = ImageSet.open(path, class_num=None)
    assert images.labels == [1200, 4]
    assert len(images.class_names) == 1201


def test_a_negative_label(listing):
    path = listing("a.jpg 0\na.jpg -1\n", "a.jpg")
    assert "line 2: label -1 is negative" in complaint(path, class_num=None)


def test_the_number_of_class_folders_decides(class_folders):
    images = ImageSet.open(class_folders("10/a.jpg", "9/a.jpg", "2/a.jpg"), class_num=None)
    assert images.class_names == ["2", "9", "10"]
    assert images.labels == [0, 1, 2]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("cat\nbig dog\nbird\n", ["cat", "big dog", "bird"]),
        ("\ufeffcat\r\nd\xf6g\r\n\nbird", ["cat", "d\xf6g", "bird"]),
        ("cat\ndog\n", None),
        ("a\nb\nc\nd\n", None),
    ],
    ids=["one each", "Windows", "too few", "too many"],
)
def test_classes_txt_names_the_classes_of_a_list(listing, text, names):
    path = listing("a.jpg 2\na.jpg 0\n", "a.jpg")
    (path.parent / "classes.txt").write_text(text, encoding="utf-8", newline="")
    assert ImageSet.open(path, class_num=3).class_names == names
    assert ImageSet.open(path.parent, class_num=3).class_names == names


# ---- identity ----


def test_the_identity_is_of_contents_and_labels_wherever_they_lie(photo_folder):
    files = {"a.jpg": encoded(picture(40, 30)), "b.jpg": encoded(picture(30, 40))}
    here = ImageSet.open(photo_folder(files, "here"))
    there = ImageSet.open(photo_folder({f"x {name}": files[name] for name in files}, "there"))
    assert here.sha256 == there.sha256
    assert len(here.sha256) == 64

    there.labels = [1, 0]
    assert there.sha256 != here.sha256
    here.paths[0].write_bytes(files["b.jpg"])
    assert ImageSet.open(here.paths[0].parent).sha256 != there.sha256


def test_unchanged_photos_are_not_read_again(ten_photos, monkeypatch, cache):
    monkeypatch.setattr(hashes, "SETTLED_NS", 0)
    images = ImageSet.open(ten_photos)
    first = images.sha256
    read = []
    original = hashes._hash
    monkeypatch.setattr(
        hashes, "_hash", lambda name: read.append(Path(name).name) or original(name)
    )
    assert ImageSet.open(ten_photos).sha256 == first
    assert read == []

    # The same size and modification time: the change time tells.
    path = ten_photos / "3.jpg"
    status, data = path.stat(), bytearray(path.read_bytes())
    data[-3] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert images.sha256 != first
    assert read == ["3.jpg"]


def test_photos_that_changed_just_now_are_read_again(ten_photos, monkeypatch):
    images = ImageSet.open(ten_photos)
    first = images.hashes
    monkeypatch.setattr(hashes, "_hash", lambda name: "read")
    assert images.hashes == ["read"] * 10 != first


@pytest.mark.parametrize("damage", ["", "{}", "[[1, 2]]", '[["x"], 3]'])
def test_a_damaged_note_of_hashes_is_replaced(ten_photos, cache, damage):
    images = ImageSet.open(ten_photos)
    first = images.sha256
    for note in (cache / "photo-hashes").iterdir():
        note.write_text(damage)
    assert images.sha256 == first


def test_a_cache_that_cannot_be_written_costs_time_only(ten_photos, cache):
    cache.mkdir(parents=True)
    (cache / "photo-hashes").touch()
    assert len(ImageSet.open(ten_photos).hashes) == 10
