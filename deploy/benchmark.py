"""Measure how fast each target runs a batch here, and how far that is from what this CPU could do.

    python deploy/benchmark.py --model SqueezeNet1_1 --target onnx --batch 1,4,8 [--peers]
    python deploy/benchmark.py --model VGG16 --compare onnx openvino:fp32

Each figure is taken in a process of its own on pinned cores; deploy/latency.py says how, and what
makes it noisy. The floor is what the model's multiply-adds and bytes take at this CPU's measured
peak. A target that does not run here is unavailable, and a simulation has no speed. --compare runs
two by turns and gives the ratio with a 95 % interval.

Exit status: 0 all measured, 1 a target broke, 2 bad input, 3 a target is unavailable here.
"""

import argparse
import contextlib
import dataclasses
import json
import math
import os
import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parents[1])
    from common import venv

    venv.enter()

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from common import console
from common.cli import Exit, Parser, positive, run
from common.errors import StepError, UserError
from deploy import benchmark_tables
from deploy.chain import build_files, choose_models, inference_graph
from deploy.request import Cell, Files, add_file_arguments, chosen_cells, chosen_files
from deploy.targets import find_cells
from deploy.targets.base import NATIVE, SIMULATED, Plan, Target

if TYPE_CHECKING:
    from convert.artifact import Artifact
    from deploy.roofline import Peak, Work
    from models.registry import ModelSpec

_BATCHES = (1, 4, 8)  # those of the published tables


@dataclass(frozen=True)
class Ways:
    """How to measure: which batches, on which cores, with how many seconds for a figure."""

    batches: tuple[int, ...]
    cores: tuple[int, ...]
    limit: float
    peers: bool


def main() -> int:
    options = _parse()
    ways = Ways(options.batch, _cores(options.threads), options.limit, options.peers)
    specs = choose_models(options.model, options.weights)
    files = chosen_files(options)
    if options.compare:
        files = dataclasses.replace(files, named=True)
        sides = [_side(word) for word in options.compare]
        outcomes = [outcome for spec in specs for outcome in compare(spec, sides, files, ways)]
        _print(outcomes, options.json, benchmark_tables.show_comparisons)
        return Exit.OK if outcomes else Exit.UNDECIDED
    cells = chosen_cells(options)
    results = [outcome for spec in specs for outcome in benchmark(spec, cells, files, ways)]
    _print(results, options.json, benchmark_tables.show)
    if any(outcome["verdict"] == "fail" for outcome in results):
        return Exit.BROKEN
    if not results or any(outcome["verdict"] == "unavailable" for outcome in results):
        return Exit.UNDECIDED
    return Exit.OK


def _print(outcomes: list[dict], as_json: bool, show: Callable[[list[dict]], None]) -> None:
    if as_json:
        for outcome in outcomes:
            print(json.dumps(outcome, ensure_ascii=False))
    elif outcomes:
        show(outcomes)
    else:
        print("nothing to measure: no model has weights here; see --weights and --model")


