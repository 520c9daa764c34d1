"""A folder for KServe: an InferenceService, and the model repository that it shall find stored."""

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from common.errors import UserError
from deploy.serving.export_triton import MODELS, write_models
from deploy.serving.models import Model

SERVICE = "inferenceservice.yaml"
_SCHEMES = ("pvc", "s3", "gs", "hdfs", "webhdfs", "azure", "https", "http", "oci", "hf")
_LONGEST = 63  # characters of a name, as DNS has them


def check_storage(storage: str | None) -> str:
    """Where the models will lie; UserError where none is named that KServe fetches from."""
    if storage and re.match(rf"({'|'.join(_SCHEMES)})://\S+$", storage):
        return storage
    known = ", ".join(f"{scheme}://" for scheme in _SCHEMES)
    raise UserError(
        f"FORMAT=kserve needs STORAGE=…, where what is in {MODELS}/ will lie for KServe to fetch "
        f"({known})"
    )


def lay_out_kserve(folder: Path, models: Sequence[Model], storage: str | None) -> str:
    """The service is of kserve-tritonserver, KServe's runtime that has Triton's backends."""
    import yaml

    place = check_storage(storage)
    if len(models) > 1:
        raise UserError("an InferenceService is of one model: export each into a folder of its own")
    [model] = models
    write_models(folder / MODELS, models)
    text = yaml.safe_dump(_service(model, place), sort_keys=False)
    (folder / SERVICE).write_text(text)
    return f"copy what is in {MODELS}/ to {place}, then: kubectl apply -f {SERVICE}"


def _service(model: Model, place: str) -> dict[str, Any]:
    size = sum(path.stat().st_size for path in model.files.values())
    # The weights three times over (file, graph, what kernels make of them), and the server's own.
    memory = f"{math.ceil(1 + 3 * size / 2**30)}Gi"
    amounts = {"cpu": "2", "memory": memory}
    if model.serving.gpu:
        amounts["nvidia.com/gpu"] = "1"
    return {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {"name": _dns_name(model.name)},
        "spec": {
            "predictor": {
                "model": {
                    "modelFormat": {"name": "triton", "version": "2"},
                    "protocolVersion": "v2",
                    "runtime": "kserve-tritonserver",
                    "storageUri": place,
                    "resources": {"requests": amounts, "limits": dict(amounts)},
                }
            }
        },
    }


def _dns_name(name: str) -> str:
    """A name as Kubernetes takes it: lower case, digits, hyphens, a letter first."""
    plain = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    return (plain if plain[:1].isalpha() else f"m-{plain}")[:_LONGEST].rstrip("-")
