"""Measure how fast each target runs a batch here, and how far that is from what this CPU could do.

    python deploy/benchmark.py --model SqueezeNet1_1 --target onnx --batch 1,4,8 [--peers]
    python deploy/benchmark.py --model VGG16 --compare onnx openvino:fp32

Each figure is taken in a process of its own on pinned cores; deploy/speed/latency.py says how,
and what makes it noisy. The floor is what the model's multiply-adds and bytes take at this CPU's
measured peak. A target that does not run here is unavailable, and a simulation has no speed.
A server (--target served) is asked with so many requests under way at any time, by turns with the
same network in a process here; deploy/speed/load.py says how.
--compare runs two by turns and gives the ratio with a 95 % interval. What an interrupted run had
finished is taken over by the next that asks the same of the same machine within a day.

Exit status: 0 all measured, 1 a target broke, 2 bad input, 3 a target is unavailable here.
"""

import argparse
import dataclasses
import json
import os
import sys

if __name__ == "__main__":
    sys.path.insert(0, f"{sys.path[0]}/..")
    import common.start  # noqa: F401

from collections.abc import Callable

from common.cli import (
    NOT_HERE,
    NOTHING_HERE,
    Exit,
    Parser,
    end_with,
    number,
    positive,
    run,
    several,
)
from common.console import say
from common.errors import UserError
from convert.builds import Chosen
from deploy.request.arguments import (
    add_build_arguments,
    add_file_arguments,
    chosen_builds,
    chosen_cells,
    chosen_files,
)
from deploy.request.endpoint import add_endpoint_arguments, at_endpoint
from deploy.request.values import Cell, Files
from deploy.speed import load_tables, tables
from deploy.speed.benchmarks import Ways, benchmark, compare_cells, planned
from deploy.speed.load import LoadWays, load
from deploy.speed.sitting import Sitting
from deploy.targets import TARGETS, find_cells
from deploy.targets.served import Served

_BATCHES = (1, 4, 8)  # those of the published tables
_CONCURRENCY = (1, 8, 32)


def main() -> int:
    options = _parse()
    ways = Ways(options.batch, _cores(options.threads), options.limit, options.peers)
    builds = chosen_builds(options)
    files = chosen_files(options)
    if options.compare:
        files = dataclasses.replace(files, named=True)
        sides = [_side(word) for word in options.compare]
        sitting = Sitting([ways.by_turns] * len(ways.batches) * len(builds), options.fresh)
        outcomes = [
            outcome for one in builds for outcome in compare_cells(one, sides, files, ways, sitting)
        ]
        _print(outcomes, options.json, tables.show_comparisons)
        _finish(sitting)
        end_with(NOTHING_HERE)
        return Exit.OK if outcomes else Exit.UNDECIDED
    cells = at_endpoint(chosen_cells(options), options)
    if any(isinstance(target, Served) for target, _ in cells):
        return _load(options, builds, cells, files, ways)
    if options.concurrency:
        raise UserError(f"--concurrency is for --target {Served.name}")
    sitting = Sitting(planned(cells, ways) * len(builds), options.fresh)
    results = [outcome for one in builds for outcome in benchmark(one, cells, files, ways, sitting)]
    _print(results, options.json, tables.show)
    _finish(sitting)
    if any(outcome["verdict"] == "fail" for outcome in results):
        return Exit.BROKEN
    if not results or any(outcome["verdict"] == "unavailable" for outcome in results):
        end_with(NOT_HERE if results else NOTHING_HERE)
        return Exit.UNDECIDED
    return Exit.OK


def _load(
    options: argparse.Namespace,
    builds: list[Chosen],
    cells: list[Cell],
    files: Files,
    ways: Ways,
) -> Exit:
    """Measure what servers carry."""
    if len(cells) > 1 or options.peers or options.batch != _BATCHES:
        raise UserError(
            f"--target {Served.name} is measured alone, in one precision, by requests of one "
            "photo: leave out other targets, --peers and --batch"
        )
    [(target, precision)] = cells
    assert isinstance(target, Served)
    how = LoadWays(options.concurrency or _CONCURRENCY, ways.cores, ways.limit)
    sitting = Sitting([how.seconds] * len(how.concurrency) * len(builds), options.fresh)
    outcomes = [load(one, target, precision, files, how, sitting) for one in builds]
    _print(outcomes, options.json, load_tables.show)
    _finish(sitting)
    return Exit.OK


def _print(outcomes: list[dict], as_json: bool, show: Callable[[list[dict]], None]) -> None:
    if as_json:
        for outcome in outcomes:
            print(json.dumps(outcome, ensure_ascii=False))
    elif outcomes:
        show(outcomes)
    else:
        print("nothing to measure: no model has weights here; see --weights and --model")


def _finish(sitting: Sitting) -> None:
    if reused := sitting.reused():
        say(f"\n{reused}")
    sitting.finish()


def _parse() -> argparse.Namespace:
    parser = Parser(prog="python deploy/benchmark.py", description=__doc__)
    add_build_arguments(parser, "every build here, and every model that has weights here")
    add_file_arguments(parser, target_default=["all"])
    add_endpoint_arguments(parser)
    parser.add_argument(
        "--concurrency",
        type=several(positive),
        metavar="N,N",
        help=f"requests under way at a time, of target {Served.name} "
        f"(default: {','.join(map(str, _CONCURRENCY))})",
    )
    parser.add_argument(
        "--batch", type=several(positive), default=_BATCHES, metavar="N,N", help="default: 1,4,8"
    )
    parser.add_argument(
        "--threads", type=positive, metavar="N", help="on as many cores (default: all)"
    )
    parser.add_argument(
        "--limit",
        type=number,
        default=10.0,
        metavar="S",
        help="seconds for a figure (default: 10)",
    )
    parser.add_argument(
        "--peers",
        action="store_true",
        help="also by turns with other tools on the same file: "
        + ", ".join(peer.name for target in TARGETS.values() for peer in target.peers),
    )
    parser.add_argument(
        "--compare", nargs=2, metavar=("A", "B"), help="two targets, or target:precision"
    )
    parser.add_argument(
        "--fresh",
        action="store_true",
        help="measure anew what an interrupted benchmark had finished",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object a line")
    return parser.parse_args()


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


if __name__ == "__main__":
    run(main)
