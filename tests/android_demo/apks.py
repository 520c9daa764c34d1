"""What the tests of `make apk` put in, and how they read what comes out."""

import io
import struct
import subprocess
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from convert.artifact import Build, Step, produce
from deploy.packages.signature import sign
from tests.android_demo import java

MODELS = {"lite-arm": "model.nb", "onnx": "model.onnx"}
_LOCAL_HEADER = 30
_CLASS_DEF_BYTES = 32


def write_package(
    target: str, content: bytes, model: str = "Tiny", key: Path | None = None
) -> Path:
    """A package of the build folder, as far as `make apk` looks into it; returns its folder.

    With a private key it is signed.
    """
    name = f"{model}-{target}-fp32"

    def make(folder: Path) -> dict:
        (folder / name / "golden").mkdir(parents=True)
        (folder / name / MODELS[target]).write_bytes(content)
        (folder / name / "manifest.json").write_text("{}\n")
        (folder / name / "golden" / "crops.bin").write_bytes(bytes(3000))
        if key:
            sign(folder / name, key)
        (folder / f"{name}.zip").write_bytes(b"not for the app")
        return {"content": name, "weights": "random"}

    step = Step("package", Build(model, model), "package", f"{target}-fp32", {}, {}, {}, ())
    return produce(step, make, shows=f"{name}.zip").file(name)


def shared_object(machine: int, *needed: str, page: int = 16384) -> bytes:
    """The smallest library for Android of 64 bits: a segment to load, and what it is linked to."""
    header, segment, tag = 64, 56, 16
    names, strings = [], b"\0"
    for name in needed:
        names.append(len(strings))
        strings += name.encode() + b"\0"
    dynamic_at = header + 2 * segment
    strings_at = dynamic_at + tag * (len(needed) + 2)
    tags = [(1, name) for name in names] + [(5, strings_at), (0, 0)]
    dynamic = b"".join(struct.pack("<qQ", *one) for one in tags)
    size = strings_at + len(strings)
    identity = b"\x7fELF" + bytes([2, 1, 1]) + bytes(9)
    head = identity + struct.pack("<HHIQQQIHHHHHH", 3, machine, 1, 0, 64, 0, 0, 64, 56, 2, 0, 0, 0)
    load = struct.pack("<IIQQQQQQ", 1, 5, 0, 0, 0, size, size, page)
    linked = struct.pack(
        "<IIQQQQQQ", 2, 4, dynamic_at, dynamic_at, 0, len(dynamic), len(dynamic), 8
    )
    return head + load + linked + dynamic + strings


ARM64, X86_64 = 183, 62


def jar_of_stubs(folder: Path, root: str) -> bytes:
    """The engines' interfaces below `root` ("com" or "ai"), compiled: an engine's jar."""
    sources = java.sources_of(java.SOURCES / "stubs" / "java" / root)
    classes = java.compile_java(sources, folder / f"{root}-classes")
    jar = io.BytesIO()
    with zipfile.ZipFile(jar, "w") as archive:
        for path in sorted(classes.rglob("*.class")):
            archive.write(path, path.relative_to(classes).as_posix())
    return jar.getvalue()


def write_paddle_lite(path: Path, jar: bytes, library: bytes) -> Path:
    """An archive laid out as Paddle Lite's official ones."""
    root = "inference_lite_lib.android.armv8.clang.c++_shared.with_extra.with_cv"
    parts = {
        f"{root}/java/jar/PaddlePredictor.jar": jar,
        f"{root}/java/so/libpaddle_lite_jni.so": library,
        f"{root}/cxx/lib/libpaddle_light_api_shared.so": library,
    }
    with tarfile.open(path, "w:gz") as archive:
        for name, data in parts.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def write_aar(path: Path, jar: bytes, libraries: dict[str, bytes]) -> Path:
    """An archive laid out as ONNX Runtime's for Android; libraries by "abi/name"."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("classes.jar", jar)
        for name, data in libraries.items():
            archive.writestr(f"jni/{name}", data)
    return path


@dataclass(frozen=True)
class Entry:
    """How a file lies in an APK."""

    stored: bool
    start: int
    content: bytes


def entries(apk: Path) -> dict[str, Entry]:
    """Every file of an APK; `start` is where its content begins, in bytes."""
    data = apk.read_bytes()
    found = {}
    with zipfile.ZipFile(apk) as archive:
        for info in archive.infolist():
            name, extra = struct.unpack_from("<HH", data, info.header_offset + 26)
            start = info.header_offset + _LOCAL_HEADER + name + extra
            stored = info.compress_type == zipfile.ZIP_STORED
            found[info.filename] = Entry(stored, start, archive.read(info))
    return found


def classes_in(dex: bytes) -> set[str]:
    """The classes that a dex file defines, e.g. "ai.onnxruntime.OrtSession".

    Android's Dalvik executable format: the header's tables of strings, types and class definitions.
    """
    strings_at, _, types_at, *_, count, at = struct.unpack_from("<12I", dex, 60)[:12]
    count, at = struct.unpack_from("<2I", dex, 96)

    def type_name(index: int) -> str:
        [string] = struct.unpack_from("<I", dex, types_at + 4 * index)
        [start] = struct.unpack_from("<I", dex, strings_at + 4 * string)
        while dex[start] & 0x80:  # the string's length, of which its end tells too
            start += 1
        return dex[start + 1 : dex.index(b"\0", start + 1)].decode()

    types = [
        struct.unpack_from("<I", dex, at + _CLASS_DEF_BYTES * index)[0] for index in range(count)
    ]
    return {type_name(index)[1:-1].replace("/", ".") for index in types}


def aapt2(tools, *words: object) -> str:
    """What aapt2 says about an APK."""
    done = subprocess.run(
        [tools.aapt2, *map(str, words)], capture_output=True, text=True, timeout=60, check=True
    )
    return done.stdout
