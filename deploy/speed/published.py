"""The published latencies beside those measured here."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from deploy.targets.base import Target
from models.published import BATCHES, absence, published


def published_block(
    model: str,
    target: Target,
    precision: str,
    environment: Mapping[str, Any],
    latency: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
) -> dict[str, Any] | None:
    """The object "published" of a result; None for a target that no published table is about.

    `environment` and `latency` are those of the result: "gpu" is the name that this machine's GPU
    gives itself (absent: there is none), and "median_ms" by batch what was measured. A ratio,
    measured over published, is given only where the GPU is the published one.
    """
    gpu, gpu_here = target.published_gpu, environment.get("gpu")
    if gpu is None:
        return None
    same = gpu_here is not None and gpu in gpu_here.replace("-", " ").split()
    rows = {}
    for batch in BATCHES:
        figure = published(model, gpu, precision, batch)
        if figure:
            rows[str(batch)] = row = {"ms": figure.value, "place": figure.place}
            if figure.contested:
                row["contested"] = list(figure.contested)
            if same and str(batch) in latency:
                row["ratio"] = latency[str(batch)]["median_ms"] / figure.value
    comparable = any("ratio" in row for row in rows.values())
    block = {"gpu": gpu, "precision": precision, "batch": rows, "comparable": comparable}
    if not rows:
        block["why"] = absence(model, gpu, precision, BATCHES[0])
    elif gpu_here is None:
        block["why"] = f"there is no GPU here, and the figures are a {gpu}'s"
    elif not same:
        block["why"] = f"this GPU, {gpu_here}, is not a {gpu}"
    elif not comparable:
        block["why"] = "no latency was measured"
    return block
