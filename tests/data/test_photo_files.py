"""What in a folder is a photo, what is left out with a reason, and what is passed over."""

import ctypes
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from common.console import say_once
from common.errors import UserError
from common.paths import ROOT
from data.crops import load_crops
from data.images import ImageSet
from data.photo_files import image_kind, photos_in
from data.photo_folders import AS_FOUND
from data.preprocess import Preprocess
from tests.data.conftest import encoded, picture

HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100)
JPEG = encoded(picture(60, 50))


@pytest.fixture(autouse=True)
def unsaid():
    """What a command says once, each test may say."""
    say_once.cache_clear()


@pytest.fixture
def pets(tmp_path):
    """Two class folders with a photo each; more files by `pets({"cat/2": b"…"})`."""

    def make(files: dict[str, bytes]) -> Path:
        root = tmp_path / "pets"
        for file, data in {"cat/1.jpg": JPEG, "dog/1.jpg": JPEG, **files}.items():
            (root / file).parent.mkdir(parents=True, exist_ok=True)
            (root / file).write_bytes(data)
        return root

    return make


def found(root: Path) -> list[str]:
    return [path.relative_to(root).as_posix() for path in ImageSet.open(root, 2).paths]


# ---- what is a photo ----


def test_content_decides_where_a_name_does_not(pets, capsys):
    png = encoded(picture(20, 20), "PNG")
    root = pets({"cat/IMG_2": JPEG, "dog/x.dat": png, "dog/notes": b"text", "dog/a.xml": b"<a/>"})
    assert found(root) == ["cat/1.jpg", "cat/IMG_2", "dog/1.jpg", "dog/x.dat"]
    said = capsys.readouterr().err
    assert "pets: 2 photos are known by their content, not by their names: cat/IMG_2, dog/x" in said


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP", "JPEG2000", "PPM"])
def test_kinds_are_known_by_their_first_bytes(kind):
    assert image_kind(encoded(picture(9, 9), kind)[:32])


@pytest.mark.parametrize(
    "data", [b"", b"BM text", b"P1x", b"ftyp", b"{}", bytes(32), b"RIFF0000WAVE"]
)
def test_other_files_are_none(data):
    assert image_kind(data) is None


def test_heic_is_named_and_refused_as_in_a_list(pets, capsys):
    images = ImageSet.open(pets({"dog/2.heic": HEIC, "dog/3": HEIC}), 2)
    with pytest.raises(UserError) as caught:
        load_crops(images, Preprocess())
    said = str(caught.value)
    assert said.startswith("2 of 4 photos cannot be read: ")
    assert "dog/2.heic (HEIC, which is not read here: save it as JPEG)" in said
    assert "go on without them with --skip-bad" in said
    crops = load_crops(images, Preprocess(), skip_bad=True)
    assert (len(crops), len(crops.skipped)) == (2, 2)
    assert "pets: 2 of 4 left out: " in capsys.readouterr().err


def test_photos_beside_class_folders_are_of_no_class(pets):
    images = ImageSet.open(pets({"preview.jpg": JPEG, "README.md": b"# Pets"}), 2)
    assert len(images) == 2
    with pytest.raises(UserError, match=r"1 of 3 .*preview\.jpg \(beside the class folders\)"):
        load_crops(images, Preprocess())
    assert len(load_crops(images, Preprocess(), skip_bad=True)) == 2


def test_what_stands_for_a_photo_that_is_elsewhere_is_named(pets):
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"
    images = ImageSet.open(pets({"cat/.2.jpg.icloud": b"bplist", "dog/2.jpg": pointer}), 2)
    with pytest.raises(UserError) as caught:
        load_crops(images, Preprocess())
    assert "cat/2.jpg (in iCloud only: download it)" in str(caught.value)
    assert "dog/2.jpg (no photo but what Git LFS has for it: run git lfs pull)" in str(caught.value)


def test_heic_that_is_called_jpg(pets):
    with pytest.raises(UserError, match=r"2\.jpg \(HEIC, which is not read here"):
        load_crops(ImageSet.open(pets({"cat/2.jpg": HEIC}), 2), Preprocess())


# ---- links and permissions ----


