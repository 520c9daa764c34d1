"""Run exported models on real photos and say how far each target drifted from Paddle.

    python deploy/validate.py --target onnx --target openvino --model SqueezeNet1_1 --data DIR
    python deploy/validate.py --import result.json     what a phone measured, beside the others

Exit status: 0 all within budget, 1 drift or a numeric gate broken, 2 bad input, 3 not decided
(hardware absent, too few photos, or an estimate only).
"""

import argparse
import json
import sys

if __name__ == "__main__":
    sys.path.insert(0, f"{sys.path[0]}/..")
    import common.start  # noqa: F401


from common.cli import NOTHING_HERE, Exit, Parser, end_with, run
from common.console import say, shown
from common.errors import UserError, suggest
from common.paths import absolute
from common.strict_json import encode
from deploy.request.arguments import (
    add_build_arguments,
    add_file_arguments,
    add_host_arguments,
    add_photo_arguments,
    add_verbose_argument,
    chosen_builds,
    chosen_cells,
    chosen_files,
    chosen_host,
    chosen_photos,
)
from deploy.request.endpoint import add_endpoint_arguments, at_endpoint
from deploy.request.values import Cell, cell_name
from deploy.verdict import advice, tables
from deploy.verdict.changes import Changes, check_place
from deploy.verdict.result import exit_status
from deploy.verdict.validator import validate
from runtimes.hosts.local import LOCAL


def main() -> int:
    parser = Parser(prog="python deploy/validate.py", description=__doc__)
    add_build_arguments(parser, "every build here, and every model that has weights here")
    add_file_arguments(parser, target_default=[])
    add_photo_arguments(parser)
    add_host_arguments(parser)
    add_endpoint_arguments(parser)
    add_verbose_argument(parser)
    parser.add_argument(
        "--import",
        action="append",
        type=absolute,
        dest="imports",
        metavar="FILE",
        help="take in a result that the app exported (with --budget, --verbose and --json only); "
        "repeatable",
    )
    parser.add_argument(
        "--changes",
        type=absolute,
        metavar="FILE",
        help="write the photos whose decision changed, a .csv or .json file",
    )
    parser.add_argument(
        "--only",
        metavar="T-P",
        help="of all these build and judge one, such as onnx-int8, on the photos that are left for "
        "it where the others calibrate, too",
    )
    parser.add_argument(
        "--calibrated",
        type=absolute,
        metavar="DIR",
        help="keep the INT8 files in this copy of a build's folder calibration, and judge them",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object a line")
    options = parser.parse_args()
    if options.imports:
        return _take_in(parser, options)
    if not options.target:
        parser.error("the following arguments are required: --target")
    if options.changes:
        check_place(options.changes)
    host = chosen_host(options)
    cells = at_endpoint(chosen_cells(options, host), options)
    chosen = chosen_builds(options)
    changes = Changes() if options.changes else None

    results = []
    for outcome in validate(
        *(chosen, cells, chosen_files(options), chosen_photos(options)),
        *(options.budget, host, changes, _only(cells, options.only)),
    ):
        results.append(outcome)
        if options.json:
            print(json.dumps(encode(outcome), ensure_ascii=False), flush=True)
    if not options.json:
        tables.show(results, options.verbose)
    if not results:
        end_with(NOTHING_HERE)
    if changes:
        changes.write(options.changes)
        for line in changes.lines():
            say(line)
        say(f"  changed decisions: {shown(options.changes)}")
    status = advice.status(results, options)
    elsewhere = options.host if options.host != LOCAL.name else None
    words = {"DATA": options.data, "HOST": elsewhere, "ARM_CPU": options.arm_cpu}
    advice.end(results, words, shows=not options.json)
    return status


def _only(cells: list[Cell], word: str | None) -> Cell | None:
    """The cell of this name, if one is named."""
    known = {cell_name(cell): cell for cell in cells}
    if word is None:
        return None
    if word not in known:
        raise UserError(f"--only {word} is none of those asked for, {suggest(word, known)}")
    return known[word]


def _take_in(parser: Parser, options: argparse.Namespace) -> Exit:
    """Keep the results of phones, and show them beside the others of their models."""
    for name, value in vars(options).items():
        if value != parser.get_default(name) and name not in (
            "imports",
            "budget",
            "json",
            "verbose",
        ):
            parser.error(
                f"--import takes results as they are: leave out --{name.replace('_', '-')}"
            )
    from deploy.phones import phone_result

    outcomes = phone_result.import_results(options.imports, options.budget)
    if options.json:
        for outcome in outcomes:
            print(json.dumps(encode(outcome), ensure_ascii=False))
    else:
        tables.show(phone_result.beside(outcomes), options.verbose)
    return exit_status(outcomes, accept_simulated=False)


if __name__ == "__main__":
    run(main)
