"""Kinds: files that native runtimes open, each in a child, as every command does it.

The good files are made by the toolkit's own commands, once for a campaign. A child that survived a
file takes the next one, too: starting one takes longer than most files.
"""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.faults.kinds import Kind, Specimen, require
from benchmarks.faults.mutators import BYTES, TEXT, Mutator, boundary_integer, mutated
from common.errors import StepError
from common.paths import ROOT, build_root
from deploy.targets import TARGETS
from deploy.verdict.drift import measure_drift
from deploy.verdict.judging_photos import require_logits
from runtimes.session_pool import SessionPool, SessionSpec
from runtimes.worker import Worker

MODEL, CLASSES = "SqueezeNet1_1", 10
_SIDE = 224
_LIMIT = 600  # seconds to make the good files

_worker: Worker | None = None


def kinds() -> list[Kind]:
    protobuf = (*(fields,) * 8, *BYTES)
    return [
        _kind("onnx", "ONNX Runtime", "onnx", ("model.onnx",), protobuf, 300),
        _kind("onnx-opencv", "OpenCV", "opencv", ("model.onnx",), protobuf, 150),
        _kind("pdmodel", "Paddle Inference", "paddle", ("inference.pdmodel",), protobuf, 150),
        _kind("pdiparams", "Paddle Inference", "paddle", ("inference.pdiparams",), BYTES, 80),
        _kind("openvino-xml", "OpenVINO", "openvino", ("model.xml",), (*(_xml,) * 8, *BYTES), 200),
        _kind("openvino-bin", "OpenVINO", "openvino", ("model.bin",), BYTES, 60),
        _kind("ncnn-param", "ncnn", "ncnn", ("model.param",), TEXT, 250),
        _kind("ncnn-bin", "ncnn", "ncnn", ("model.bin",), BYTES, 80),
        _kind("mnn", "MNN", "mnn", ("model.mnn",), BYTES, 200),
        _kind("nb", "Paddle Lite", "lite-x86", ("model.nb",), BYTES, 150),
    ]


def _kind(
    name: str,
    reader: str,
    target: str,
    damaged: tuple[str, ...],
    mutators: tuple[Mutator, ...],
    wanted: int,
) -> Kind:
    spec = TARGETS[target].session_spec("fp32")
    return Kind(
        name, reader, lambda: [_good(target)], damaged, mutators, _reader(spec), wanted,
        native=True, batch=20,
    )  # fmt: skip


# ---- good files ----

_FILES = {
    "onnx": ("onnx", ("model.onnx",)),
    "opencv": ("onnx", ("model.onnx",)),
    "paddle": ("inference", ("inference.pdmodel", "inference.pdiparams")),
    "openvino": ("openvino", ("model.xml", "model.bin")),
    "ncnn": ("ncnn", ("model.param", "model.bin")),
    "mnn": ("mnn", ("model.mnn",)),
    "lite-x86": ("lite-x86", ("model.nb",)),
}


def good_folder(target: str) -> Path:
    """Where a target's good file lies, which is made where it is missing."""
    kind, names = _FILES[target]
    folder = build_root() / "campaign" / "good" / MODEL / kind / "fp32"
    if not (folder / names[0]).exists():
        _make(target)
    return folder


def _good(target: str) -> Specimen:
    folder = good_folder(target)
    return {name: (folder / name).read_bytes() for name in _FILES[target][1]}


def _make(target: str) -> None:
    """Have the toolkit's own commands make a target's file; StepError where they do not."""
    own = {"BUILD_DIR": str(build_root() / "campaign" / "good")}
    weights = ("--weights", "random", "--classes", str(CLASSES))
    for words in (
        ("convert/export.py", "--model", MODEL, *weights),
        ("deploy/build.py", "--model", MODEL, "--target", target, "--precision", "fp32"),
    ):
        done = subprocess.run(
            [sys.executable, ROOT / words[0], *words[1:]],
            capture_output=True, text=True, timeout=_LIMIT, env=os.environ | own, check=False,
        )  # fmt: skip
        if done.returncode:
            raise StepError(f"{words[0]} made no good {target} file: {done.stderr[-300:]}")


# ---- reading ----


