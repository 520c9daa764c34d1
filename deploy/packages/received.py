"""A package from elsewhere, a folder or a zip, which nobody has to trust.

Of a zip only what its manifest lists is unpacked, with the size that it lists, so that no name
leads out of the folder and no archive grows.
"""

import contextlib
import lzma
import shutil
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import IO

from pydantic import ConfigDict
from pydantic.dataclasses import dataclass

from common import files
from common.console import shown
from common.errors import UserError
from common.strict_json import STRICT, FormError, decode, parse, short
from common.temporary import temporary_folder
from deploy.packages.package import MANIFEST, SCHEMA
from deploy.packages.signature import SIGNATURE

_LARGEST_TEXT = 4 << 20  # bytes of a manifest, or of a signature
_BLOCK = 1 << 20
# What zipfile raises for a damaged archive, and what it lets through of those that unpack.
_NO_ZIP = (
    *(zipfile.BadZipFile, NotImplementedError, EOFError, RuntimeError, ValueError, struct.error),
    *(zlib.error, lzma.LZMAError),
)
# A manifest says more than a receiver reads.
_OPEN = ConfigDict(extra="ignore", strict=True, defer_build=True)


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Listed:
    """A file of the package: its SHA-256 and its size in bytes."""

    sha256: str
    bytes: int


@dataclass(frozen=True, kw_only=True, config=_OPEN)
class About:
    """What a receiver wants to know of a package; its manifest says more (docs/package.md)."""

    schema: int
    model: str
    name: str
    target: str
    precision: str
    weights: str
    weights_sha256: str
    files: dict[str, Listed]

    @property
    def origin(self) -> str:
        """Of which weights it was made."""
        digest = self.weights_sha256[:12]
        return (
            f"weights {digest}"
            if self.weights == self.weights_sha256
            else (f"{self.weights} weights {digest}")
        )


@contextlib.contextmanager
def unpacked(path: Path) -> Iterator[Path]:
    """The folder of a package: its own, or that of a zip, which goes when the block ends.

    Raises UserError for what is neither, and for a zip that holds what no package does.
    """
    if path.is_dir():
        yield path
        return
    with temporary_folder() as scratch:
        folder = scratch / path.stem
        folder.mkdir()
        try:
            with zipfile.ZipFile(path) as archive:
                _unpack(archive, folder, shown(path))
        except FileNotFoundError:
            raise UserError(f"{shown(path)} is not there; name a package or its zip") from None
        except _NO_ZIP as error:
            raise UserError(f"{shown(path)} is no whole zip: {str(error)[:150]}") from None
        except OSError as error:
            why = error.strerror or str(error)[:150]  # bzip2's own have none
            raise UserError(f"{shown(path)} cannot be unpacked: {why}") from None
        yield folder


def check_files(folder: Path, where: str) -> About:
    """Hold every file of a package that the user knows as `where` against the manifest.

    Raises UserError, which names the first file that is missing, changed, unlisted or a link.
    """
    manifest = folder / MANIFEST
    if not manifest.is_file() or manifest.is_symlink():
        raise UserError(f"{where} is no package: it has no {MANIFEST}")
    with manifest.open("rb") as stream:
        about = _about(stream, f"{where}: {MANIFEST}")
    known = {*about.files, MANIFEST, SIGNATURE}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink():
            raise UserError(f"{where}: {name} is a link; a package has none")
        if not path.is_dir() and name not in known:
            raise UserError(f"{where} has a file that its manifest does not list: {short(name)}")
    for name, listed in about.files.items():
        _check_file(folder / name, listed, f"{where}: {name}")
    return about


def _check_file(path: Path, listed: Listed, where: str) -> None:
    if not path.is_file():
        raise UserError(f"{where} is missing; copy the whole package again")
    size = path.stat().st_size
    if size != listed.bytes:
        raise UserError(
            f"{where} was changed: it has {size} bytes, and the manifest says {listed.bytes}"
        )
    if (found := files.sha256(path)) != listed.sha256:
        raise UserError(
            f"{where} was changed: its sha256 begins with {found[:12]}, and the manifest says "
            f"{short(listed.sha256[:12])}"
        )


