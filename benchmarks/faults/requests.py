"""Kinds: requests to `make serve`, over REST and gRPC (KServe v2), one server for many of them.

A request is refused with a status of its protocol for mistakes and a sentence, or answered by the
logits of what it brought. The server answers a good one right afterwards. Triton is foreign code: a
crash of it has to become the command's own sentence, as that of a native runtime.
"""

import functools
import json
import math
import os
import random
import re
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.faults.kinds import Kind, Specimen, require
from benchmarks.faults.mutators import BYTES, TEXT, Mutator, json_values
from benchmarks.faults.native import CLASSES, MODEL, fields, good_folder
from benchmarks.faults.photos import encoded
from benchmarks.faults.server import GOOD_HEAD, TENSOR, Server, inference, posted
from benchmarks.faults.structured import JPEG
from common.errors import StepError
from data.decode import BadPhotoError, decode_photo
from models.registry import MODELS
from runtimes.sessions.onnx_runtime import Session
from runtimes.worker import Worker

_LINES, _HEAD, _BODY = "lines.http", "head.json", "body.bin"
_MESSAGE, _METHOD = "message.bin", "method.txt"
_PHOTO = f"{MODEL}_photo"
_HUGE = (0, -1, 33, 2**31, 2**32, 2**40, 2**63 - 1, 2**63, 2**64, 10**30, 1.5, "1", None, True)

_server: Server | None = None
_settings: dict[str, str] = {}  # the environment before a case has its own


def kinds() -> list[Kind]:
    rest, grpc = "a server's REST", "a server's gRPC"
    json_ = (*(_words,) * 6, *(json_values,) * 6, *BYTES)
    http = (*(_numbers,) * 6, *TEXT)
    message = (*(fields,) * 12, *BYTES)
    return [
        _kind("rest-json", rest, _json_requests, (_HEAD,), json_, 600, _ask_rest),
        _kind("rest-http", rest, _http_requests, (_LINES,), http, 500, _ask_rest),
        _kind("rest-bytes", rest, _byte_requests, (_BODY,), BYTES, 300, _ask_rest),
        _kind("rest-photo", rest, _photo_requests, (_BODY,), JPEG, 400, _ask_rest),
        _kind("grpc", grpc, _messages, (_MESSAGE,), message, 700, _ask_grpc),
    ]


def _kind(name, reader, make, damaged, mutators: tuple[Mutator, ...], wanted, ask) -> Kind:
    def made() -> list[Specimen]:
        _settings.update(os.environ)
        _session()
        return make()

    return Kind(name, reader, made, damaged, mutators, _sound(ask), wanted, native=True)


def _sound(ask):
    """A reader that also looks after the server."""

    def read(folder: Path, good: Specimen) -> bool:
        global _server  # noqa: PLW0603 - of the campaign's child, which ends with it
        _server = _server or Server(_good_folder().parents[2], _settings)
        before = _server.memory()
        try:
            answered = ask(_server, folder)
        finally:
            try:
                _server.require_sound(before)
            except StepError:
                _server.end()
                _server = None
                raise
        return answered

    return read


# ---- REST ----


def _json_requests() -> list[Specimen]:
    photo = encoded("JPEG")
    asked = [
        (MODEL, GOOD_HEAD, TENSOR.tobytes()),
        (MODEL, inference(_TENSOR, TENSOR.nbytes, classification=3), TENSOR.tobytes()),
        (_PHOTO, inference(_FILE, len(photo) + 4), _counted(photo)),
    ]
    return [
        {_LINES: posted(model, "HEAD", "ALL"), _HEAD: head, _BODY: body}
        for model, head, body in asked
    ]


