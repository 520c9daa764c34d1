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

from collections.abc import Iterator

from common import console
from common.cli import Exit, Parser, run
from deploy import result
from deploy.build import add_chain_arguments
from deploy.chain import choose_models, inference_graph
from deploy.targets import find_precisions, find_targets
from deploy.targets.base import SIMULATED, Options, Target
from models.registry import ModelSpec


def main() -> int:
    options = _parse()
    specs, skipped = choose_models(options.model, options.weights)
    cells = [
        (target, precision)
        for target in find_targets(options.target)
        for precision in find_precisions(target, options.precision)
    ]
    for name, reason in skipped.items():
        console.say(f"  {name} is skipped: {reason}")

    results = []
    for outcome in validate(
        specs,
        cells,
        options.data,
        Options(options.opset),
        weights=options.weights,
        class_num=options.classes,
        budget_pp=options.budget,
        skip_bad=options.skip_bad,
    ):
        results.append(outcome)
        if options.json:
            print(json.dumps(outcome, ensure_ascii=False), flush=True)
    if not options.json:
        result.show(results)
    return _status(results, options.accept_simulated)


def validate(
    specs: list[ModelSpec],
    cells: list[tuple[Target, str]],
    data: str,
    options: Options,
    *,
    weights: str | None = None,
    class_num: int | None = None,
    budget_pp: float | None = None,
    skip_bad: bool = False,
) -> Iterator[dict]:
    """Build and validate each (target, precision) of each model; yield the results.

    Each result is also written beside the model's artifacts. Photos are opened before anything
    is built, so that a mistyped folder costs no time.
    """
    # The libraries that work needs are imported only now: --help and a mistyped name answer at
    # once.
    from data.images import ImageSet
    from deploy.judge import Judge

    photos = {None: ImageSet.open(data, class_num or 1000)}
    for spec in specs:
        graph = inference_graph(spec, weights, class_num)
        classes = graph.facts["class_num"]
        if classes not in photos:
            photos[classes] = ImageSet.open(data, classes)
        judge = Judge(spec, graph, photos[classes], options, skip_bad)
        for target, precision in cells:
            outcome = judge.judge(target, precision, budget_pp)
            result.write(outcome)
            yield outcome


def _parse():
    parser = Parser(prog="python deploy/validate.py", description=__doc__)
    parser.add_argument(
        "--model",
        action="append",
        metavar="NAME",
        help="repeatable (default: every model that has weights here)",
    )
    add_chain_arguments(parser)
    parser.add_argument(
        "--data",
        default="demo",
        metavar="DIR",
        help="a folder with val_list.txt, one folder per class, or demo (default)",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object a line")
    parser.add_argument(
        "--budget",
        type=float,
        metavar="PP",
        help="top-1 loss allowed, in percentage points (default: 1 %% of the reference's top-1)",
    )
    parser.add_argument(
        "--skip-bad", action="store_true", help="leave unreadable photos out, and count them"
    )
    parser.add_argument(
        "--accept-simulated",
        action="store_true",
        help="exit 0 where only the hardware is missing and its simulation passes",
    )
    return parser.parse_args()


def _status(results: list[dict], accept_simulated: bool) -> Exit:
    verdicts = set()
    for outcome in results:
        simulated = outcome["execution"] == SIMULATED and outcome["simulation"] == "pass"
        verdicts.add("pass" if simulated and accept_simulated else outcome["verdict"])
    if "fail" in verdicts:
        return Exit.BROKEN
    return Exit.OK if verdicts == {"pass"} else Exit.UNDECIDED


if __name__ == "__main__":
    run(main)
