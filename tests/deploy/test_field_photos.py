"""Photos and lists as users have them, through the commands."""

import json

import pytest

from tests.colours import write_photos
from tests.conftest import assert_refused

HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100)


@pytest.fixture
def photos(tmp_path):
    """Class folders of two classes, three photos each."""
    return write_photos(tmp_path / "photos", 3, ("cat", "dog"))


@pytest.fixture
def evaluate(command, built):
    """Judge random weights of two classes by some photos."""

    def run(data, *arguments, **environment):
        return command(
            *("deploy/evaluate.py", "--model", "SqueezeNet1_1", "--name", "field", "--classes", 2),
            *("--weights", "random", "--data", data, "--json", *arguments),
            BUILD_DIR=built,
            **environment,
        )

    return run


def test_a_windows_list_with_chinese_paths_on_a_terminal_of_another_encoding(evaluate, photos):
    (photos / "cat").rename(photos / "猫 á")
    names = sorted(path.name for path in (photos / "猫 á").iterdir())
    lines = [f'"猫 á\\{name}",0' for name in names] + ["dog\\" + names[0] + ",1"]
    listing = photos / "训练.txt"
    listing.write_bytes("\r\n".join(lines).encode("gb18030"))
    done = evaluate(listing, LC_ALL="en_US.ISO-8859-1", PYTHONIOENCODING="ascii")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["data"]["images"] == 4
    said = "??.txt: 4 photos of 2 classes (GBK; commas between path and label; backslashes as"
    assert said in done.stderr

    (photos / "猫 á").rename(photos / "gone")
    done = evaluate(listing, LC_ALL="en_US.ISO-8859-1", PYTHONIOENCODING="ascii")
    assert_refused(done, "3 of 4 photos are absent", f"\\{names[0]}")


def test_what_is_no_list_is_never_printed(evaluate, photos, tmp_path):
    (tmp_path / "list.txt").write_bytes(bytes(range(256)) * 3)
    done = evaluate(tmp_path / "list.txt")
    assert_refused(done, "list.txt: no text, where a list of photos or names is a text file")
    assert done.stderr.isascii()
    assert "\x1b" not in done.stderr


def test_photos_are_not_lost_without_a_word_and_junk_is_none(evaluate, photos):
    for place in (photos, photos / "cat"):
        (place / "@eaDir").mkdir()
        (place / "@eaDir" / "1.jpg").write_bytes(b"thumbnail")
        (place / ".DS_Store").write_bytes(b"Bud1")
    before = evaluate(photos)
    assert before.returncode == 0, before.stderr
    assert json.loads(before.stdout)["data"]["images"] == 6

    (photos / "dog" / "new.heic").write_bytes(HEIC)
    refused = evaluate(photos)
    assert_refused(refused, "1 of 7 photos cannot be read: ", "dog/new.heic (HEIC, which is not")
    done = evaluate(photos, "--skip-bad")
    assert done.returncode == 0, done.stderr
    found, was = json.loads(done.stdout)["data"], json.loads(before.stdout)["data"]
    assert (found["images"], found["skipped"]) == (6, 1)
    assert found["sha256"] == was["sha256"]
    assert "photos: 1 of 7 left out: " in done.stderr


@pytest.mark.parametrize(
    "command_line",
    [
        ["deploy/evaluate.py", "--model", "SqueezeNet1_1", "--weights", "random"],
        ["training/adapt.py", "--model", "SqueezeNet1_1", "--init", "random"],
        ["training/train.py", "--model", "SqueezeNet1_1"],
    ],
    ids=["evaluate", "adapt", "train"],
)
def test_what_needs_labels_says_so(command, photos, command_line):
    done = command(*command_line, "--data", photos / "cat")
    assert_refused(done, "cat: 3 photos, but neither a val_list.txt", "photos need labels here")
