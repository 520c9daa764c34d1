"""What a server carries: requests under way at any time, by turns with the same network here.

A block is two seconds (less where the time is short) of requests of one photo each, so many under
way at any time. Beside each stands one of the same model in a process of its own here, one photo
after the other on all cores: in target `onnx`, and from the photo's file where the server takes
files. `latency.compare_speed` says how the two go by turns. The ratio is of the blocks'
milliseconds a photo, so it is that of throughputs; the percentiles are of the single requests,
which wait for each other.
"""

import contextlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from common.errors import StepError
from common.temporary import temporary_folder
from convert.artifact import Artifact
from convert.builds import Chosen
from data.synthetic import images
from deploy.request.building import build_files, inference_graph
from deploy.request.opening import ready_to_make
from deploy.request.values import INT8, Files
from deploy.speed import latency
from deploy.speed.sitting import Sitting
from deploy.targets import TARGETS
from deploy.targets.base import Target
from deploy.targets.served import Served
from runtimes.served.description import PHOTOS
from runtimes.worker import Worker

_BLOCK, _SHORTEST = 2.0, 0.25  # seconds
_HERE = "onnx"  # what runs here beside the server
_FROM_PHOTO = "deploy.speed.in_process:FromPhoto"
_WIDTH, _HEIGHT = 512, 384  # of the photo that is sent, in pixels


@dataclass(frozen=True)
class LoadWays:
    """How to measure: how many requests under way, on which cores here, seconds for a ratio."""

    concurrency: tuple[int, ...]
    cores: tuple[int, ...]
    limit: float

    @property
    def block(self) -> float:
        """The seconds of a block."""
        return min(_BLOCK, max(_SHORTEST, self.limit / 5))

    @property
    def seconds(self) -> float:
        """What a ratio may take, with its warm-up."""
        return 2 * self.block + 3 * self.limit


def load(
    chosen: Chosen, served: Served, precision: str, wanted: Files, ways: LoadWays, sitting: Sitting
) -> dict[str, Any]:
    """The throughput and the latencies of a served model by concurrency, as JSON."""
    graph = inference_graph(chosen, wanted)
    here = TARGETS[_HERE], INT8 if precision == INT8 else "fp32"
    there = served, precision
    _, options = ready_to_make(graph, [here, there], wanted)
    built = build_files(graph, [there, here], options)
    for artifact in built.values():
        if isinstance(artifact, StepError):
            raise artifact
    endpoint, file = built[there], built[here]
    assert isinstance(endpoint, Artifact)
    assert isinstance(file, Artifact)
    about, figures = endpoint.manifest["parameters"]["endpoint"], {}
    url = about["url"]
    for count in ways.concurrency:

        def by_turns(count=count) -> dict[str, Any]:
            return _by_turns(there, here, endpoint, file, count, ways)

        question = {
            "files": [served.digests(endpoint), here[0].digests(file)],
            "concurrency": count,
            "cores": list(ways.cores),
            "limit": ways.limit,
        }
        name = f"{graph.name} at {url}, {count} under way"
        figures[str(count)] = sitting.take(graph.name, name, question, ways.seconds, by_turns)
    return {
        "schema": 1,
        "model": graph.model,
        "name": graph.name,
        "target": served.name,
        "precision": precision,
        "weights": graph.facts["weights"],
        "endpoint": about,
        "here": f"{_HERE} {here[1]}",
        "verdict": "measured",
        "load": figures,
        "environment": {**latency.conditions(ways.cores), "load_after": list(os.getloadavg())},
    }


def _by_turns(
    there: tuple[Served, str],
    here: tuple[Target, str],
    endpoint: Artifact,
    file: Artifact,
    count: int,
    ways: LoadWays,
) -> dict[str, Any]:
    """The figures of so many requests under way."""
    taken: list[float] = []
    with (
        _photo() as photo,
        _open_load(there, endpoint, photo) as server,
        _open_here(here, file, photo if _takes_files(endpoint) else None, ways.cores) as worker,
    ):

        def in_process() -> float:
            return float(1e-6 * worker.use("block", seconds=ways.block, least=1).mean())

        def served() -> float:
            times, whole = server.use("block", concurrency=count, seconds=ways.block)
            taken.extend(times)
            return whole / len(times)

        in_process()
        served()  # both are warm now
        taken.clear()
        found = latency.compare_speed(in_process, served, 3 * ways.limit)
        retried = server.use("retried")
    p50, p99 = np.percentile(taken, (50, 99), method="inverted_cdf")
    low, high = found["ci95"]
    noisy = [
        one.replace("the first one's", "this process'").replace("the second one's", "the server's")
        for one in found["noisy"]
    ]
    if retried:
        noisy.append(f"{retried} requests were sent again")
    return {
        "photos_per_s": 1000 / found["second_ms"],
        "p50_ms": float(p50),
        "p99_ms": float(p99) if len(taken) >= 100 else None,
        "requests": len(taken),
        "here_photos_per_s": 1000 / found["first_ms"],
        "ratio": 1 / found["ratio"],
        "ci95": [1 / high, 1 / low],
        "pairs": found["pairs"],
        "noisy": noisy,
    }


def _takes_files(endpoint: Artifact) -> bool:
    return endpoint.facts["takes"] == PHOTOS


@contextlib.contextmanager
def _photo() -> Iterator[Path]:
    """A photo's file of a usual size, the same on every machine."""
    import cv2

    (pixels,) = images((3, _HEIGHT, _WIDTH))[:1]
    grey = np.clip(128 + 40 * pixels, 0, 255).astype(np.uint8)
    with temporary_folder() as folder:
        path = folder / "photo.jpg"
        cv2.imwrite(str(path), grey.transpose(1, 2, 0), [cv2.IMWRITE_JPEG_QUALITY, 90])
        yield path


@contextlib.contextmanager
def _open_load(there: tuple[Served, str], endpoint: Artifact, photo: Path) -> Iterator[Worker]:
    """What sends requests, with one to send."""
    target, precision = there
    session_spec = target.session_spec(precision)
    with Worker(session_spec.environment, f"asking {session_spec.host.name}") as worker:
        worker.open(
            "runtimes.served.load:Load",
            folder=str(endpoint.folder),
            precision=precision,
            threads=1,
            **session_spec.options,
        )
        batch = [str(photo)] if _takes_files(endpoint) else _input(endpoint)
        worker.use("load", batch=batch)
        yield worker


@contextlib.contextmanager
def _open_here(
    here: tuple[Target, str], file: Artifact, photo: Path | None, cores: Sequence[int]
) -> Iterator[Worker]:
    """The same network in a process on these cores, with the same photo in memory; None: with an
    input, that nobody has to prepare."""
    target, precision = here
    session_spec = target.timed_session_spec(precision)
    session: dict[str, Any] = {"session": session_spec.session}
    if photo:
        session = {"session": _FROM_PHOTO, "inner": session_spec.session}
        session["preprocess"] = file.preprocess.to_json()
    with Worker(session_spec.environment, f"timing {file.folder}", threads=len(cores)) as worker:
        worker.open(
            "runtimes.timing:Timed",
            **session,
            cores=list(cores),
            folder=str(file.folder),
            precision=precision,
            threads=len(cores),
            **session_spec.options,
        )
        data = np.frombuffer(photo.read_bytes(), np.uint8) if photo else _input(file)
        worker.use("load", batch=data)
        yield worker


def _input(artifact: Artifact) -> np.ndarray:
    """An input of the network, float32 [1, 3, S, S]."""
    return images(tuple(artifact.facts["input_shape"]))[:1]
