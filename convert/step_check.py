"""The check after every step: the new file must compute what the step before computed.

Each artifact carries `probe.npy`, its logits for eight fixed images. The next step's result
is run on the same images in batches of 1, 2 and 5 and held against it, so a frozen batch, a
lost layer or a wrong kernel stops the chain where it happened.
"""

import itertools
from pathlib import Path
from typing import Any

import numpy as np

from common import machine
from common.errors import StepError
from common.mapped import save
from convert.artifact import Artifact
from data.synthetic import images
from runtimes.worker import Worker

BATCHES = (1, 2, 5)  # of the eight images
FILE = "probe.npy"

# Relative to each image's largest logit (where a last ReLU lets none through: to the largest of all
# images). Reduced precision may round; a wrong graph is off by about 1 in any precision.
LIMITS = {"fp32": 1e-3, "fp16": 5e-2, "bf16": 2e-1, "int8": 1.0}


def run(worker: Worker, eight: np.ndarray) -> np.ndarray:
    """Logits float32 [8, classes] of the session that the worker holds, batch by batch."""
    bounds = np.cumsum((0, *BATCHES))
    batches = [eight[start:stop] for start, stop in itertools.pairwise(bounds)]
    return np.concatenate([worker.use("run", batch=batch) for batch in batches])


def check(label: str, before: np.ndarray, after: np.ndarray, precision: str) -> float:
    """The largest relative difference between two probes; StepError where it is too large."""
    if before.shape != after.shape:
        raise StepError(f"{label}: gives logits {after.shape}, the step before {before.shape}")
    if not np.isfinite(after).all():
        raise StepError(f"{label}: gives {int((~np.isfinite(after)).sum())} non-finite logits")
    scale = np.abs(before).max(axis=1)
    if not scale.any():
        raise StepError(f"{label}: the step before gives only zeros, so nothing can be compared")
    scale[scale == 0] = scale.max()
    difference = np.abs(after - before).max(axis=1) / scale
    worst = int(difference.argmax())
    if difference[worst] >= LIMITS[precision]:  # logits of zero are off by 1, the limit of int8
        batch = int(np.searchsorted(np.cumsum(BATCHES), worst, side="right"))
        raise StepError(
            f"{label}: differs from the step before by {difference[worst]:.2g} of the largest "
            f"logit (limit {LIMITS[precision]:g}) at batch {BATCHES[batch]}"
        )
    return float(difference[worst])


def verify(
    worker: Worker,
    session: str,
    folder: Path,
    source: Artifact,
    precision: str = "fp32",
    **options: Any,
) -> dict[str, Any]:
    """Open a fresh artifact in the worker that made it, and check it against its source.

    Keeps its own logits as `probe.npy` in the folder, for the next step, and returns the facts
    for the manifest: the difference, and the worker's peak memory.
    """
    shape = tuple(source.facts["input_shape"])
    before = np.load(source.file(FILE))
    return verify_against(worker, session, folder, before, shape, precision, **options)


def verify_against(
    worker: Worker,
    session: str,
    folder: Path,
    before: np.ndarray,
    shape: tuple[int, int, int],
    precision: str = "fp32",
    **options: Any,
) -> dict[str, Any]:
    """`verify` against logits float32 [8, classes] of images of a shape, wherever they are from."""
    threads = machine.threads()
    worker.open(session, folder=str(folder), precision=precision, threads=threads, **options)
    after = run(worker, images(shape))
    difference = check(worker.label, before, after, precision)
    _keep(folder / FILE, after)
    return {"probe_difference": difference, "peak_mib": worker.peak_mib}


def verify_on(
    photos: np.ndarray,
    worker: Worker,
    session: str,
    folder: Path,
    source: Artifact,
    source_session: str,
    **options: Any,
) -> dict[str, Any]:
    """`verify` for an INT8 file, on photos that its ranges were measured on: float32 [8, 3, S, S].

    Synthetic images may lie beyond those ranges, and clipped be as far off as a wrong graph's.
    Their logits are kept for the next step, and must be finite.
    """
    threads = machine.threads()
    worker.open(source_session, folder=str(source.folder), precision="fp32", threads=threads)
    before = run(worker, photos)
    worker.open(session, folder=str(folder), precision="int8", threads=threads, **options)
    difference = check(worker.label, before, run(worker, photos), "int8")
    after = run(worker, images(tuple(source.facts["input_shape"])))
    check(worker.label, after, after, "int8")
    _keep(folder / FILE, after)
    return {"probe_difference": difference, "peak_mib": worker.peak_mib}


def _keep(path: Path, logits: np.ndarray) -> None:
    with path.open("wb") as stream:
        save(stream, logits)
