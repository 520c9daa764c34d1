"""OpenVINO's own measuring tool."""

import contextlib
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from common import process
from common.errors import StepError
from common.temporary import temporary_folder
from convert.artifact import Artifact
from convert.to_openvino import GRAPH
from deploy.speed.peers import Peer

_LIMIT = 300.0
_TYPES = {"bf16": "bf16", "fp16": "f16"}  # its default is bf16 on some CPUs, which is other work


def run(
    model: Path, shape: Sequence[int], precision: str, cores: Sequence[int], *words: str
) -> dict[str, float]:
    """Run it for a second, on these cores; `words` are further options of its own.

    Returns "latency_ms", its median, and "interval_ms", the time from one finished batch to the
    next, which is less where it works on several at a time.
    """
    with temporary_folder() as folder:
        command = [
            *(Path(sys.executable).with_name("benchmark_app"), "-m", model, "-t", "1"),
            *("-shape", str(list(shape)), "-infer_precision", _TYPES.get(precision, "f32")),
            *("-report_type", "no_counters", "-report_folder", folder, "-json_stats", *words),
        ]
        with _confined_to(cores):
            done = process.run(command, what="benchmark_app", limit=_LIMIT)
        report = folder / "benchmark_report.json"
        if not report.exists():
            how = "it wrote no report"
            raise StepError(process.sentence("benchmark_app", how, process.last_line(done)))
        found = json.loads(report.read_text())["execution_results"]
    return {
        "latency_ms": float(found["latency (ms)"]),
        "interval_ms": float(found["total execution time (ms)"])
        / int(found["total number of iterations"]),
    }


@contextlib.contextmanager
def _confined_to(cores: Sequence[int]) -> Iterator[None]:
    """Keep this thread, and whatever it starts meanwhile, on these cores."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _peer(name: str, figure: str, *words: str) -> Peer:
    """One of the two figures of a run with these options."""

    @contextlib.contextmanager
    def opened(
        artifact: Artifact, precision: str, batch: int, cores: Sequence[int]
    ) -> Iterator[Callable[[], float]]:
        model, shape = artifact.file(GRAPH), (batch, *artifact.facts["input_shape"])
        yield lambda: run(model, shape, precision, cores, *words)[figure]

    return Peer(name, opened)


# Its own default is throughput: several batches at a time, each of which takes longer.
PEERS = (
    _peer("benchmark_app, latency", "latency_ms"),
    _peer("benchmark_app, time per batch", "interval_ms"),
    _peer("benchmark_app -hint latency", "latency_ms", "-hint", "latency"),
)
