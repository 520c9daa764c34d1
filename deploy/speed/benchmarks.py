"""Each cell's latency, two cells by turns, and other tools on the same files by turns with ours."""

import contextlib
import functools
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from common.console import say
from common.errors import StepError, UserError
from common.strict_json import encode
from convert.artifact import Artifact
from convert.builds import Chosen
from convert.to_onnx import to_onnx
from deploy.request.building import build_files, inference_graph
from deploy.request.opening import ready_to_make
from deploy.request.values import Cell, Files
from deploy.speed import gpu_floor, latency, roofline
from deploy.speed.peers import Peer
from deploy.speed.published import published_block
from deploy.speed.roofline import Peak, Work
from deploy.speed.sitting import Sitting
from deploy.targets.base import Target
from runtimes.session_pool import NATIVE, SIMULATED, SessionSpec

_WARM_UP = 4.0  # seconds, until a session is open and has settled


@dataclass(frozen=True)
class Ways:
    """How to measure: which batches, on which cores, with how many seconds for a figure."""

    batches: tuple[int, ...]
    cores: tuple[int, ...]
    limit: float
    peers: bool

    @property
    def alone(self) -> float:
        """The seconds that a figure may take, with its warm-up."""
        return _WARM_UP + self.limit

    @property
    def by_turns(self) -> float:
        """The seconds that a ratio may take."""
        return 2 * _WARM_UP + 3 * self.limit


def planned(cells: Sequence[Cell], ways: Ways) -> list[float]:
    """The seconds that each of the cells' figures may take, without those that have no speed."""
    return [
        seconds
        for target, precision in cells
        if _has_speed(target.timed_session_spec(precision))
        for _ in ways.batches
        for seconds in (ways.alone, *[ways.by_turns] * (ways.peers * len(target.peers)))
    ]


def benchmark(
    chosen: Chosen, cells: Sequence[Cell], wanted: Files, ways: Ways, sitting: Sitting
) -> Iterator[dict[str, Any]]:
    """Measure each cell of a model; yield the results, which are also kept as files.

    `sitting` expects what `planned` says of the cells.
    """
    graph = inference_graph(chosen, wanted)
    absent = [cell for cell in cells if not _has_speed(cell[0].timed_session_spec(cell[1]))]
    to_run = [cell for cell in cells if cell not in absent]
    running, options = ready_to_make(graph, to_run, wanted)
    sitting.leave_out(planned([cell for cell in to_run if cell not in running], ways))
    built = build_files(graph, running, options)
    floors = _Floors(graph, wanted, ways)
    for target, precision in (cell for cell in cells if cell in (*running, *absent)):
        session_spec, artifact = (
            target.timed_session_spec(precision),
            built.get((target, precision)),
        )
        outcome = {
            "schema": 1,
            "model": graph.model,
            "name": graph.name,
            "target": target.name,
            "precision": precision,
            "weights": graph.facts["weights"],
            "execution": session_spec.execution,
            "verdict": "measured",
        }
        conditions, before = latency.conditions(ways.cores), sitting.done
        try:
            if isinstance(artifact, StepError):
                raise artifact
            if not _has_speed(session_spec) or artifact is None:
                outcome |= {"verdict": "unavailable", "reason": _why_absent(target, session_spec)}
            else:
                outcome |= _measure(graph, target, precision, artifact, ways, floors, sitting)
                outcome["environment"] |= {**conditions, "load_after": list(os.getloadavg())}
        except StepError as error:
            outcome |= {"verdict": "fail", "reason": str(error)}
        sitting.leave_out(planned([(target, precision)], ways)[sitting.done - before :])
        latency.write(outcome)
        yield outcome


def _measure(
    graph: Artifact,
    target: Target,
    precision: str,
    artifact: Artifact,
    ways: Ways,
    floors: "_Floors",
    sitting: Sitting,
) -> dict[str, Any]:
    """The figures of a cell that runs here, and what belongs beside them."""
    session_spec = target.timed_session_spec(precision)
    figures, taken, peers, environment = {}, {}, {}, {}
    for batch in ways.batches:
        name = f"{artifact.name} {target.name} {precision} batch {batch}"

        def alone(batch=batch) -> dict[str, Any]:
            return latency.measure(session_spec, artifact, precision, batch, ways.cores, ways.limit)

        question = {**_side(target, precision, artifact), **_way(batch, ways)}
        figure = sitting.take(artifact.name, name, question, ways.alone, alone)
        environment, taken[str(batch)] = figure.pop("environment"), figure.pop("taken")
        figures[str(batch)] = figure
        if ways.peers and target.peers:
            peers[str(batch)] = {
                peer.name: _against(peer, target, precision, artifact, batch, ways, sitting)
                for peer in target.peers
            }
    outcome = {
        "files": target.digests(artifact),
        "latency": figures,
        "taken": taken,
        "environment": environment,
    }
    if reached := floors.of((target, precision)):
        outcome["floor"] = {
            batch: _floor(reached[int(batch)], figure["median_ms"])
            for batch, figure in figures.items()
        }
    if peers:
        outcome["peers"] = peers
    medians = {batch: figure["median_ms"] for batch, figure in figures.items()}
    block = published_block(graph, target, precision, environment.get("gpu"), medians)
    return {**outcome, "published": encode(block)} if block else outcome


def _side(target: Target, precision: str, artifact: Artifact) -> dict[str, Any]:
    """What a latency depends on beside the machine and the way to measure it."""
    session_spec = target.timed_session_spec(precision)
    return {
        "files": target.digests(artifact),
        "precision": precision,
        "session": [session_spec.session, session_spec.environment, dict(session_spec.options)],
        "tools": {tool.package: tool.version for tool in target.tools},
    }


