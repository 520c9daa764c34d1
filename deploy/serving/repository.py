"""The model repository of the server that runs here: what Triton's python backend reads.

A build's model takes tensors; `<name>_photo`, an ensemble, takes the bytes of photo files, which
`<name>_preprocess` decodes and prepares for it. Both run the toolkit's own code, in .venv-serve.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from common import files, machine
from common.paths import ROOT
from deploy.serving.model_config import FP32, STRING, Config, Word, config_text, mapped, parameters
from deploy.serving.models import Model, check_names
from deploy.serving.names import (
    INPUT,
    LABELS,
    OUTPUT,
    PHOTO,
    SESSION,
    photo_name,
    preprocess_name,
)
from runtimes.environments import SERVE

MAX_BATCH = 32  # what one request may bring, and what Triton puts together at most
_CODE = (
    "import sys\n\nsys.path.insert(0, {root!r})\nfrom {module} import {name} as TritonPythonModel\n"
)


def write_repository(folder: Path, models: Sequence[Model]) -> None:
    """Fill a folder with three models for each of these."""
    names = [
        one
        for model in models
        for one in (model.name, photo_name(model.name), preprocess_name(model.name))
    ]
    check_names(names)
    for model in models:
        _write_network(folder / model.name, model)
        _write_preprocess(folder / preprocess_name(model.name), model)
        _write_photo(folder / photo_name(model.name), model)


def _write_network(folder: Path, model: Model) -> None:
    config = {**_batched(), **model.ends(), "parameters": parameters(model.about())}
    version = _write_python(folder, config, "deploy.serving.network", "Network")
    (folder / LABELS).write_text(model.label_lines())
    session_spec = model.target.served_session_spec(model.precision)
    session: dict[str, Any] = {
        "session": session_spec.session,
        "environment": SERVE.name if model.serving.in_server else session_spec.environment,
        "input_shape": model.input_shape,
        "label": f"serving {model.name}",
        "arguments": {
            "folder": str(model.artifact.folder),
            "precision": model.precision,
            "threads": machine.threads(),
            **session_spec.options,
        },
    }
    files.write_json(version / SESSION, session)


def _write_preprocess(folder: Path, model: Model) -> None:
    prepared = {"name": INPUT, "data_type": FP32, "dims": model.input_shape}
    about = {"preprocess": model.about()["preprocess"]}
    config = {
        **_batched(),
        "input": [_photo_input()],
        "output": [prepared],
        "parameters": parameters(about),
    }
    _write_python(folder, config, "deploy.serving.photos", "Photos")


def _write_photo(folder: Path, model: Model) -> None:
    """The ensemble: photos to tensors to logits."""
    steps = [
        _step(preprocess_name(model.name), {PHOTO: PHOTO}, {INPUT: INPUT}),
        _step(model.name, {INPUT: INPUT}, {OUTPUT: OUTPUT}),
    ]
    config: Config = {
        "name": folder.name,
        "platform": "ensemble",
        "max_batch_size": MAX_BATCH,
        "input": [_photo_input()],
        "output": [model.output()],
        "ensemble_scheduling": {"step": steps},
        "parameters": parameters(model.about()),
    }
    (folder / "1").mkdir(parents=True)
    (folder / "config.pbtxt").write_text(config_text(config))
    (folder / LABELS).write_text(model.label_lines())


def _step(name: str, entries: dict[str, str], outputs: dict[str, str]) -> Config:
    """A step of an ensemble; the maps are from the model's names to the ensemble's."""
    return {
        "model_name": name,
        "model_version": -1,
        "input_map": mapped(entries),
        "output_map": mapped(outputs),
    }


def _photo_input() -> Config:
    return {"name": PHOTO, "data_type": STRING, "dims": [1]}


def _batched() -> dict[str, Any]:
    """What models have in common that compute, on the CPU, what was asked meanwhile at once."""
    return {
        "max_batch_size": MAX_BATCH,
        "dynamic_batching": {},
        "instance_group": [{"kind": Word("KIND_CPU"), "count": 1}],
    }


def _write_python(folder: Path, config: Config, module: str, name: str) -> Path:
    """A model that is a class of the toolkit; returns the folder of its version."""
    version = folder / "1"
    version.mkdir(parents=True)
    config = {"name": folder.name, "backend": "python", **config}
    (folder / "config.pbtxt").write_text(config_text(config))
    (version / "model.py").write_text(_CODE.format(root=str(ROOT), module=module, name=name))
    return version
