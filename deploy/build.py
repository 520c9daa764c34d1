"""Make the files of one or more targets, each step checked against the one before.

python deploy/build.py --model SqueezeNet1_1 --target all
"""

import sys

if __name__ == "__main__":
    sys.path.insert(0, f"{sys.path[0]}/..")
    import common.start  # noqa: F401

from common.cli import NOT_HERE, Exit, Parser, end_with, run
from common.console import say, shown
from common.errors import StepError
from deploy.request.arguments import (
    add_build_arguments,
    add_file_arguments,
    chosen_builds,
    chosen_cells,
    chosen_files,
)
from deploy.request.building import build_files, inference_graph
from deploy.request.opening import ready_to_make


def main() -> int:
    parser = Parser(prog="python deploy/build.py", description=__doc__)
    add_build_arguments(parser)
    add_file_arguments(parser)
    options = parser.parse_args()
    chosen = chosen_builds(options)
    cells = chosen_cells(options)
    files = chosen_files(options)
    status = Exit.OK
    for one in chosen:
        graph = inference_graph(one, files)
        wanted, choices = ready_to_make(graph, cells, files)
        built = build_files(graph, wanted, choices)
        for target, precision in wanted:
            outcome = built.get((target, precision))
            if isinstance(outcome, StepError):
                raise outcome
            if outcome is None:
                say(f"  {target.name} {precision} is unavailable: {target.problem()}")
                status = Exit.UNDECIDED
                end_with(NOT_HERE)
            else:
                print(f"{graph.name} {target.name} {precision}: {shown(outcome.folder)}")
                for line in target.to_do_there(outcome):
                    print(f"  {line}")
    return status


if __name__ == "__main__":
    run(main)
