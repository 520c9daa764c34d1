"""Run exported models on real photos and say how far each target drifted from Paddle.

    python deploy/validate.py --target onnx --target openvino --model SqueezeNet1_1 --data DIR
    python deploy/validate.py --import result.json     what a phone measured, beside the others

Exit status: 0 all within budget, 1 drift or a numeric gate broken, 2 bad input, 3 not decided
(hardware absent, or too few photos).
"""

import argparse
import dataclasses
import json
import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parents[1])
    from common import venv

    venv.enter()

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from calib.photos import Calibration
from common.cli import Exit, Parser, run
from common.console import say
from deploy.chain import (
    build_files,
    choose_models,
    class_count,
    inference_graph,
    options_for,
)
from deploy.request import (
    INT8,
    Cell,
    Files,
    Photos,
    add_file_arguments,
    add_photo_arguments,
    chosen_cells,
    chosen_files,
    chosen_photos,
)
from deploy.targets.base import SIMULATED
from models.registry import ModelSpec

if TYPE_CHECKING:
    from data.images import ImageSet


def main() -> int:
    parser = Parser(prog="python deploy/validate.py", description=__doc__)
    parser.add_argument(
        "--model",
        action="append",
        metavar="NAME",
        help="repeatable (default: every model that has weights here)",
    )
    add_file_arguments(parser, target_default=[])
    add_photo_arguments(parser)
    parser.add_argument(
        "--import",
        action="append",
        type=Path,
        dest="imports",
        metavar="FILE",
        help="take in a result that the app exported (with --budget and --json only); repeatable",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object a line")
    options = parser.parse_args()
    if options.imports:
        return _take_in(parser, options)
    if not options.target:
        parser.error("the following arguments are required: --target")
    cells = chosen_cells(options)
    specs = choose_models(options.model, options.weights)

    results = []
    for outcome in validate(
        specs, cells, chosen_files(options), chosen_photos(options), options.budget
    ):
        results.append(outcome)
        if options.json:
            print(json.dumps(outcome, ensure_ascii=False), flush=True)
    if not options.json:
        from deploy import result

        result.show(results)
    return exit_status(results, options.accept_simulated)


def _take_in(parser: Parser, options: argparse.Namespace) -> Exit:
    """Keep the results of phones, and show them beside the others of their models."""
    for name, value in vars(options).items():
        if value != parser.get_default(name) and name not in ("imports", "budget", "json"):
            parser.error(
                f"--import takes results as they are: leave out --{name.replace('_', '-')}"
            )
    from deploy import imported, result

    outcomes = imported.import_results(options.imports, options.budget)
    if options.json:
        for outcome in outcomes:
            print(json.dumps(outcome, ensure_ascii=False))
    else:
        result.show(imported.beside(outcomes))
    return exit_status(outcomes, accept_simulated=False)


def validate(
    specs: Sequence[ModelSpec],
    cells: Sequence[Cell],
    files: Files,
    photos: Photos,
    budget_pp: float | None = None,
) -> Iterator[dict]:
    """Build and judge each cell of each model; yield the results, which are also kept as files.

    `budget_pp` is the top-1 loss allowed in percentage points (None: 1 % of the reference's).
    Photos are opened before anything is built, so that a mistyped folder costs no time.
    """
    # The libraries that work needs are imported only now: --help and a mistyped name answer at
    # once.
    from deploy import result
    from deploy.judge import Judge

    counts = {class_count(spec, files) for spec in specs} or {files.class_num or 1000}
    opened = {count: open_photos(photos, cells, count) for count in counts}
    for target, precision in cells:
        if precision in target.on_request:
            say(f"  warning: {target.name} {precision}: {target.warning}")
    for spec in specs:
        graph = inference_graph(spec, files)
        images, calibration = opened[graph.facts["class_num"]]
        options = dataclasses.replace(files.options, calibration=calibration)
        judge = Judge(spec, graph, images, photos.skip_bad)
        built = build_files(graph, cells, options)
        for cell in cells:
            chosen = options_for(cell, graph, options)
            outcome = judge.judge(*cell, built.get(cell), budget_pp, chosen)
            result.write(outcome)
            yield outcome


def open_photos(
    photos: Photos, cells: Sequence[Cell], class_num: int
) -> tuple["ImageSet", Calibration | None]:
    """The photos that judge, and those to calibrate on where a cell is INT8."""
    if any(precision == INT8 for _, precision in cells):
        return photos.open_with_calibration(class_num)
    return photos.open(class_num), None


def exit_status(results: Sequence[dict], accept_simulated: bool) -> Exit:
    """The exit status that these results amount to."""
    verdicts = set()
    for outcome in results:
        simulated = outcome["execution"] == SIMULATED and outcome.get("simulation") == "pass"
        verdicts.add("pass" if simulated and accept_simulated else outcome["verdict"])
    if "fail" in verdicts:
        return Exit.BROKEN
    return Exit.OK if verdicts == {"pass"} else Exit.UNDECIDED


if __name__ == "__main__":
    run(main)
