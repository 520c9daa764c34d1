"""Kinds: what comes from elsewhere: packages, phones' results, results, servers' words."""

import hashlib
import io
import json
import zipfile
from pathlib import Path
from typing import Any

from benchmarks.faults.kinds import Kind, Specimen, require
from benchmarks.faults.mutators import BYTES, JSON
from benchmarks.faults.structured import ZIP
from common.paths import build_root
from deploy.gpu.record import read_check
from deploy.packages.package import MANIFEST, SCHEMA
from deploy.packages.received import check_files, unpacked
from deploy.phones.phone_result import import_results
from deploy.reports.runs import results_in
from deploy.verdict.result import Result
from runtimes.served.description import describe

_SHA = "ab" * 32
_ZIP = "net.zip"


def kinds() -> list[Kind]:
    return [
        Kind("package-zip", "make verify", _zips, (_ZIP,), ZIP, _zip, 1300),
        Kind("package-folder", "make verify", _folders, _NAMES, (*JSON, *BYTES), _folder, 400),
        Kind("phone-result", "make validate IMPORT=", _phones, ("r.json",), JSON, _phone, 800),
        Kind("results", "make report AGAINST=", _results, ("r.json",), JSON, _result, 600),
        Kind("gpu-check", "make report GPU_CHECK=", _checks, ("g.json",), JSON, _check, 200),
        Kind("served", "a server's description", _served, ("s.json",), JSON, _server, 500),
    ]


# ---- packages ----

_FILES = {
    "model.onnx": b"\x08\x08" + bytes(range(256)) * 20,
    "labels.txt": b"cat\ndog\n",
    "preprocess.json": b'{"crop": 224}\n',
    "golden/crops.bin": bytes(1000),
    "golden/golden.json": b'{"count": 1, "labels": [0]}\n',
}
_NAMES = (*_FILES, MANIFEST)