def test_links_to_folders_are_followed_and_loops_are_not_gone_round(pets, tmp_path):
    root = pets({})
    elsewhere = tmp_path / "elsewhere" / "deep"
    elsewhere.mkdir(parents=True)
    (elsewhere / "2.jpg").write_bytes(JPEG)
    (root / "cat" / "more").symlink_to(elsewhere.parent)
    (elsewhere / "up").symlink_to(root / "cat")
    (root / "dog" / "me").symlink_to(root / "dog")
    (root / "dog" / "self").symlink_to("self")
    assert found(root) == ["cat/1.jpg", "cat/more/deep/2.jpg", "dog/1.jpg"]


def test_a_class_folder_may_be_a_link(pets, tmp_path):
    root = pets({})
    (root / "dog").rename(tmp_path / "dogs")
    (root / "dog").symlink_to(tmp_path / "dogs")
    assert found(root) == ["cat/1.jpg", "dog/1.jpg"]


def test_links_to_nothing_are_named(pets):
    root = pets({})
    (root / "dog" / "lost.jpg").symlink_to("/nowhere.jpg")
    with pytest.raises(UserError, match=r"1 of 3 .*lost\.jpg \(a link to nothing\)"):
        load_crops(ImageSet.open(root, 2), Preprocess())


def test_pipes_are_not_opened(pets):
    root = pets({})
    os.mkfifo(root / "cat" / "pipe.jpg")
    os.mkfifo(root / "cat" / "pipe")
    assert found(root) == ["cat/1.jpg", "dog/1.jpg"]


_PR_CAPBSET_DROP = 24
_DAC_OVERRIDE, _DAC_READ_SEARCH = 1, 2


def _obey_permissions() -> None:
    """In a child, before its program starts: root too is refused what a mode forbids."""
    for capability in (_DAC_OVERRIDE, _DAC_READ_SEARCH):
        ctypes.CDLL(None).prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)


def test_folders_without_permission_are_named(pets):
    root = pets({"dog/closed/2.jpg": JPEG, "dog/closed/3.jpg": JPEG})
    closed = root / "dog" / "closed"
    closed.chmod(0)
    script = (
        "import json, sys; from data.images import ImageSet; "
        "left = ImageSet.open(sys.argv[1], 2).left_out; "
        "print(json.dumps({str(path): why for path, why in left.items()}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, root],
        preexec_fn=_obey_permissions,
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    closed.chmod(0o700)
    assert json.loads(done.stdout or "null") == {str(closed): "permission denied"}, done.stderr


# ---- folders that are no classes ----


@pytest.mark.parametrize("names", [("training", "validation"), ("Train", "Valid", "Test")])
def test_parts_of_a_set_are_no_classes(tmp_path, names):
    for name in names:
        (tmp_path / name / "cat").mkdir(parents=True)
        (tmp_path / name / "cat" / "1.jpg").write_bytes(JPEG)
    with pytest.raises(UserError, match=r"look like parts of a set.*call them train and val"):
        ImageSet.open(tmp_path, len(names))


def test_class_folders_one_folder_deeper(pets):
    root = pets({})
    for class_num in (2, None, 1000):
        with pytest.raises(
            UserError, match=r"one folder in it, pets, and 2 in that; .*give .*/pets"
        ):
            ImageSet.open(root.parent, class_num)


# ---- what systems leave ----


@pytest.mark.parametrize(
    "folder",
    [".ipynb_checkpoints", ".thumbnails", "@eaDir", "__MACOSX", "#recycle", "$RECYCLE.BIN"],
)
def test_folders_that_systems_leave_are_neither_classes_nor_photos(pets, folder):
    files = {f"{where}{folder}/1.jpg": JPEG for where in ("", "cat/", "dog/deep/")}
    assert found(pets(files)) == ["cat/1.jpg", "dog/1.jpg"]


def test_files_that_systems_leave_are_no_photos(pets):
    files = {"cat/._1.jpg": b"\0\5\x16\7", "cat/.DS_Store": b"Bud1", "Thumbs.db": JPEG}
    root = pets({**files, "dog/Thumbs.db": JPEG, "dog/desktop.ini": b"[x]", "dog/.hidden": JPEG})
    assert found(root) == ["cat/1.jpg", "dog/1.jpg"]
    assert ImageSet.open(root, 2).left_out == {}
    assert len(ImageSet.open(root / "dog", labels=AS_FOUND)) == 1


def test_the_order_is_that_of_paths(pets):
    root = pets({"cat/b/1.jpg": JPEG, "cat/a.jpg": JPEG, "cat/B.jpg": JPEG})
    assert photos_in(root).photos == sorted(root.glob("**/*.jpg"))
