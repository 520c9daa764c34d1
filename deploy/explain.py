"""Say where a target leaves Paddle, layer by layer, and what to do about it.

    python deploy/explain.py --model SqueezeNet1_1 --target onnx --precision int8 [--data DIR]
    python deploy/explain.py --model SqueezeNet1_1 --target onnx --precision fp32 --file my.onnx
    python deploy/explain.py --model SqueezeNet1_1 --target onnx --precision int8 --want 98

What runs Paddle Lite's files shows nothing of its inside: there graphs are cut short, run and
compared, by bisection. With --blame each layer's cost is measured instead, and the shortest list of
layers that are to stay in float is looked for.

Exit status: 0 looked into, whatever was found, 1 a step went wrong, or no list brings the agreement
that is wanted, 2 bad input, 3 what runs the target shows nothing of its inside, or runs nowhere
here, or a list was confirmed by a simulation only.
"""

import argparse
import dataclasses
import json
import sys
from typing import TYPE_CHECKING

if __name__ == "__main__":
    sys.path.insert(0, f"{sys.path[0]}/..")
    import common.start  # noqa: F401

from common.cli import Exit, Parser, percent, run
from common.console import say, shown
from common.errors import StepError, UserError
from common.paths import absolute
from common.strict_json import encode
from convert.artifact import Artifact
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
from deploy.request.values import Cell
from deploy.scale.arguments import add_ray_arguments, chosen_fleet
from runtimes.hosts.base import Host
from runtimes.hosts.local import LOCAL

if TYPE_CHECKING:
    from deploy.layers.cells import Cells

_PHOTOS = 8  # ranks need less evidence than verdicts
_WANT = 0.99


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
        "--blame",
        action="store_true",
        help="say what each layer costs, by itself and where only it is in float, and the shortest "
        "list of layers that are to stay in float, on all photos",
    )
    parser.add_argument(
        "--want",
        type=percent,
        metavar="PERCENT",
        help="with such a list so many photos' decisions are to agree with Paddle's (default with "
        f"--blame: {100 * _WANT:g})",
    )
    parser.add_argument(
        "--verbose", action="store_true", help="show all layers, not those alone that matter"
    )
    add_ray_arguments(parser, "the layers and lists of --blame")
    parser.add_argument("--json", action="store_true", help="print one JSON object a line")
    parser.set_defaults(labels=None)
    options = parser.parse_args()
    want = options.want or (_WANT if options.blame else None)
    if want and options.file:
        parser.error("--blame is of the target's own file: leave out --file")
    if options.ray and (want is None or options.host != LOCAL.name):
        parser.error("--ray is for --blame on this kind of machine: give that, and no --host")
    host = chosen_host(options)
    cells = chosen_cells(options, host)
    if options.file and len(cells) != 1:
        parser.error("--file is one target's in one precision: give --precision, too")
    if options.file and not options.file.is_file():
        raise UserError(f"there is no file {options.file}")
    builds = chosen_builds(options)
    files, photos = chosen_files(options), chosen_photos(options)

    if want is None:
        photos = dataclasses.replace(photos, count=photos.count or _PHOTOS)

    from deploy.layers.cells import Blaming, Cells
    from deploy.request.opening import open_photos, ready_to_judge
    from deploy.scale.elsewhere import open_elsewhere
    from deploy.verdict.judging_photos import JudgingPhotos

    Cells.check(cells, want)
    opened = open_for_each(builds, files, lambda *model: open_photos(photos, cells, *model))
    status = Exit.OK
    with chosen_fleet(options) as fleet:
        far = open_elsewhere(fleet, parser, options, named=False) if fleet else None
        blaming = Blaming(want, far)
        for one, photo_set in zip(builds, opened, strict=True):
            graph = inference_graph(one, files)
            ready = ready_to_judge(graph, cells, files, photos, photo_set)
            judging = JudgingPhotos(graph, ready.images, None, photos.skip_bad)
            built = build_files(graph, ready.cells, ready.options)
            with Cells(graph, judging, ready.options, blaming, options.file) as looked_at:
                for cell in ready.cells:
                    its = _look_into(graph, cell, built.get(cell), host, looked_at, options)
                    status = _worse(status, its)
    return status


def _look_into(
    graph: Artifact,
    cell: Cell,
    artifact: Artifact | StepError | None,
    host: Host,
    looked_at: "Cells",
    options: argparse.Namespace,
) -> Exit:
    """Explain a cell whose file is this, and show it."""
    from deploy.layers.cells import show, write

    target, precision = cell
    session_spec = target.session_spec_on(host, precision)
    if why := looked_at.why_not(target, precision, session_spec):
        say(f"  {graph.name} on {target.name} {precision}: {why}")
        return Exit.UNDECIDED
    assert artifact, "what runs here can be built here"
    if isinstance(artifact, Exception):
        raise artifact
    found, status = looked_at.explain(target, precision, session_spec, artifact)
    path = write(found, session_spec.host.label)
    if options.json:
        print(json.dumps(encode(found), ensure_ascii=False), flush=True)
    else:
        show(found, options.verbose)
        say(f"  kept: {shown(path)}")
    return status


def _worse(one: Exit, other: Exit) -> Exit:
    """Of two statuses the one that says more: a wish that did not come true first."""
    return Exit.BROKEN if Exit.BROKEN in (one, other) else max(one, other)


if __name__ == "__main__":
    run(main)
