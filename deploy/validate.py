"""Run exported models on real photos and say how far each target drifted from Paddle.

    python deploy/validate.py --target onnx --target openvino --model SqueezeNet1_1 --data DIR

Exit status: 0 all within budget, 1 drift or a numeric gate broken, 2 bad input, 3 not decided
(hardware absent, or too few photos).
"""

import json
import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parents[1])
    from common import venv

    venv.enter()

from collections.abc import Iterator, Sequence

from common.cli import Exit, Parser, run
from deploy.chain import build_files, choose_models, class_count, inference_graph
from deploy.request import (
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


def main() -> int:
    parser = Parser(prog="python deploy/validate.py", description=__doc__)
    parser.add_argument(
        "--model",
        action="append",
        metavar="NAME",
        help="repeatable (default: every model that has weights here)",
    )
    add_file_arguments(parser)
    add_photo_arguments(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object a line")
    options = parser.parse_args()
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
    opened = {count: photos.open(count) for count in counts}
    for spec in specs:
        graph = inference_graph(spec, files)
        images = opened[graph.facts["class_num"]]
        judge = Judge(spec, graph, images, files.options, photos.skip_bad)
        built = build_files(graph, cells, files.options)
        for cell in cells:
            outcome = judge.judge(*cell, built.get(cell), budget_pp)
            result.write(outcome)
            yield outcome


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
