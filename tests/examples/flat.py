"""A package whose network gives its input back: each logit is a value of the prepared photo."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto, helper, save

from common import files
from data.preprocess import Preprocess

SMALL = Preprocess(resize_short=2, crop=2)  # twelve "classes"


def make_flat(folder: Path, preprocess: Preprocess = SMALL, **about: Any) -> Path:
    """The folder of such a package; `about` is for its manifest."""
    side, classes = preprocess.crop, 3 * preprocess.crop**2
    shapes = {"x": ["n", 3, side, side], "logits": ["n", classes]}
    values = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in shapes.items()
    ]
    node = helper.make_node("Flatten", ["x"], ["logits"], axis=1)
    graph = helper.make_graph([node], "flat", values[:1], values[1:])
    folder.mkdir()
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    save(model, folder / "model.onnx")
    (folder / "preprocess.json").write_text(json.dumps(preprocess.to_json()))
    (folder / "labels.txt").write_text("".join(f"value {i}\n" for i in range(classes)))
    list_files(folder, **about)
    return folder


def add_golden(folder: Path, crops: np.ndarray, logits: np.ndarray, gate: str = "numeric") -> None:
    """Give it golden photos: crops uint8 [N, S, S, 3], logits float32 [N, classes]."""
    (folder / "golden").mkdir(exist_ok=True)
    crops.tofile(folder / "golden" / "crops.bin")
    logits.astype("<f4").tofile(folder / "golden" / "logits.bin")
    list_files(folder, gate=gate)


def list_files(folder: Path, **about: Any) -> None:
    """Write its manifest, of the files that are there now."""
    listed = {
        path.relative_to(folder).as_posix(): {"sha256": files.sha256(path)}
        for path in folder.rglob("*")
        if path.is_file() and path.name != "manifest.json"
    }
    usual = {"schema": 2, "target": "onnx", "precision": "fp32", "gate": "numeric"}
    files.write_json(folder / "manifest.json", usual | {"files": listed} | about)