def _reader(spec: SessionSpec) -> Callable[[Path, Specimen], bool]:
    def read(folder: Path, _: Specimen) -> bool:
        """Logits of two photos, and their drift from others, as `make validate` works them out."""
        batch = np.random.default_rng(0).standard_normal((2, 3, _SIDE, _SIDE), np.float32)
        worker = _opened(spec)
        try:
            worker.open(
                spec.session, folder=str(folder), precision="fp32", threads=1, **spec.options
            )
            logits = SessionPool([worker])([batch], _silent, 2)
            require_logits(logits, 2, CLASSES, "a damaged file")
        except StepError:
            _close()
            raise
        drift = measure_drift(np.zeros((2, CLASSES), np.float32), logits, None)
        require(drift.images == 2, "not two photos")
        return True

    return read


def _silent(done: int, total: int | None) -> None:
    """No progress is shown."""


def _opened(spec: SessionSpec) -> Worker:
    global _worker  # noqa: PLW0603 - of the campaign's child, which ends with it
    if _worker is None:
        _worker = Worker(spec.environment, f"a session of {spec.session}").__enter__()
    return _worker


def _close() -> None:
    global _worker  # noqa: PLW0603
    if _worker is not None:
        _worker.__exit__()
    _worker = None


# ---- structure ----


def fields(rng, data: bytes) -> bytes:
    """A field of a protobuf message changed: its number, its type, its length, its integer; or the
    field put twice, or taken out (Protocol Buffers' encoding: varints and lengths)."""
    places = list(_walk(data, 0, len(data), 0))
    if not places:
        return mutated(rng, data, BYTES)
    start, inner, end = rng.choice(places)
    what = rng.randrange(6)
    if what == 0:
        return data[:start] + data[end:]
    if what == 1:
        return data[:end] + data[start:end] * rng.choice((1, 1, 50)) + data[end:]
    if what == 2:
        return data[:start] + bytes([rng.randrange(256)]) + data[start + 1 :]
    if what == 3:
        huge = b"\xff" * rng.randrange(1, 10) + b"\x7f"
        return data[: start + 1] + huge + data[inner:]
    content = data[inner:end]
    changed = boundary_integer(rng, content) if len(content) < 64 else mutated(rng, content, BYTES)
    return data[:inner] + changed[: len(content)].ljust(len(content), b"\0") + data[end:]


def _walk(data: bytes, at: int, end: int, depth: int):
    """(start, content, end) of the fields of a message, and of those within that are messages."""
    found = []
    while at < end:
        start, (tag, at) = at, _varint(data, at, end)
        wire = tag & 7
        inner = at
        if wire == 0:
            _, at = _varint(data, at, end)
        elif wire == 2:
            size, inner = _varint(data, at, end)
            at = inner + size
        elif wire in (1, 5):
            at += 8 if wire == 1 else 4
        else:
            return []
        if at > end or at <= start or not tag >> 3:
            return []
        found.append((start, inner, at))
        if wire == 2 and depth < 4 and at - inner < 1 << 16:
            found += _walk(data, inner, at, depth + 1)
    return found


def _varint(data: bytes, at: int, end: int) -> tuple[int, int]:
    value = shift = 0
    while at < end and shift < 70:
        value |= (data[at] & 127) << shift
        at, shift = at + 1, shift + 7
        if not data[at - 1] & 128:
            return value, at
    return 0, end + 1


_ATTRIBUTE = re.compile(rb'"([^"]*)"')


def _xml(rng, data: bytes) -> bytes:
    """A value of an attribute changed, or an element put twice or taken out."""
    values = list(_ATTRIBUTE.finditer(data))
    if not values:
        return mutated(rng, data, BYTES)
    one = rng.choice(values)
    other = rng.choice(values)[1]
    number = str(rng.choice((0, -1, 1, 2, 3, 2**31, 2**32, 2**63, 10**30))).encode()
    what = rng.randrange(5)
    if what < 3:
        new = rng.choice((other, number, number, b"", b"x" * 3000, b"&lt;", b"1,-1,3"))
        return data[: one.start(1)] + new + data[one.end(1) :]
    start = data.rfind(b"<", 0, one.start())
    end = data.find(b">", one.end()) + 1
    return data[:end] + (data[start:end] * 2 if what == 3 else b"") + data[end:]