def _parse() -> argparse.Namespace:
    parser = Parser(prog="python deploy/benchmark.py", description=__doc__)
    parser.add_argument(
        "--model",
        action="append",
        metavar="NAME",
        help="repeatable (default: every model that has weights here)",
    )
    add_file_arguments(parser, target_default=["all"])
    parser.add_argument(
        "--batch", type=_batches, default=_BATCHES, metavar="N,N", help="default: 1,4,8"
    )
    parser.add_argument(
        "--threads", type=positive, metavar="N", help="on as many cores (default: all)"
    )
    parser.add_argument(
        "--limit",
        type=_seconds,
        default=10.0,
        metavar="S",
        help="seconds for a figure (default: 10)",
    )
    parser.add_argument(
        "--peers",
        action="store_true",
        help="also against ONNX Runtime's default session and OpenVINO's benchmark_app",
    )
    parser.add_argument(
        "--compare", nargs=2, metavar=("A", "B"), help="two targets, or target:precision"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object a line")
    return parser.parse_args()


def _batches(text: str) -> tuple[int, ...]:
    try:
        return tuple(dict.fromkeys(positive(word) for word in text.split(",")))
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{text}' is not a list such as 1,4,8") from None


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 <= value < math.inf:
        raise argparse.ArgumentTypeError(f"a time limit is 0 or more seconds, not {text}")
    return value


def _cores(threads: int | None) -> tuple[int, ...]:
    ours = sorted(os.sched_getaffinity(0))
    if threads and threads > len(ours):
        raise UserError(f"--threads {threads}: this process may use {len(ours)} cores only")
    return tuple(ours[:threads])


def _side(word: str) -> Cell:
    """The target and precision of "onnx" (its first precision) or "openvino:fp16"."""
    target, _, precision = word.partition(":")
    if target == "all":
        raise UserError("--compare takes two single targets, not all")
    return find_cells([target], [precision] if precision else None)[0]


# ---- each target ----


def benchmark(
    spec: "ModelSpec", cells: Sequence[Cell], wanted: Files, ways: Ways
) -> Iterator[dict[str, Any]]:
    """Measure each cell of a model; yield the results, which are also kept as files."""
    from convert.to_onnx import to_onnx
    from deploy import latency, roofline

    graph = inference_graph(spec, wanted)
    absent = [cell for cell in cells if not _has_speed(cell[0].timed(cell[1]))]
    running = [cell for cell in cells if cell not in absent]
    running, options = wanted.with_calibration(running, graph.facts["class_num"])
    built = build_files(graph, running, options)
    taken = {_cores_of(cell, ways) for cell in running if _on_cpu_in_fp32(cell)}
    floors = {}
    if taken:
        onnx = to_onnx(graph, wanted.options.opset)
        floors = {cores: roofline.floors(onnx, ways.batches, cores) for cores in taken}
    for target, precision in (cell for cell in cells if cell in (*running, *absent)):
        plan, artifact = target.timed(precision), built.get((target, precision))
        outcome = {
            "schema": 1,
            "model": spec.name,
            "target": target.name,
            "precision": precision,
            "weights": graph.facts["weights"],
            "execution": plan.execution,
            "verdict": "measured",
        }
        conditions = latency.conditions(ways.cores)
        try:
            if isinstance(artifact, StepError):
                raise artifact
            if not _has_speed(plan) or artifact is None:
                outcome |= {"verdict": "unavailable", "reason": _why_absent(target, plan)}
            else:
                outcome |= _measure(target, precision, artifact, ways, floors)
                outcome["environment"] |= {**conditions, "load_after": list(os.getloadavg())}
        except StepError as error:
            outcome |= {"verdict": "fail", "reason": str(error)}
        latency.write(outcome)
        yield outcome


def _measure(
    target: Target,
    precision: str,
    artifact: "Artifact",
    ways: Ways,
    floors: dict[tuple[int, ...], dict[int, tuple]],
) -> dict[str, Any]:
    """The figures of a cell that runs here, and what belongs beside them."""
    from deploy import latency
    from deploy.reference import published_block

    plan = target.timed(precision)
    figures, peers, environment = {}, {}, {}
    for batch in ways.batches:
        where = f"{artifact.model} {target.name} {precision} batch {batch}"
        console.say(f"  timing {where}")
        figure = latency.measure(plan, artifact, precision, batch, ways.cores, ways.limit)
        environment = figure.pop("environment")
        figures[str(batch)] = figure
        if ways.peers and target.name in _PEERS:
            console.say(f"  timing {where}, and others by turns")
            peers[str(batch)] = _against_peers(target, precision, artifact, batch, ways)
    outcome = {"artifact": artifact.key, "latency": figures, "environment": environment}
    if _on_cpu_in_fp32((target, precision)):
        reached = floors[_cores_of((target, precision), ways)]
        outcome["floor"] = {
            batch: _floor(*reached[int(batch)], figure["median_ms"])
            for batch, figure in figures.items()
        }
    if peers:
        outcome["peers"] = peers
    block = published_block(artifact.model, target, precision, environment, figures)
    return {**outcome, "published": block} if block else outcome


def _on_cpu_in_fp32(cell: Cell) -> bool:
    """Whether the floor, which is this CPU's in float32, is about this cell."""
    target, precision = cell
    return precision == "fp32" and target.published_gpu is None


def _cores_of(cell: Cell, ways: Ways) -> tuple[int, ...]:
    """Those of the cores that its runtime makes use of."""
    target, precision = cell
    return ways.cores[:1] if target.timed(precision).one_thread else ways.cores


def _floor(work: "Work", peak: "Peak", median_ms: float) -> dict[str, float]:
    return {
        "ms": peak.floor_ms(work),
        "times": median_ms / peak.floor_ms(work),
        "gmacs": 1e-9 * work.multiply_adds,
        "gbytes": 1e-9 * work.bytes,
        "peak_gmacs_per_s": peak.gmacs,
        "peak_gbytes_per_s": peak.gbytes,
    }


def _has_speed(plan: Plan) -> bool:
    """Whether what runs here is the target's own software; else its time would say nothing."""
    return plan.execution == NATIVE or plan.real


def _why_absent(target: Target, plan: Plan) -> str:
    if _has_speed(plan):
        return target.problem()
    if plan.execution == SIMULATED:
        return f"only simulated here, and a simulation has no speed: {plan.reason}"
    return plan.reason


# ---- two by turns ----


def compare(
    spec: "ModelSpec", sides: Sequence[Cell], wanted: Files, ways: Ways
) -> Iterator[dict[str, Any]]:
    """Run two cells of a model by turns; yield the ratio for each batch."""
    from deploy import latency

    graph = inference_graph(spec, wanted)
    for target, precision in sides:
        plan = target.timed(precision)
        if not _has_speed(plan):
            raise UserError(
                f"{target.name} {precision} cannot be compared: {_why_absent(target, plan)}"
            )
    _, options = wanted.with_calibration(list(sides), graph.facts["class_num"])
    built = build_files(graph, sides, options)
    for artifact in built.values():
        if isinstance(artifact, StepError):
            raise artifact
    for batch in ways.batches:
        with contextlib.ExitStack() as stack:
            timers = []
            for target, precision in sides:
                plan, artifact = target.timed(precision), built[target, precision]
                opened = latency.open_timer(plan, artifact, precision, batch, ways.cores)
                timers.append(stack.enter_context(opened))
            names = [f"{target.name} {precision}" for target, precision in sides]
            console.say(f"  timing {names[0]} and {names[1]} by turns, batch {batch}")
            figures = latency.compare(timers[0].median, timers[1].median, 3 * ways.limit)
        yield {
            "schema": 1,
            "model": spec.name,
            "weights": graph.facts["weights"],
            "batch": batch,
            "first": names[0],
            "second": names[1],
            **figures,
            "environment": latency.conditions(ways.cores),
        }


# ---- other tools on the same files ----


@contextlib.contextmanager
def _default_session(artifact: "Artifact", precision: str, batch: int, cores: Sequence[int]):
    from deploy import latency

    plan = Plan(NATIVE, "deploy.peers.default_onnxruntime:Session")
    with latency.open_timer(plan, artifact, precision, batch, cores) as timer:
        yield timer.median


def _benchmark_app(figure: str, *words: str) -> Callable:
    @contextlib.contextmanager
    def opened(artifact: "Artifact", precision: str, batch: int, cores: Sequence[int]):
        from convert.to_openvino import GRAPH
        from deploy.peers import benchmark_app

        shape = (batch, *artifact.facts["input_shape"])
        model = artifact.file(GRAPH)
        yield lambda: benchmark_app.run(model, shape, precision, cores, *words)[figure]

    return opened


# benchmark_app's own default is throughput: several batches at a time, each of which takes longer.
_PEERS = {
    "onnx": {"ONNX Runtime, default session": _default_session},
    "openvino": {
        "benchmark_app, latency": _benchmark_app("latency_ms"),
        "benchmark_app, time per batch": _benchmark_app("interval_ms"),
        "benchmark_app -hint latency": _benchmark_app("latency_ms", "-hint", "latency"),
    },
}


def _against_peers(
    target: Target, precision: str, artifact: "Artifact", batch: int, ways: Ways
) -> dict[str, dict]:
    """Our session and each other tool by turns; "first" is ours."""
    from deploy import latency

    plan, found = target.timed(precision), {}
    for name, opened in _PEERS[target.name].items():
        with (
            latency.open_timer(plan, artifact, precision, batch, ways.cores) as ours,
            opened(artifact, precision, batch, ways.cores) as peer,
        ):
            found[name] = latency.compare(ours.median, peer, 3 * ways.limit)
    return found


if __name__ == "__main__":
    run(main)
