"""What an app needs to run a model and to prove that it computes the same: one folder, one zip.

    python deploy/package.py --model SqueezeNet1_1 --target lite-arm [--data DIR] [--photos 16]

Its form is described in docs/package.md. Sixteen photos go into it unless --photos says otherwise.
"""

import sys

if __name__ == "__main__":
    sys.path.insert(0, f"{sys.path[0]}/..")
    import common.start  # noqa: F401

import dataclasses

from common.cli import Exit, Parser, run
from common.console import say, shown
from common.errors import StepError
from common.paths import absolute
from deploy.packages.labels import find_labels, read_names
from deploy.packages.package import package, packaged_cells, zip_path
from deploy.request.arguments import (
    add_build_arguments,
    add_data_arguments,
    add_file_arguments,
    chosen_builds,
    chosen_cells,
    chosen_files,
    chosen_photos,
)
from deploy.request.building import build_files, class_count, inference_graph
from deploy.verdict.validator import open_judging_photos

_PHOTOS = 16


def main() -> int:
    parser = Parser(prog="python deploy/package.py", description=__doc__)
    add_build_arguments(parser)
    add_file_arguments(parser)
    add_data_arguments(parser)
    parser.add_argument(
        "--labels",
        type=absolute,
        metavar="FILE",
        help="the classes' names, one a line (default: the list beside the checkpoint, ImageNet's "
        "for 1000 classes, else numbers)",
    )
    parser.set_defaults(photos=_PHOTOS, precision=None)
    options = parser.parse_args()
    options.precision = options.precision or ["fp32"]
    builds = chosen_builds(options)
    cells = packaged_cells(chosen_cells(options), options.target)
    wanted, photos = chosen_files(options), chosen_photos(options)
    opened = {}
    for one in builds:  # a mistyped file or folder is refused before any work
        classes = class_count(one, wanted)
        if options.labels:
            read_names(options.labels, classes)
        opened[classes] = open_judging_photos(photos, cells, classes)
    status = Exit.OK
    for one in builds:
        graph = inference_graph(one, wanted)
        labels = find_labels(graph, options.labels)
        images, calibration = opened[graph.facts["class_num"]]
        choices = dataclasses.replace(wanted.options, calibration=calibration)
        built = build_files(graph, cells, choices)
        for cell in cells:
            outcome = built.get(cell)
            if isinstance(outcome, StepError):
                raise outcome
            if outcome is None:
                say(f"  {cell[0].name} {cell[1]} is unavailable: {cell[0].problem()}")
                status = Exit.UNDECIDED
            else:
                made = package(one.spec, graph, cell, outcome, labels, images, photos.skip_bad)
                print(f"{graph.name} {cell[0].name} {cell[1]}: {shown(zip_path(made))}")
    return status


if __name__ == "__main__":
    run(main)