def _package() -> dict[str, bytes]:
    listed = {
        name: {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
        for name, data in _FILES.items()
    }
    about = {
        **{"schema": SCHEMA, "model": "AlexNet", "name": "net", "target": "onnx"},
        **{"precision": "fp32", "weights": "demo", "weights_sha256": _SHA, "files": listed},
    }
    return {**_FILES, MANIFEST: json.dumps(about).encode()}


def _folders() -> list[Specimen]:
    return [_package()]


def _zips() -> list[Specimen]:
    found: list[Specimen] = []
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w", method) as archive:
            for name, data in sorted(_package().items()):
                archive.writestr(zipfile.ZipInfo(name), data, method)
        found.append({_ZIP: stream.getvalue()})
    return found


def _folder(folder: Path, _: Specimen) -> bool:
    """What `make verify` takes for whole is the very files that the manifest lists."""
    about = check_files(folder, "net")
    for name, listed in about.files.items():
        data = (folder / name).read_bytes()
        same = hashlib.sha256(data).hexdigest() == listed.sha256 and len(data) == listed.bytes
        require(same, f"{name} is not what the manifest lists")
    str(about.origin)
    return True


def _zip(folder: Path, good: Specimen) -> bool:
    with unpacked(folder / _ZIP) as content:
        return _folder(content, good)


# ---- phones' results ----


def _phones_words(images: int = 4) -> dict[str, Any]:
    return {
        "schema": 2, "model": "SqueezeNet1_1", "name": "SqueezeNet1_1", "target": "lite-arm",
        "precision": "fp32", "weights": "demo", "host": {"name": "phone", "isa": ["arm64-v8a"]},
        "execution": "native", "files": {"model.nb": "b" * 64}, "verdict": "pass",
        "reason": "4 of 4 decisions agree",
        "data": {"name": "demo", "images": images, "sha256": "a" * 64},
        "reference": {"runtime": "paddle", "top1": 0.75, "top5": 1.0},
        "measured": {"top1": 0.75, "top5": 1.0},
        "drift": {
            "top1_pp": 0.0, "agreement": 1.0, "gained": 0, "lost": 0, "flips_beyond_tie": 0,
            "max_abs": 1e-5, "max_rel": 4e-7, "non_finite": 0, "non_finite_photos": 0,
        },
        "decisions": [7, 8, 9, 10][:images],
        "budget": {"kind": "numeric", "limit": "relative logit difference <= 1e-03"},
        "latency": {"1": {"median_ms": 20.1, "p90_ms": 21.0, "p99_ms": 25.2, "runs": 200}},
        "environment": {
            "device": "Maker Phone 8", "soc": "unknown", "abi": "arm64-v8a", "android": "14",
            "engine": "paddle-lite", "versions": {"app": "1.0"}, "threads": 4,
        },
    }  # fmt: skip


def _phones() -> list[Specimen]:
    half = _phones_words() | {"precision": "int8"}
    return [{"r.json": json.dumps(one).encode()} for one in (_phones_words(), half)]


def _phone(folder: Path, _: Specimen) -> bool:
    """What is imported is kept within the build folder, and is a result again."""
    [one] = import_results([folder / "r.json"])
    _require_sound(one)
    kept = list(build_root().rglob("*.json"))
    require(len(kept) == 1, f"{len(kept)} files were kept")
    require(kept[0].parent == build_root() / one.name / "results", "kept elsewhere")
    return True


def _require_sound(one: Result) -> None:
    require(one.verdict in ("pass", "fail", "undecided", "unavailable"), "no verdict")
    require(one.reason.isprintable(), "its reason is not printable")
    if one.verdict == "pass" and one.drift:
        require(one.drift.non_finite == 0, "a pass with logits that are not finite")
        require(one.drift.flips_beyond_tie == 0 or one.precision != "fp32", "a pass with flips")


# ---- results of other runs ----


def _results() -> list[Specimen]:
    one = _phones_words()
    one |= {"toolkit": "0.2.0", "target": "onnx", "host": {"name": "local", "isa": ["avx2"]}}
    one["environment"] = {"cpu": "a CPU", "threads": 2, "versions": {"onnxruntime": "1.0"}}
    one["drift"] |= {"ci95_pp": [-1.0, 1.0], "ci_method": "a method"}
    two = one | {"precision": "fp16"}
    lines = "\n".join(map(json.dumps, (one, two)))
    return [{"r.json": text.encode()} for text in (json.dumps(one), json.dumps([one, two]), lines)]


def _result(folder: Path, _: Specimen) -> bool:
    found = results_in(folder / "r.json")
    require(found and all(isinstance(one, Result) for one in found), "no results")
    return True


def _checks() -> list[Specimen]:
    part = {"name": "engine AlexNet fp32", "status": "ok", "reason": "made", "seconds": 3.5}
    machine = {"gpus": ["a GPU (sm_75)"], "driver": "1", "target": "trt-t4", "toolkit": "0.2.0"}
    value = {"schema": 1, "machine": machine, "parts": [part, part | {"name": "drift"}]}
    return [{"g.json": json.dumps(value).encode()}]


def _check(folder: Path, _: Specimen) -> bool:
    require(read_check(folder / "g.json").machine.toolkit is not None, "no toolkit")
    return True


# ---- servers ----


def _served() -> list[Specimen]:
    server = {"name": "triton", "version": "2.54", "extensions": ["binary_tensor_data"]}
    model = {
        "name": "net", "versions": ["1"], "platform": "onnxruntime_onnx",
        "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 3, 224, 224]}],
        "outputs": [{"name": "logits", "datatype": "FP32", "shape": [-1, 10]}],
    }  # fmt: skip
    photos = model | {"inputs": [{"name": "file", "datatype": "BYTES", "shape": [-1, 1]}]}
    config = {"max_batch_size": 8}
    values = [{"server": server, "model": one, "config": config} for one in (model, photos)]
    return [{"s.json": json.dumps(value).encode()} for value in values]


def _server(folder: Path, _: Specimen) -> bool:
    """A description that a server answers with; what is no JSON the client refuses itself."""
    try:
        said = json.loads((folder / "s.json").read_text())
        server, model, config = said["server"], said["model"], said["config"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return False
    found = describe("http://host:8000", server, model, config, 10, 224)
    require(found["takes"] in ("tensors", "photos"), "it takes nothing")
    require(isinstance(found["batch"], int) and found["batch"] >= 1, "no batch")
    require(isinstance(found["output"], str), "no output")
    return True
