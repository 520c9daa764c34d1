"""A model repository for a full Triton: its own backends, without this toolkit."""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from common import files
from common.console import say
from deploy.serving import checking
from deploy.serving.model_config import Word, config_text
from deploy.serving.models import Model
from deploy.serving.names import LABELS
from runtimes.environments import SERVE
from runtimes.worker import Worker

MODELS = "models"
PREPROCESS = "preprocess.json"


def lay_out_triton(folder: Path, models: Sequence[Model], storage: str | None) -> str:
    write_models(folder / MODELS, models)
    gpus = "--gpus all " * any(model.serving.gpu for model in models)
    return (
        f'docker run --rm {gpus}-p 8000-8002:8000-8002 -v "$PWD/{MODELS}:/models:ro" '
        "nvcr.io/nvidia/tritonserver:<version>-py3 tritonserver --model-repository=/models"
    )


def write_models(folder: Path, models: Sequence[Model]) -> None:
    """A model repository: config.pbtxt, class names and preprocessing beside a version's files.

    Each configuration is checked against the message that Triton reads, where .venv-serve is here;
    StepError where it does not fit.
    """
    for model in models:
        write_files(folder / model.name, model, model.serving.names)
        (folder / model.name / "config.pbtxt").write_text(config_text(_config(model)))
        (folder / model.name / LABELS).write_text(model.label_lines())
    if problem := SERVE.problem():
        say(f"  config.pbtxt was not checked against Triton's own form of it: {problem}")
        return
    with Worker(SERVE.name, "checking config.pbtxt") as worker:
        for model in models:
            text = (folder / model.name / "config.pbtxt").read_text()
            worker.call(checking.model_config, text=text)


def write_files(folder: Path, model: Model, names: Mapping[str, str]) -> None:
    """A version's files, by their names there, and how photos are prepared for it."""
    version = folder / "1"
    version.mkdir(parents=True)
    for name, path in model.files.items():
        shutil.copyfile(path, version / names.get(name, name))
    files.write_json(folder / PREPROCESS, model.graph.preprocess.to_json())


def _config(model: Model) -> dict[str, Any]:
    serving = model.serving
    kind = Word("KIND_GPU" if serving.gpu else "KIND_CPU")
    batched: dict[str, Any] = {"dynamic_batching": {}} if serving.max_batch else {}
    ends = model.ends() if serving.max_batch else model.ends(-1)
    return {
        "name": model.name,
        "backend": serving.backend,
        "max_batch_size": serving.max_batch,
        **ends,
        "instance_group": [{"kind": kind, "count": 1, **serving.instances}],
        **batched,
        **serving.settings,
    }
