"""The published latencies beside those measured here."""

from collections.abc import Mapping
from types import MappingProxyType

from convert.artifact import Artifact
from convert.builds import is_of_published_weights
from deploy.targets.base import Target
from deploy.verdict.result import Published, PublishedLatency
from models.published import BATCHES, absence, published


def published_block(
    graph: Artifact,
    target: Target,
    precision: str,
    gpu_here: str | None,
    medians: Mapping[str, float] = MappingProxyType({}),
) -> Published | None:
    """The object "published" of a graph's result; None for a target that no published table is
    about, and for other weights than published ones.

    `gpu_here` is the name that this machine's GPU gives itself (None: there is none), `medians`
    what was measured, in ms by batch. A ratio, measured over published, is given only where the GPU
    is the published one.
    """
    gpu = target.published_gpu
    if gpu is None or not is_of_published_weights(graph):
        return None
    model = graph.model
    same = gpu_here is not None and gpu in gpu_here.replace("-", " ").split()
    rows = {}
    for batch in map(str, BATCHES):
        figure = published(model, gpu, precision, int(batch))
        if figure:
            rows[batch] = PublishedLatency(
                ms=figure.value,
                place=figure.place,
                contested=tuple(figure.contested) or None,
                ratio=medians[batch] / figure.value if same and batch in medians else None,
            )
    comparable = any(row.ratio is not None for row in rows.values())
    why = None
    if not rows:
        why = absence(model, gpu, precision, BATCHES[0])
    elif gpu_here is None:
        why = f"there is no GPU here, and the figures are a {gpu}'s"
    elif not same:
        why = f"this GPU, {gpu_here}, is not a {gpu}"
    elif not comparable:
        why = "no latency was measured"
    return Published(gpu=gpu, precision=precision, batch=rows, comparable=comparable, why=why)
