"""Every model on every target: what each step cost, and what each target's verdict is.

    python deploy/matrix.py [--model NAME …] [--target NAME …] [--weights random] [--photos 16]

A cell that fails does not stop the others. Exit status as for deploy/validate.py.
"""

import sys
import time

if __name__ == "__main__":
    sys.path.insert(0, f"{sys.path[0]}/..")
    import common.start  # noqa: F401

from common import console, files
from common.cli import Exit, Parser, positive, run
from common.errors import StepError
from common.side_by_side import side_by_side
from common.strict_json import encode
from convert.artifact import MANIFEST
from convert.builds import Chosen
from convert.kind import Kind
from deploy.request.arguments import (
    add_build_arguments,
    add_file_arguments,
    add_host_arguments,
    add_photo_arguments,
    chosen_builds,
    chosen_cells,
    chosen_files,
    chosen_host,
    chosen_photos,
)
from deploy.request.endpoint import add_endpoint_arguments, at_endpoint
from deploy.request.values import Cell
from deploy.speed.tables import show_beside
from deploy.targets.base import Target
from deploy.verdict import reasons
from deploy.verdict.result import Result, exit_status
from deploy.verdict.tables import verdict
from deploy.verdict.validator import validate
from models.registry import MODELS

_COUNTS = ("nodes_raw", "nodes")  # facts of an artifact, where its step counts


def main() -> int:
    parser = Parser(prog="python deploy/matrix.py", description=__doc__)
    add_build_arguments(parser, "every build here, and every model with weights; all: every model")
    add_file_arguments(parser, target_default=["all"])
    add_photo_arguments(parser)
    add_host_arguments(parser)
    add_endpoint_arguments(parser)
    parser.add_argument(
        "--jobs", type=positive, default=1, metavar="N", help="models at a time (default: 1)"
    )
    options = parser.parse_args()
    if options.model == ["all"]:
        options.model = list(MODELS)
    builds = chosen_builds(options)
    host = chosen_host(options)
    cells = at_endpoint(chosen_cells(options, host), options)
    started = time.monotonic()
    broken = {}

    def judge(chosen: Chosen) -> tuple[str, list[Result]]:
        """The name of its build, and the results."""
        files, photos = chosen_files(options), chosen_photos(options)
        try:
            outcomes = list(validate([chosen], cells, files, photos, options.budget, host))
        except StepError as error:
            broken[chosen.folder] = str(error)
            return chosen.folder, []
        return outcomes[0].name if outcomes else chosen.folder, outcomes

    results = dict(side_by_side(judge, builds, options.jobs))
    columns = [f"{target.name} {precision}" for target, precision in cells]
    verdicts = [[name, *_verdicts(row, cells, name in broken)] for name, row in results.items()]
    console.table_in_parts("Verdicts", ["model", *columns], verdicts)
    for line in reasons.seen([one for row in results.values() for one in row]):
        print(line)
    print()
    _show_costs(list(results), [target for target, _ in cells])
    show_beside([encode(one) for row in results.values() for one in row])
    print(f"\n{len(builds)} models in {time.monotonic() - started:.0f} s")
    for name, reason in broken.items():
        print(f"{name} is broken: {reason}")
    if broken:
        return Exit.BROKEN
    every = [one for row in results.values() for one in row]
    return exit_status(every, options.accept_simulated, options.accept_estimated)


def _verdicts(outcomes: list[Result], cells: list[Cell], broken: bool) -> list[str]:
    """A cell's verdict each; "-" where it was left out, as INT8 without photos to calibrate."""
    found = {
        (one.target, one.precision): verdict(one, " seen" if one.data.seen else "")
        for one in outcomes
    }
    absent = "broken" if broken else "-"
    return [found.get((target.name, precision), absent) for target, precision in cells]


def _show_costs(names: list[str], targets: list[Target]) -> None:
    """What the builds' manifests tell of each kind of artifact that the targets want, in fp32."""
    kinds = list(dict.fromkeys(kind for target in targets for kind in target.kinds))
    made = {
        name: {kind: files.read_json(kind.folder(name) / MANIFEST) for kind in kinds}
        for name in names
    }
    counts = [
        (kind, fact)
        for kind in kinds
        for fact in _COUNTS
        if any(fact in row[kind]["facts"] for row in made.values() if row[kind])
    ]
    headers = [f">{kind.name}" for kind in kinds]
    console.table(
        "Steps in fp32 (seconds)",
        ["model", *headers, ">peak MiB"],
        [[name, *map(_seconds, row.values()), _peak_mib(row)] for name, row in made.items()],
    )
    print()
    counted = [f">{kind.name} {fact.replace('_', ' ')}" for kind, fact in counts]
    console.table(
        "Files in fp32 (MB)",
        ["model", *headers, *counted],
        [
            [
                name,
                *(_megabytes(kind, manifest) for kind, manifest in row.items()),
                *(str(row[kind]["facts"][fact]) if row[kind] else "-" for kind, fact in counts),
            ]
            for name, row in made.items()
        ],
    )


def _seconds(manifest: dict | None) -> str:
    return f"{manifest['seconds']:.1f}" if manifest else "-"


def _megabytes(kind: Kind, manifest: dict | None) -> str:
    return f"{manifest['files'][kind.shown]['bytes'] / 1e6:.1f}" if manifest else "-"


def _peak_mib(row: dict[Kind, dict | None]) -> str:
    peaks = [manifest["facts"].get("peak_mib", 0) for manifest in row.values() if manifest]
    return str(max(peaks, default="-"))


if __name__ == "__main__":
    run(main)
