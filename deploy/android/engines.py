"""The engines' libraries, fetched or given: read from their archives, checked, described."""

import dataclasses
import hashlib
import io
import tarfile
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

from common import files
from common.console import say
from common.elf import read_library
from common.errors import UserError
from common.paths import absolute, cache_root
from common.registries.maven import maven_artifact
from runtimes.paddle_lite_arm import library

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


# Android's words for processors. Phones have the first; emulators and Chromebooks the second.
ABIS = ("arm64-v8a", "x86_64", "armeabi-v7a", "x86")

OPENCV_VERSION = "4.12.0"  # of requirements/toolkit-no-deps.in
_OPENCV = (
    "org.opencv",
    "opencv",
    OPENCV_VERSION,
    "f71846a313388d9da667a59be1e921669fcf792d1ba264b3898253ca789bc3f0",
)


@dataclasses.dataclass(frozen=True)
class _Form:
    """Where an engine's parts lie in its archive, and what is said of it.

    In `libraries` "{abi}" stands for an ABI, where the archive has a folder for each. `what` says
    in error messages what the archive should have been. Of the jar only the Java packages `only`
    go into the app, where they are named.
    """

    name: str
    jar: str
    libraries: str
    what: str
    licence: str
    only: tuple[str, ...] = ()


_OPENCV_FORM = _Form(
    "OpenCV",
    "classes.jar",
    "jni/{abi}/*.so",
    f"it should be org.opencv's opencv-{OPENCV_VERSION}.aar",
    # What the library says that it was built with (cv::getBuildInformation).
    "Apache-2.0. Linked into it: KleidiCV, TBB, ADE, FlatBuffers (Apache-2.0), carotene, "
    "Protobuf, libwebp, OpenJPEG, OpenEXR, ITT, cpufeatures (BSD), libjpeg-turbo (IJG, BSD), "
    "libpng (libpng), libtiff (libtiff); for x86 Intel IPP (Intel Simplified Software License)."
    " libc++: Apache-2.0 with LLVM's exception",
    ("org/opencv/core/", "org/opencv/dnn/", "org/opencv/imgproc/", "org/opencv/utils/"),
)
_PADDLE_LITE_FORM = _Form(
    "Paddle Lite",
    "java/jar/PaddlePredictor.jar",
    "java/so/*.so",
    "give the official archive inference_lite_lib.android.….tar.gz (with_extra), its folder, "
    f"or the word {library.OFFICIAL}",
    "Apache-2.0",
)
_ONNX_RUNTIME_FORM = _Form(
    "ONNX Runtime",
    "classes.jar",
    "jni/{abi}/*.so",
    "give com.microsoft.onnxruntime's onnxruntime-android-….aar",
    "MIT",
)


@dataclasses.dataclass(frozen=True)
class EngineLibrary:
    """An engine's Java classes and native libraries, by ABI and name; `sha256` is the archive's."""

    name: str
    sha256: str
    jar: bytes
    native: Mapping[tuple[str, str], bytes]
    licence: str

    @property
    def abis(self) -> list[str]:
        return sorted({abi for abi, _ in self.native})

    def to_json(self) -> dict:
        """What the app can say about the library inside it."""
        return {"sha256": self.sha256, "abis": self.abis, "licence": self.licence}


def opencv(abis: Sequence[str]) -> EngineLibrary:
    """OpenCV's Android archive, from Maven Central (once, 118 MB)."""
    return _library(_OPENCV_FORM, maven_artifact(*_OPENCV, extension="aar"), abis)


def paddle_lite(named: str | Path, abis: Sequence[str]) -> EngineLibrary:
    """Paddle Lite's official Android archive (.tar.gz), or the folder that it unpacks to.

    The word "official" fetches the archive; the first one is trusted, and no other later.
    """
    official = named == library.OFFICIAL
    path = library.official_archive("android") if official else absolute(named)
    return _library(_PADDLE_LITE_FORM, path, abis)


def onnxruntime(path: Path, abis: Sequence[str]) -> EngineLibrary:
    """ONNX Runtime's Android archive (.aar)."""
    return _library(_ONNX_RUNTIME_FORM, path, abis)


def _library(form: _Form, path: Path, abis: Sequence[str]) -> EngineLibrary:
    """Read an engine's archive, of its libraries those for the ABIs that are asked for."""
    libraries = {form.libraries.format(abi=abi) for abi in abis}
    found, sha256 = _read(path, (form.jar, *libraries), form.what)
    jars = [data for member, data in found.items() if member.endswith(".jar")]
    if len(jars) != 1:
        raise UserError(f"{path}: {form.jar} is not inside; {form.what}")
    inside = {
        (_abi(path, member, data, form.what), member.rpartition("/")[2]): data
        for member, data in found.items()
        if member.endswith(".so")
    }
    native = {key: data for key, data in inside.items() if key[0] in abis}
    if not native:
        raise UserError(
            f"{path}: no native library (.so) for {', '.join(abis)} is inside; {form.what}, or "
            "name an ABI that it has: ABIS="
        )
    engine = EngineLibrary(form.name, sha256, _jar(path, jars[0], form), native, form.licence)
    for abi in abis:
        if abi not in engine.abis:
            say(f"  note: {form.name} has no library for {abi}: there its models will not run")
    _warn(engine)
    _record(path, engine)
    return engine


def _jar(path: Path, data: bytes, form: _Form) -> bytes:
    """The engine's jar, or the part of it that the app uses."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as jar:
            if not form.only:
                return data
            part = io.BytesIO()
            with zipfile.ZipFile(part, "w") as copy:
                for info in jar.infolist():
                    if info.filename.startswith(form.only):
                        copy.writestr(info, jar.read(info))
            return part.getvalue()
    except zipfile.BadZipFile:
        raise UserError(f"{path}: its jar is damaged; {form.what}") from None


def _warn(engine: EngineLibrary) -> None:
    """Say what a phone would refuse to load."""
    inside = {name for _, name in engine.native}
    for (abi, name), data in sorted(engine.native.items()):
        facts = read_library(data)
        assert facts, "its ABI was read"
        if abi in ("arm64-v8a", "x86_64") and facts.page < _LARGE_PAGE:
            say(
                f"  note: {name} ({abi}) is aligned to {facts.page} bytes: phones with pages of "
                "16 KB will not load it"
            )
        for needed in facts.needed:
            if needed not in _SYSTEM | inside:
                say(f"  note: {name} ({abi}) needs {needed}, which is not in the archive")


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
    facts = read_library(data)
    if facts is None:
        raise UserError(f"{path}: {name} is not a library for Android, or is damaged; {what}")
    return facts.abi


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
