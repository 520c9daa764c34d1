"""The engines' libraries that the user gives: read from their archives, checked, described."""

import dataclasses
import hashlib
import io
import tarfile
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from common import files
from common.console import say
from common.elf import read_library
from common.errors import UserError
from common.paths import cache_root

# What Android itself offers to apps (the NDK's stable libraries); everything else must be inside.
_SYSTEM = {
    f"lib{name}.so"
    for name in (
        *("c", "m", "dl", "log", "android", "z", "jnigraphics", "EGL", "GLESv1_CM", "GLESv2"),
        *("GLESv3", "OpenSLES", "OpenMAXAL", "mediandk", "vulkan", "aaudio", "camera2ndk"),
        *("neuralnetworks", "amidi", "nativewindow", "sync", "binder_ndk", "stdc++"),
    )
}
_LARGE_PAGE = 16384
_LARGEST = 1 << 30


@dataclasses.dataclass(frozen=True)
class EngineLibrary:
    """An engine's Java classes and native libraries, by ABI and name; `sha256` is the archive's."""

    name: str
    sha256: str
    jar: bytes
    native: Mapping[tuple[str, str], bytes]

    @property
    def abis(self) -> list[str]:
        return sorted({abi for abi, _ in self.native})

    def to_json(self) -> dict:
        """What the app can say about the library inside it."""
        return {"sha256": self.sha256, "abis": self.abis}


def paddle_lite(path: Path) -> EngineLibrary:
    """Paddle Lite's official Android archive (.tar.gz), or the folder that it unpacks to."""
    what = (
        "give the official archive inference_lite_lib.android.….tar.gz (with_extra), or its folder"
    )
    return _library("Paddle Lite", path, "java/jar/PaddlePredictor.jar", "java/so/*.so", what)


def onnxruntime(path: Path) -> EngineLibrary:
    """ONNX Runtime's Android archive (.aar)."""
    what = "give com.microsoft.onnxruntime's onnxruntime-android-….aar"
    return _library("ONNX Runtime", path, "classes.jar", "jni/*/*.so", what)


def _library(name: str, path: Path, jar: str, libraries: str, what: str) -> EngineLibrary:
    """Read an engine's archive; `what` says in error messages what it should have been."""
    found, sha256 = _read(path, (jar, libraries), what)
    jars = [data for member, data in found.items() if member.endswith(".jar")]
    if len(jars) != 1:
        raise UserError(f"{path}: {jar} is not inside; {what}")
    native = {
        (_abi(path, member, data, what), member.rpartition("/")[2]): data
        for member, data in found.items()
        if member.endswith(".so")
    }
    return _checked(path, EngineLibrary(name, sha256, jars[0], native), what)


def _checked(path: Path, engine: EngineLibrary, what: str) -> EngineLibrary:
    """Refuse an engine without a library; warn of what a phone would refuse to load."""
    if not engine.native:
        raise UserError(f"{path}: no native library (.so) is inside; {what}")
    try:
        with zipfile.ZipFile(io.BytesIO(engine.jar)) as jar:
            jar.namelist()
    except zipfile.BadZipFile:
        raise UserError(f"{path}: its jar is damaged; {what}") from None
    inside = {name for _, name in engine.native}
    for (abi, name), data in sorted(engine.native.items()):
        library = read_library(data)
        if library is None:
            raise UserError(f"{path}: {name} ({abi}) is not a library for Android; {what}")
        if abi in ("arm64-v8a", "x86_64") and library.page < _LARGE_PAGE:
            say(
                f"  note: {name} ({abi}) is aligned to {library.page} bytes: phones with pages of "
                "16 KB will not load it"
            )
        for needed in library.needed:
            if needed not in _SYSTEM | inside:
                say(f"  note: {name} ({abi}) needs {needed}, which is not in the archive")
    _record(path, engine)
    return engine


def _record(path: Path, engine: EngineLibrary) -> None:
    """Say the archive's hash, and that it changed since a file of this name was first used.

    No checksums are published: the first one seen is what later ones are compared with.
    """
    note = cache_root() / "android" / "engines.json"
    with files.locked(note.with_name(".engines.lock")):
        known = files.read_json(note) or {}
        before = known.setdefault(path.name, engine.sha256)
        files.write_json(note, known)
    say(f"  {engine.name}: {', '.join(engine.abis)}, sha256 {engine.sha256}")
    if before != engine.sha256:
        say(f"  note: {path.name} is another file than when first used (sha256 {before[:12]}…)")


def _abi(path: Path, name: str, data: bytes, what: str) -> str:
    library = read_library(data)
    if library is None:
        raise UserError(f"{path}: {name} is not a library for Android, or is damaged; {what}")
    return library.abi


def _read(path: Path, wanted: tuple[str, ...], what: str) -> tuple[dict[str, bytes], str]:
    """The files of an archive or a folder whose paths end like one of `wanted`, and a hash."""
    if path.is_dir():
        found = {
            file.relative_to(path).as_posix(): file.read_bytes()
            for file in sorted(path.rglob("*"))
            if file.is_file() and _is_wanted(file.relative_to(path).as_posix(), wanted)
        }
        listing = {name: hashlib.sha256(data).hexdigest() for name, data in found.items()}
        return found, files.sha256_of(listing)
    if not path.is_file():
        raise UserError(f"{path}: there is no such file or folder; {what}")
    try:
        unpack = _from_zip if zipfile.is_zipfile(path) else _from_tar
        return unpack(path, wanted), files.sha256(path)
    except (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError, RuntimeError):
        raise UserError(f"{path} cannot be read: no archive, or a damaged one; {what}") from None
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error}; {what}") from None


def _from_zip(path: Path, wanted: tuple[str, ...]) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        names = [i.filename for i in archive.infolist() if i.file_size < _LARGEST]
        return {name: archive.read(name) for name in names if _is_wanted(name, wanted)}


def _from_tar(path: Path, wanted: tuple[str, ...]) -> dict[str, bytes]:
    with tarfile.open(path) as archive:
        return {
            member.name: files.archived(archive, member).read()
            for member in archive
            if member.isfile() and member.size < _LARGEST and _is_wanted(member.name, wanted)
        }


def _is_wanted(name: str, wanted: tuple[str, ...]) -> bool:
    return any(PurePosixPath(name).match(pattern) for pattern in wanted)