def _way(batch: int, ways: Ways) -> dict[str, Any]:
    return {"batch": batch, "cores": list(ways.cores), "limit": ways.limit}


class _Floors:
    """What a model's cells could reach by batch: on this CPU in float32, on its GPU in each
    precision. Each is measured once."""

    def __init__(self, graph: Artifact, wanted: Files, ways: Ways):
        self._onnx = functools.partial(to_onnx, graph, wanted.options.opset)
        self._ways = ways
        self._known: dict[tuple, dict[int, tuple[Work, Peak]]] = {}

    def of(self, cell: Cell) -> dict[int, tuple[Work, Peak]]:
        """Empty for a cell that has no floor, and where what would show it fails, which is said."""
        target, precision = cell
        gpu = target.gpu_here()
        if gpu:
            about: tuple = (precision, *gpu)
        elif precision == "fp32":
            about = _cores_of(cell, self._ways)
        else:
            return {}
        if about not in self._known:
            batches = self._ways.batches
            try:
                self._known[about] = (
                    gpu_floor.floors(self._onnx(), batches, precision, *gpu)
                    if gpu
                    else roofline.floors(self._onnx(), batches, about)
                )
            except StepError as error:
                say(f"no floor: {error}")
                self._known[about] = {}
        return self._known[about]


def _cores_of(cell: Cell, ways: Ways) -> tuple[int, ...]:
    """Those of the cores that its runtime makes use of."""
    target, precision = cell
    return ways.cores[:1] if target.timed_session_spec(precision).one_thread else ways.cores


def _floor(reached: tuple[Work, Peak], median_ms: float) -> dict[str, float]:
    work, peak = reached
    return {
        "ms": peak.floor_ms(work),
        "times": median_ms / peak.floor_ms(work),
        "gmacs": 1e-9 * work.multiply_adds,
        "gbytes": 1e-9 * work.bytes,
        "peak_gmacs_per_s": peak.gmacs,
        "peak_gbytes_per_s": peak.gbytes,
    }


def _has_speed(session_spec: SessionSpec) -> bool:
    """Whether what runs here is the target's own software; else its time would say nothing."""
    return session_spec.execution == NATIVE or session_spec.real


def _why_absent(target: Target, session_spec: SessionSpec) -> str:
    if _has_speed(session_spec):
        return target.problem() or "nothing was built"
    if session_spec.execution == SIMULATED:
        return f"only simulated here, and a simulation has no speed: {session_spec.reason}"
    return session_spec.reason


def compare_cells(
    chosen: Chosen, sides: Sequence[Cell], wanted: Files, ways: Ways, sitting: Sitting
) -> Iterator[dict[str, Any]]:
    """Run two cells of a model by turns; yield the ratio for each batch.

    `sitting` expects a figure of `ways.by_turns` seconds for each.
    """
    graph = inference_graph(chosen, wanted)
    for target, precision in sides:
        session_spec = target.timed_session_spec(precision)
        if not _has_speed(session_spec):
            raise UserError(
                f"{target.name} {precision} cannot be compared: {_why_absent(target, session_spec)}"
            )
    _, options = ready_to_make(graph, sides, wanted)
    built = build_files(graph, sides, options)
    files: dict[Cell, Artifact] = {}
    for cell, artifact in built.items():
        if isinstance(artifact, StepError):
            raise artifact
        files[cell] = artifact
    names = [f"{target.name} {precision}" for target, precision in sides]
    for batch in ways.batches:

        def by_turns(batch=batch) -> dict[str, Any]:
            with contextlib.ExitStack() as stack:
                timers = []
                for target, precision in sides:
                    session_spec, file = (
                        target.timed_session_spec(precision),
                        files[target, precision],
                    )
                    opened = latency.open_timer(session_spec, file, precision, batch, ways.cores)
                    timers.append(stack.enter_context(opened))
                return latency.compare_speed(timers[0].median, timers[1].median, 3 * ways.limit)

        question: dict[str, Any] = {
            "sides": [
                _side(target, precision, files[target, precision]) for target, precision in sides
            ],
            **_way(batch, ways),
        }
        name = f"{graph.name} {names[0]} and {names[1]} by turns, batch {batch}"
        figures = sitting.take(graph.name, name, question, ways.by_turns, by_turns)
        yield {
            "schema": 1,
            "model": graph.model,
            "name": graph.name,
            "weights": graph.facts["weights"],
            "batch": batch,
            "first": names[0],
            "second": names[1],
            **figures,
            "environment": latency.conditions(ways.cores),
        }


def _against(
    peer: Peer,
    target: Target,
    precision: str,
    artifact: Artifact,
    batch: int,
    ways: Ways,
    sitting: Sitting,
) -> dict[str, Any]:
    """Our session and another tool by turns; "first" is ours."""

    def by_turns() -> dict[str, Any]:
        session_spec = target.timed_session_spec(precision)
        with (
            latency.open_timer(session_spec, artifact, precision, batch, ways.cores) as ours,
            peer.open(artifact, precision, batch, ways.cores) as theirs,
        ):
            return latency.compare_speed(ours.median, theirs, 3 * ways.limit)

    question = {**_side(target, precision, artifact), **_way(batch, ways), "peer": peer.name}
    name = f"{artifact.name} {target.name} {precision} batch {batch}, by turns with {peer.name}"
    return sitting.take(artifact.name, name, question, ways.by_turns, by_turns)
