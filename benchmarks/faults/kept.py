"""Kinds: what the toolkit keeps for itself: artifacts, notes in the cache, ranges."""

import hashlib
import io
import json
import os
from pathlib import Path

import numpy as np

from benchmarks.faults.kinds import Kind, Specimen, require
from benchmarks.faults.mutators import JSON
from benchmarks.faults.structured import ZIP
from calib.observer import Observer
from calib.tensor_ranges import read_tensor_ranges
from common import files
from common.hashes import cached_sha256
from common.strict_json import FormError
from convert.artifact import load
from data.hashes import content_hashes
from data.preprocess import Preprocess

_CONTENT = b"a model" * 40


def kinds() -> list[Kind]:
    return [
        Kind("artifact", "files of a build, and their manifest", _artifacts,
             ("manifest.json", "manifest.json", "model.bin"), JSON, _artifact, 700),
        Kind("ranges", "tensors.json of an INT8 file", _tensors, ("tensors.json",), JSON,
             _ranges, 400),
        Kind("histograms", "ranges of a calibration, to go on from", _partial, ("p.npz",), ZIP,
             _resumed, 400),
        Kind("note", "notes of hashes in the cache", _notes, ("note.json",), JSON, _noted, 400),
    ]  # fmt: skip


def _artifacts() -> list[Specimen]:
    digest = hashlib.sha256(_CONTENT).hexdigest()
    manifest = {
        "schema": 1, "step": "to_onnx", "model": "AlexNet", "build": "net", "kind": "onnx",
        "precision": "fp32", "key": "k" * 64, "inputs": {"a": "b"}, "parameters": {}, "tools": {},
        "facts": {"weights": "demo", "class_num": 10, "input_shape": [3, 224, 224],
                  "preprocess": Preprocess().to_json()},
        "command": "x", "seconds": 1.5, "made": "2026-01-01T00:00:00+00:00",
        "files": {"model.bin": {"bytes": len(_CONTENT), "sha256": digest, "stamp": [1, 2, 3, 4]}},
    }  # fmt: skip
    return [{"manifest.json": json.dumps(manifest).encode(), "model.bin": _CONTENT}]


def _artifact(folder: Path, _: Specimen) -> bool:
    """A damaged artifact is none, and made again; one that is whole has what steps ask for."""
    found = load(folder)
    if found is None:
        return False
    for name, digest in found.digests().items():
        same = files.sha256(folder / name) == digest
        require(same, f"{name} is not what the manifest lists")
    found.model, found.name, found.key, found.build  # noqa: B018 - each is asked for
    require(all(isinstance(one, str) for one in (found.model, found.name, found.key)), "no text")
    found.preprocess  # noqa: B018
    found.inherited_facts  # noqa: B018
    return True


def _tensors() -> list[Specimen]:
    tensor = {
        "low": -1.0, "high": 2.0, "methods": {"minmax": [-1.0, 2.0], "mse": [-0.5, 1.5]},
        "start": -1.0, "width": 0.5, "counts": [1, 5, 9, 2, 0, 1], "zeros": 0.25,
    }  # fmt: skip
    value = {"schema": 1, "tensors": {"x": tensor, "Relu.0": tensor}, "layers": 2, "in_float": []}
    return [{"tensors.json": json.dumps(value).encode()}]


def _ranges(folder: Path, _: Specimen) -> bool:
    """Its readers leave a file out, with a word, that is not in the form."""
    try:
        found = read_tensor_ranges(folder / "tensors.json")
    except FormError as error:
        require(str(error).isprintable(), "what it says is not printable")
        return False
    require(found is not None, "nothing was read")
    return True


def _network() -> bytes:
    """An ONNX file of two nodes, for photos of 8 × 8 pixels."""
    from onnx import TensorProto, helper, numpy_helper

    weights = np.random.default_rng(0).standard_normal((4, 3, 3, 3), np.float32)
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["a"]),
        helper.make_node("GlobalAveragePool", ["a"], ["p"]),
        helper.make_node("Flatten", ["p"], ["logits"]),
    ]
    ends = [
        helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3, 8, 8]),
        helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", 4]),
    ]
    constants = [numpy_helper.from_array(weights, "w")]
    graph = helper.make_graph(nodes, "toy", ends[:1], ends[1:], constants)
    opsets = [helper.make_opsetid("", 13)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString()


def _observer(folder: Path) -> Observer:
    preprocess = Preprocess(resize_short=8, crop=8).to_json()
    return Observer("net", str(folder / "net.onnx"), str(folder), preprocess, 1)


def _partial() -> list[Specimen]:
    import tempfile

    network = _network()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        (folder / "net.onnx").write_bytes(network)
        observer = _observer(folder)
        observer.fold(np.random.default_rng(0).integers(0, 255, (2, 8, 8, 3), np.uint8))
        observer.save(str(folder / "p.npz"), "key")
        with np.load(folder / "p.npz") as kept:
            stream = io.BytesIO()
            np.savez_compressed(stream, **dict(kept))
    return [{"p.npz": stream.getvalue(), "net.onnx": network}]


def _resumed(folder: Path, _: Specimen) -> bool:
    """A calibration goes on from what was kept, or begins anew, and ends well in both."""
    observer = _observer(folder)
    done = observer.resume(str(folder / "p.npz"), "key")
    require(done in (0, 2), f"{done} photos are said to be done")
    observer.fold(np.random.default_rng(1).integers(0, 255, (2, 8, 8, 3), np.uint8))
    observer.write(str(folder))
    content = files.read_json(folder / "ranges.json")
    require(content["photos"] == done + 2, "another number of photos")
    return done > 0


def _notes() -> list[Specimen]:
    """The notes of one file's hash; where they lie, and their stamps, are put in when read."""
    one = {"path": "PATH", "stamp": [1, 2, 3, 4], "sha256": "c" * 64}
    return [
        {"note.json": json.dumps(one).encode(), "one.bin": _CONTENT},
        {"note.json": json.dumps([[[1, 2, 3, 4], "c" * 64]]).encode(), "many.bin": _CONTENT},
    ]


def _noted(folder: Path, good: Specimen) -> bool:
    """A hash is that of the file, whatever its note says that is not of this very file."""
    os.environ["XDG_CACHE_HOME"] = str(folder / "cache")
    path = (folder / list(good)[1]).resolve()
    one = path.name == "one.bin"
    name = hashlib.sha256(str(path).encode()).hexdigest() if one else files.sha256_of([str(path)])
    place = folder / "cache" / "paddle-portage" / ("hashes" if one else "photo-hashes")
    place.mkdir(parents=True)
    (place / f"{name}.json").write_bytes((folder / "note.json").read_bytes())
    found = cached_sha256(path) if one else content_hashes([path])[0]
    require(found == hashlib.sha256(_CONTENT).hexdigest(), "another hash")
    return True