def _http_requests() -> list[Specimen]:
    found = [
        {_LINES: f"GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode()}
        for path in ("/v2/health/ready", "/v2", f"/v2/models/{MODEL}", f"/v2/models/{_PHOTO}/stats",
                     f"/v2/models/{MODEL}/versions/1/config")
    ]  # fmt: skip
    body = TENSOR.tobytes()
    whole = posted(MODEL, GOOD_HEAD, len(GOOD_HEAD) + len(body))
    chunks = b"".join(
        f"{len(part):x}\r\n".encode() + part + b"\r\n"
        for part in (GOOD_HEAD, body[:1000], body[1000:], b"")
    )
    chunked = re.sub(rb"Content-Length: \d+\r\nConn", b"Transfer-Encoding: chunked\r\nConn", whole)
    return [
        *({_HEAD: b"", _BODY: b"", **one} for one in found),
        {_LINES: whole, _HEAD: GOOD_HEAD, _BODY: body},
        {_LINES: chunked + chunks, _HEAD: b"", _BODY: b""},
    ]


def _byte_requests() -> list[Specimen]:
    """The length that is said is that of the good one, or that of what is sent."""
    body = TENSOR.tobytes()
    said = posted(MODEL, GOOD_HEAD, len(GOOD_HEAD) + len(body))
    return [
        {_LINES: lines, _HEAD: GOOD_HEAD, _BODY: body}
        for lines in (said, posted(MODEL, "HEAD", "ALL"))
    ]


def _photo_requests() -> list[Specimen]:
    """A file as it is, with one header: `curl --data-binary @photo.jpg`."""
    return [
        {_LINES: posted(_PHOTO, "0", "ALL"), _HEAD: b"", _BODY: encoded("JPEG", mode)}
        for mode in ("RGB", "L")
    ]


_TENSOR = {"name": "x", "datatype": "FP32", "shape": TENSOR.shape}
_FILE = {"name": "photo", "datatype": "BYTES", "shape": [1, 1]}


def _counted(data: bytes) -> bytes:
    return len(data).to_bytes(4, "little") + data


def _ask_rest(server: Server, folder: Path) -> bool:
    lines, head, body = ((folder / name).read_bytes() for name in (_LINES, _HEAD, _BODY))
    size = len(head) + len(body)
    whole = b": ALL\r\n" in lines
    lines = lines.replace(b": HEAD\r\n", b": %d\r\n" % len(head))
    answer = server.ask(lines.replace(b": ALL\r\n", b": %d\r\n" % size) + head + body)
    if not answer:
        require(not whole, "a whole request got no answer")
        return False
    # Triton answers in the version that it was asked in, a wrong one, too.
    answer = re.sub(rb"\AHTTP/\S+ 100 Continue\r\n\r\n", b"", answer)
    first, _, rest = answer.partition(b"\r\n")
    found = re.match(rb"HTTP/\S+ (\d{3})", first)
    require(found, f"no HTTP: {first[:60]!r}")
    status = int(found[1]) if found else 0
    headers, _, content = rest.partition(b"\r\n\r\n")
    if packed := re.search(rb"(?i)content-encoding: *(gzip|deflate)", headers):
        content = zlib.decompress(content, 31 if packed[1] == b"gzip" else 15)
    if status != 200:
        _require_refusal(status, content)
        return False
    if b"/infer " in lines.partition(b"\r\n")[0]:
        expected = None
        if head == GOOD_HEAD:
            expected = _logits(body[: TENSOR.nbytes])
        elif b": 0\r\n" in lines and not head:
            photo = b"_photo/" in lines.partition(b"\r\n")[0]
            expected = _decided(body) if photo else _logits(body[: TENSOR.nbytes])
        _require_logits(headers, content, expected)
    return True


def _require_refusal(status: int, content: bytes) -> None:
    """A client's mistake by its status, or an error that says what is wrong (Triton has status 500
    for JSON that is none); one line, and nothing of how the server is made."""
    try:
        said = json.loads(content)["error"] if content else ""
    except (ValueError, KeyError, TypeError):
        said = ""
    require(400 <= status < 500 or (status == 500 and said), f"status {status}")
    _require_words(content.decode(errors="replace"))


def _require_words(said: str) -> None:
    # Triton quotes names back; what is damaged is in a JSON string, and harms no terminal.
    for word in ("Traceback", 'File "', "At:\n", ".py("):
        require(word not in said, "a traceback for the client")


def _require_logits(headers: bytes, content: bytes, expected: np.ndarray | None) -> None:
    length = re.search(rb"(?i)inference-header-content-length: *(\d+)", headers)
    end = int(length[1]) if length else len(content)
    for output in json.loads(content[:end])["outputs"]:
        if output["datatype"] != "FP32":  # classes, which have names
            continue
        shape = output["shape"]
        _require_shape(shape)
        if end == len(content):
            require(len(output["data"]) == math.prod(shape), "another number of logits")
            continue
        logits = np.frombuffer(content[end:], np.float32).reshape(shape)
        if expected is not None:
            same = np.allclose(logits, expected, rtol=1e-4, atol=1e-4, equal_nan=True)
            require(same, "other logits")


def _require_shape(shape: Sequence[int]) -> None:
    # Triton takes a batch of 0, or of 2^32, that brings a photo for one without a batch.
    require(len(shape) in (1, 2) and shape[-1] == CLASSES, "no logits")


@functools.cache
def _good_folder() -> Path:
    return good_folder("onnx")


@functools.cache
def _session() -> Session:
    return Session(str(_good_folder()), "fp32", threads=1)


def _logits(data: bytes) -> np.ndarray:
    return _session().run(np.frombuffer(data, np.float32).reshape(TENSOR.shape))


def _decided(data: bytes) -> np.ndarray:
    preprocess = MODELS[MODEL].preprocess
    try:
        crop = preprocess.crop_photo(decode_photo(data))
    except BadPhotoError:
        require(False, "logits of what is no photo")
    return _session().run(preprocess.normalize(crop[None]))


# ---- gRPC ----


@functools.cache
def _client() -> Worker:
    return Worker("serve", "asking by gRPC").__enter__()


def _messages() -> list[Specimen]:
    made = _client().call("benchmarks.faults.asking:messages", model=MODEL, photo=encoded("JPEG"))
    return [{_METHOD: method.encode(), _MESSAGE: message} for method, message in made]


def _ask_grpc(server: Server, folder: Path) -> bool:
    method = (folder / _METHOD).read_text()
    message = (folder / _MESSAGE).read_bytes()
    code, said, logits = _client().call(
        "benchmarks.faults.asking:ask", address=server.grpc, method=method, message=message
    )
    if code != "OK":
        require(code in _REFUSALS, f"status {code}")
        _require_words(said)
        return False
    if logits is not None:
        _require_shape(logits.shape)
    return True


# INTERNAL is gRPC's own for bytes that are no such message.
_REFUSALS = (
    *("INVALID_ARGUMENT", "NOT_FOUND", "OUT_OF_RANGE", "UNIMPLEMENTED", "UNAVAILABLE"),
    *("FAILED_PRECONDITION", "RESOURCE_EXHAUSTED", "INTERNAL"),
)


# ---- damage ----


def _words(rng: random.Random, data: bytes) -> bytes:
    """A request's JSON with what the protocol has words for: sizes, shapes, types, names, shared
    memory, values in JSON, inputs and outputs that are twice there or are none."""
    try:
        tree = json.loads(data)
        _say_otherwise(rng, tree)
        return json.dumps(tree).encode()
    except (AttributeError, LookupError, RecursionError, TypeError, ValueError):
        return json_values(rng, data)  # it is damaged already


def _say_otherwise(rng: random.Random, tree: dict) -> None:
    [entry] = tree["inputs"]
    [output] = tree["outputs"]
    what = rng.randrange(10)
    if what == 0:
        entry["parameters"]["binary_data_size"] = rng.choice(_HUGE)
    elif what == 1:
        entry["shape"][rng.randrange(len(entry["shape"]))] = rng.choice(_HUGE)
    elif what == 2:
        entry["shape"] = rng.choice(([], [1] * 1000, [2**32, 2**32], [-1, 3, 224, 224], 7, [[1]]))
    elif what == 3:
        entry["datatype"] = rng.choice(("FP16", "FP64", "BYTES", "BOOL", "BF16", "", "x" * 9999))
    elif what == 4:
        entry["data"] = rng.choice(([], [1, 2], [[[0.5]]], ["a"], [1e39], "a", [[]] * 1000, None))
        if rng.random() < 0.7:
            del entry["parameters"]
    elif what == 5:
        entry["parameters"]["shared_memory_region"] = rng.choice(("a", "/dev/mem", ""))
        entry["parameters"]["shared_memory_byte_size"] = rng.choice(_HUGE)
        entry["parameters"]["shared_memory_offset"] = rng.choice(_HUGE)
    elif what == 6:
        tree["inputs"] += [dict(entry)] * rng.choice((1, 1000))
    elif what == 7:
        tree["outputs"] += [output | {"name": rng.choice(("logits", "x", ""))}] * rng.choice(
            (1, 99)
        )
    elif what == 8:
        output["parameters"] = {"classification": rng.choice(_HUGE)}
    else:
        names = ("sequence_id", "priority", "timeout", "sequence_start", "binary_data_output")
        tree["parameters"] = {rng.choice(names): rng.choice((*_HUGE, "a" * 9999))}


def _numbers(rng: random.Random, data: bytes) -> bytes:
    """A number in the lines of HTTP changed, a line twice there, or one more; or a body of very
    many chunks, for which servers were seen to take room on the stack."""
    lines = data.split(b"\r\n\r\n")[0]
    numbers = list(re.finditer(rb"\d+", lines))
    other = str(rng.choice((0, 1, -1, 2**31, 2**32, 2**63, 2**64, 10**40, "0x10", ""))).encode()
    what = rng.randrange(9)
    if what == 8:
        lines = re.sub(rb"\r\nContent-Length: \d+", b"", lines)
        many = rng.choice((3, 1000, 500_000)) * b"1\r\n{\r\n"
        return lines + b"\r\nTransfer-Encoding: chunked\r\n\r\n" + many + b"0\r\n\r\n"
    if what < 4 and numbers:
        one = rng.choice(numbers)
        return data[: one.start()] + other + data[one.end() :]
    more = rng.choice(_MORE)
    if what < 6:
        more = b"\r\n" + rng.choice(lines.split(b"\r\n")[1:] or [b"a: b"])
    return lines + more + data[len(lines) :]


_MORE = (
    b"\r\nTransfer-Encoding: chunked", b"\r\nContent-Encoding: gzip", b"\r\nExpect: 100-continue",
    b"\r\nContent-Encoding: deflate", b"\r\nAccept-Encoding: gzip", b"\r\nX: " + b"a" * 100000,
    b"\r\nX: a" * 5000, b"\r\nUpgrade: h2c", b"\r\nContent-Length: 5", b"\r\n\r\n",
    b"\r\nX\0: \xff",
    b"\r\nInference-Header-Content-Length: 99999999999999999999",
    b"\r\nInference-Header-Content-Length: -5",
)  # fmt: skip
