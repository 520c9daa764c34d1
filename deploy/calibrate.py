"""Make INT8 files, judge them, and find the way of calibrating that costs the least accuracy.

    python deploy/calibrate.py --model SqueezeNet1_1 --target onnx --data DIR [--method entropy]
    python deploy/calibrate.py --model SqueezeNet1_1 --target trt-t4 --within-budget

With --within-budget first no layer is left in float, and then those that cost the most accuracy
are, until the loss of top-1 is within the budget. The file
that was found is the one that later commands use for this model and target, and the one that this
command judges again where nothing that is named differs. Exit status as for validate.py.
"""

import sys

if __name__ == "__main__":
    sys.path.insert(0, f"{sys.path[0]}/..")
    import common.start  # noqa: F401

import dataclasses
import json

from common.cli import Parser, number, run
from common.console import say
from common.strict_json import encode
from deploy.request.arguments import (
    add_build_arguments,
    add_file_arguments,
    add_photo_arguments,
    chosen_builds,
    chosen_cells,
    chosen_files,
    chosen_photos,
)
from deploy.request.building import inference_graph, open_for_each
from deploy.request.values import INT8
from deploy.scale.arguments import add_ray_arguments, chosen_fleet
from deploy.verdict import advice

_MINUTES = 60.0


def main() -> int:
    parser = Parser(prog="python deploy/calibrate.py", description=__doc__)
    add_build_arguments(parser, "every build here, and every model that has weights here")
    add_file_arguments(parser)
    add_photo_arguments(parser)
    parser.add_argument(
        "--within-budget",
        action="store_true",
        help="leave layers in float, the most sensitive first, until top-1 is within the budget",
    )
    parser.add_argument(
        "--minutes",
        type=number,
        default=_MINUTES,
        metavar="N",
        help="per model and target: begin nothing new after so long, and take the best so far "
        f"(default: {_MINUTES:g})",
    )
    add_ray_arguments(parser, "the attempts of --within-budget")
    parser.add_argument("--json", action="store_true", help="print one JSON object a line")
    options = parser.parse_args()
    if options.ray and not options.within_budget:
        parser.error("--ray is for a search: give --within-budget, too")
    options.precision = options.precision or [INT8]
    if options.precision != [INT8]:
        parser.error("only int8 is calibrated: leave out --precision")
    cells = chosen_cells(options)
    for target, _ in cells:
        if INT8 in target.on_request:
            say(f"  warning: {target.name}: {target.warning}")
    builds = chosen_builds(options)
    files, photos = chosen_files(options), chosen_photos(options)

    from deploy.int8 import search, tables
    from deploy.request.opening import open_photos, ready_to_judge
    from deploy.scale.elsewhere import open_elsewhere
    from deploy.verdict.validator import Judge

    opened = open_for_each(
        builds, files, lambda *model: open_photos(photos, cells, *model, calibrates=photos.named)
    )
    asked = files.options.named | ({"photos"} if photos.named else set())
    asked_for = dataclasses.replace(
        files.options,
        named=asked,
        recalibrate=files.options.recalibrate or options.within_budget,
    )
    files = dataclasses.replace(files, options=asked_for)
    results = []
    with chosen_fleet(options) as fleet:
        named = photos.named or bool(photos.calibration)
        far = open_elsewhere(fleet, parser, options, named=named) if fleet else None
        for one, photo_set in zip(builds, opened, strict=True):
            graph = inference_graph(one, files)
            ready = ready_to_judge(graph, cells, files, photos, photo_set)
            judge = Judge(one.spec, graph, ready.images, photos.skip_bad, more=ready.more)
            for target, _ in cells:
                tries = search.Search(graph, target, judge, ready.options, options.budget, far)
                found = (
                    tries.within_budget(60 * options.minutes)
                    if options.within_budget
                    else tries.once()
                )
                tried = [dataclasses.replace(outcome, chosen=False) for outcome in found]
                chosen = dataclasses.replace(tries.finish(), chosen=True)
                others = [one for one in tried if one.calibration != chosen.calibration]
                results += [*others, chosen]
                if options.json:
                    for outcome in (*others, chosen):
                        print(json.dumps(encode(outcome), ensure_ascii=False), flush=True)
    if not options.json:
        tables.show(results)
    chosen_ones = [one for one in results if one.chosen]
    advice.end(chosen_ones, {"DATA": options.data}, shows=not options.json)
    return advice.status(chosen_ones, options)


if __name__ == "__main__":
    run(main)
