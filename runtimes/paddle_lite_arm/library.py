"""Paddle Lite's C++ library for ARM: what the user gives, or the official release; checked.

Archives are named inference_lite_lib.<system>.armv8.….tar.gz, and hold, somewhere, the folders
cxx/include and cxx/lib.
"""

import dataclasses
import os
import tarfile
import zlib
from pathlib import Path, PurePosixPath
from typing import Literal

from common import console, fetch, files
from common.console import say
from common.elf import read_library
from common.errors import UserError
from common.paths import absolute, cache_root

VARIABLE = "PADDLE_LITE_ARM"
OFFICIAL = "official"
FILE = "libpaddle_light_api_shared.so"
HEADER = "paddle_api.h"
ASK = f"{VARIABLE}=archive, folder or {OFFICIAL}"
System = Literal["linux", "android"]
# Of the optimizer in .venv-lite.
RELEASE = "https://github.com/PaddlePaddle/Paddle-Lite/releases/download/v2.14-rc"
# with_extra: AlexNet, ResNeSt50, the Twins and, in int8, the SqueezeNets need it.
ARCHIVES: dict[System, str] = {
    "linux": "inference_lite_lib.armlinux.armv8.gcc.with_extra.with_cv.tar.gz",
    "android": "inference_lite_lib.android.armv8.clang.c++_shared.with_extra.with_cv.tar.gz",
}
_WANTED = (f"cxx/lib/{FILE}", "cxx/include/*.h")
_WHAT = (
    "give the official archive inference_lite_lib.armlinux.armv8.gcc.with_extra.….tar.gz (for a "
    f"phone: android.armv8.clang), the folder that it unpacks to, or the word {OFFICIAL}"
)
_ABI = "arm64-v8a"  # Android's word for what Linux calls aarch64
# Only Android's C library has this name.
_ANDROIDS = "libc.so"


@dataclasses.dataclass(frozen=True)
class Library:
    """The folders of the headers and of the library; `sha256` identifies the content of both."""

    given: str
    include: Path
    lib: Path
    system: System
    sha256: str

    @property
    def file(self) -> Path:
        return self.lib / FILE


def given() -> str:
    """What PADDLE_LITE_ARM names: a path or a word; "" where it is not set."""
    return os.environ.get(VARIABLE, "")


def find_library(named: str, system: System = "linux") -> Library:
    """The library that is named so; UserError where it is none for 64-bit ARM.

    The official archive, for a system, is fetched first where it is not in the cache yet; what
    else is named may be for either.
    """
    if named == OFFICIAL:
        return _checked(f"{OFFICIAL} ({system})", _unpacked(official_archive(system)))
    path = absolute(named)
    if path.is_dir():
        return _checked(str(path), _folder(path))
    if not path.is_file():
        raise UserError(f"{VARIABLE}={named}: there is no such file or folder; {_WHAT}")
    return _checked(str(path), _unpacked(path))


def official_archive(system: System) -> Path:
    """The release's archive, fetched where it is not in the cache yet; the first one is trusted."""
    url = f"{RELEASE}/{ARCHIVES[system]}"
    with console.progress("Paddle Lite's library for ARM", "bytes") as progress:
        return fetch.download(url, _cache(), progress=progress)


def _cache() -> Path:
    return cache_root() / "paddle-lite-arm"


def _folder(path: Path) -> Path:
    """The folder, at a path or below, that has the library's `include` and `lib`."""
    found = sorted(header.parents[1] for header in path.rglob(f"include/{HEADER}"))
    if len(found) != 1:
        where = f"{len(found)} times" if found else "not"
        raise UserError(f"{VARIABLE}={path}: include/{HEADER} is {where} inside; {_WHAT}")
    return found[0]


def _unpacked(archive: Path) -> Path:
    """The folder with an archive's headers and library, in the cache by the archive's content."""
    folder = _cache() / files.sha256(archive)[:16]
    with files.locked(folder.with_suffix(".lock")):
        if not folder.exists():
            with files.atomic_folder(folder) as scratch:
                _unpack(archive, scratch)
    return folder


def _unpack(archive: Path, scratch: Path) -> None:
    try:
        with tarfile.open(archive) as opened:
            for member in opened:
                path = PurePosixPath(member.name)
                if member.isfile() and any(path.match(pattern) for pattern in _WANTED):
                    target = scratch / path.parent.name / path.name
                    if target.exists():
                        raise UserError(f"{archive}: {path.name} is inside twice; {_WHAT}")
                    target.parent.mkdir(exist_ok=True)
                    target.write_bytes(files.archived(opened, member).read())
    except (tarfile.TarError, zlib.error, EOFError, OSError) as error:
        if isinstance(error, OSError) and error.errno:  # no space left, and the like
            raise
        raise UserError(f"{archive} is no archive, or a damaged one; {_WHAT}") from None


def _checked(named: str, folder: Path) -> Library:
    include, lib = folder / "include", folder / "lib"
    file = lib / FILE
    for path in (include / HEADER, file):
        if not path.is_file():
            inside = path.relative_to(folder)
            raise UserError(f"{VARIABLE}={named}: {inside} is not inside; {_WHAT}")
    found = read_library(file)
    if found is None:
        raise UserError(f"{VARIABLE}={named}: {FILE} is no library, or a damaged one; {_WHAT}")
    if found.abi != _ABI:
        raise UserError(
            f"{VARIABLE}={named}: its library is for {found.abi} and not for 64-bit ARM "
            f"(armv8); {_WHAT}"
        )
    listing = {path.name: files.sha256(path) for path in (*sorted(include.glob("*.h")), file)}
    system: System = "android" if _ANDROIDS in found.needed else "linux"
    library = Library(named, include, lib, system, files.sha256_of(listing))
    _note(library)
    return library


def _note(library: Library) -> None:
    """Say which library it is, where it is another one than when last used under this name.

    No checksums are published: the first one seen is what later ones are compared with.
    """
    note = _cache() / "known.json"
    with files.locked(note.with_suffix(".lock")):
        known = files.read_json(note)
        known = known if isinstance(known, dict) else {}
        before = known.get(library.given)
        if before != library.sha256:
            files.write_json(note, known | {library.given: library.sha256})
    if before not in (None, library.sha256):
        say(f"  note: {library.given} holds another library than before (sha256 {before[:12]}…)")
