"""Say where a target leaves Paddle, layer by layer, and what to do about it.

    python deploy/explain.py --model SqueezeNet1_1 --target onnx --precision int8 [--data DIR]
    python deploy/explain.py --model SqueezeNet1_1 --target onnx --precision fp32 --file my.onnx

Exit status: 0 looked into, whatever was found, 1 a step went wrong, 2 bad input, 3 what runs the
target shows nothing of its inside, or runs nowhere here.
"""

import json
import sys

if __name__ == "__main__":
    sys.path.insert(0, f"{sys.path[0]}/..")
    import common.start  # noqa: F401

from common.cli import Exit, Parser, run
from common.console import say, shown
from common.errors import UserError
from common.paths import absolute
from common.strict_json import encode
from deploy.request.arguments import (
    add_build_arguments,
    add_data_arguments,
    add_file_arguments,
    add_host_arguments,
    chosen_builds,
    chosen_cells,
    chosen_files,
    chosen_host,
    chosen_photos,
)
from deploy.request.building import build_files, inference_graph, open_for_each
from deploy.request.int8_files import options_for

_PHOTOS = 8  # ranks need less evidence than verdicts


def main() -> int:
    parser = Parser(prog="python deploy/explain.py", description=__doc__)
    add_build_arguments(parser)
    add_file_arguments(parser)
    add_data_arguments(parser)
    add_host_arguments(parser)
    parser.add_argument(
        "--file",
        type=absolute,
        metavar="FILE",
        help="look into this file in the place of the target's own, with those beside it of the "
        "same name (.bin, .pdiparams)",
    )
    parser.add_argument(
        "--verbose", action="store_true", help="show all layers, not those alone that matter"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object a line")
    parser.set_defaults(labels=None, photos=_PHOTOS)
    options = parser.parse_args()
    host = chosen_host(options)
    cells = chosen_cells(options, host)
    if options.file and len(cells) != 1:
        parser.error("--file is one target's in one precision: give --precision, too")
    if options.file and not options.file.is_file():
        raise UserError(f"there is no file {options.file}")
    builds = chosen_builds(options)
    files, photos = chosen_files(options), chosen_photos(options)

    from data.images import spread_rows
    from deploy.layers import profile, tables
    from deploy.layers.explaining import Explainer
    from deploy.layers.subject import problem, subject
    from deploy.request.opening import open_photos, ready_to_judge
    from deploy.verdict.judging_photos import JudgingPhotos

    opened = open_for_each(builds, files, lambda *model: open_photos(photos, cells, *model))
    status = Exit.OK
    for one, photo_set in zip(builds, opened, strict=True):
        graph = inference_graph(one, files)
        ready = ready_to_judge(graph, cells, files, photos, photo_set)
        crops = JudgingPhotos(graph, ready.images, None, photos.skip_bad).crops
        rows = spread_rows(len(crops), photos.count)
        built = build_files(graph, ready.cells, ready.options)
        with Explainer(graph, crops, rows) as explainer:
            for cell in ready.cells:
                target, precision = cell
                session_spec = target.session_spec_on(host, precision)
                if why := problem(target, precision, session_spec):
                    say(f"  {graph.name} on {target.name} {precision}: {why}")
                    status = Exit.UNDECIDED
                    continue
                artifact = built[cell]
                if isinstance(artifact, Exception):
                    raise artifact
                chosen = options_for(cell, ready.options)
                way = (graph, target, precision, artifact, session_spec, chosen, options.file)
                with subject(*way) as what:
                    found = explainer.explain(what, chosen)
                path = profile.write(found, session_spec.host.label)
                if options.json:
                    print(json.dumps(encode(found), ensure_ascii=False), flush=True)
                else:
                    tables.show(found, options.verbose)
                    say(f"  profile: {shown(path)}")
    return status


if __name__ == "__main__":
    run(main)