def _about(stream: IO[bytes], where: str) -> About:
    """A manifest, read strictly."""
    data = stream.read(_LARGEST_TEXT + 1)
    try:
        if len(data) > _LARGEST_TEXT:
            raise FormError("it is too large for a manifest")
        about = decode(About, parse(data.decode()))
    except (FormError, UnicodeDecodeError) as error:
        raise UserError(f"{where} is no manifest of a package: {error}") from None
    if about.schema != SCHEMA:
        raise UserError(
            f"{where} is of form {about.schema}, and this toolkit reads form {SCHEMA}; make the "
            "package again, or use the toolkit that made it"
        )
    for name in about.files:
        if not _is_inside(name) or name in (MANIFEST, SIGNATURE):
            raise UserError(f"{where} names a file that is none of a package's: {short(name)}")
    return about


def _is_inside(name: str) -> bool:
    """Whether a name leads to a file below the package's folder, and is written in one way only."""
    path = PurePosixPath(name)
    plain = name.isprintable() and "\\" not in name and ":" not in name
    return plain and not path.is_absolute() and ".." not in path.parts and str(path) == name


def _unpack(archive: zipfile.ZipFile, folder: Path, where: str) -> None:
    entries = _entries(archive, where)
    if MANIFEST not in entries:
        raise UserError(f"{where} is no package: it has no {MANIFEST} at its root")
    with archive.open(entries[MANIFEST]) as stream:
        about = _about(stream, f"{where}: {MANIFEST}")
    sizes = {name: listed.bytes for name, listed in about.files.items()}
    for name in (MANIFEST, SIGNATURE):
        if name in entries:
            sizes[name] = min(entries[name].file_size, _LARGEST_TEXT)
    for name in sorted(entries.keys() - sizes.keys()):
        raise UserError(f"{where} has a file that its manifest does not list: {short(name)}")
    if (room := shutil.disk_usage(folder).free) < sum(sizes.values()):
        raise UserError(
            f"{where} does not fit into {shown(folder.parent)}: {sum(sizes.values())} bytes, and "
            f"{room} are free; TMPDIR names another folder"
        )
    for name, entry in entries.items():
        destination = folder / name
        destination.parent.mkdir(parents=True, exist_ok=True)
        with archive.open(entry) as source, destination.open("wb") as file:
            _copy(source, file, sizes[name], f"{where}: {name}")


def _entries(archive: zipfile.ZipFile, where: str) -> Mapping[str, zipfile.ZipInfo]:
    """The files of an archive by their names; UserError for a name that is twice there, leads
    elsewhere, or is no file's."""
    found: dict[str, zipfile.ZipInfo] = {}
    for entry in archive.infolist():
        if entry.filename.endswith("/"):  # is_dir() breaks where there is no name
            continue
        name = entry.filename
        mode = entry.external_attr >> 16
        if not _is_inside(name) or entry.orig_filename != name:
            raise UserError(f"{where} names a file outside of its folder: {short(name)}")
        if stat.S_IFMT(mode) not in (0, stat.S_IFREG):
            raise UserError(f"{where} has what is no file, but a link or a device: {short(name)}")
        if name in found:
            raise UserError(f"{where} has two files of one name: {short(name)}")
        found[name] = entry
    return found


def _copy(source: IO[bytes], destination: IO[bytes], size: int, where: str) -> None:
    """Copy exactly so many bytes."""
    left = size
    while block := source.read(min(_BLOCK, left + 1)):
        left -= len(block)
        if left < 0:
            break
        destination.write(block)
    if left:
        raise UserError(f"{where} was changed: the manifest says {size} bytes, it has other")
