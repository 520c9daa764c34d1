"""A folder for OpenVINO's Model Server: config.json, and a folder of versions for each model."""

from collections.abc import Sequence
from pathlib import Path

from common import files
from deploy.serving.export_triton import MODELS, write_files
from deploy.serving.models import Model

CONFIG = "config.json"
_THERE = "/serving"  # where the container sees the folder
# INFERENCE_PRECISION_HINT: OpenVINO's own choice is bf16 on CPUs that have it. An INT8 file says
# itself what is computed in integers; the rest stays float32, as when it was judged.
_HINTS = {"fp32": "f32", "bf16": "bf16", "fp16": "f16", "int8": "f32"}


def lay_out_ovms(folder: Path, models: Sequence[Model], storage: str | None) -> str:
    for model in models:
        write_files(folder / MODELS / model.name, model, {})
    listed = [
        {
            "config": {
                "name": model.name,
                "base_path": f"{_THERE}/{MODELS}/{model.name}",
                "target_device": "CPU",
                "plugin_config": {"INFERENCE_PRECISION_HINT": _HINTS[model.precision]},
            }
        }
        for model in models
    ]
    files.write_json(folder / CONFIG, {"model_config_list": listed})
    return (
        f'docker run --rm -p 8000-8001:8000-8001 -v "$PWD:{_THERE}:ro" '
        f"openvino/model_server:latest --config_path {_THERE}/{CONFIG} --rest_port 8000 --port 8001"
    )
