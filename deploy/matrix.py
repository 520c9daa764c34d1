"""Every model on every target: what each step cost, and what each target's verdict is.

    python deploy/matrix.py [--model NAME …] [--target NAME …] [--weights random] [--photos 16]

A cell that fails does not stop the others. Exit status as for deploy/validate.py.
"""

import argparse
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
from deploy.request.values import Cell, cell_name
from deploy.scale.arguments import add_ray_arguments
from deploy.speed.tables import show_beside
from deploy.targets.base import Target
from deploy.verdict import advice, reasons
from deploy.verdict.result import Result
from deploy.verdict.tables import verdict
from deploy.verdict.validator import validate
from models.registry import MODELS
from runtimes.hosts.base import Host

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
    add_ray_arguments(parser, "the cells")
    options = parser.parse_args()
    if options.ray and options.jobs > 1:
        parser.error("--jobs is for this machine alone: leave it out, Ray knows its nodes")
    if options.model == ["all"]:
        options.model = list(MODELS)
    builds = chosen_builds(options)
    host = chosen_host(options)
    cells = at_endpoint(chosen_cells(options, host), options)
    started = time.monotonic()
    if options.ray:
        from deploy.scale.jobs import matrix_jobs
        from deploy.scale.run import on_cluster

        jobs, inputs = matrix_jobs(parser, options, builds, cells)
        found = on_cluster(jobs, inputs, host, options.ray, options.ray_wait)
        results, broken, absent = found.results, found.broken, found.absent
    else:
        results, broken = _here(options, builds, cells, host)
        absent = {}
    columns = [f"{target.name} {precision}" for target, precision in cells]
    verdicts = [
        [name, *_verdicts(row, cells, name in broken, [cell for of, cell in absent if of == name])]
        for name, row in results.items()
    ]
    console.table_in_parts("Verdicts", ["model", *columns], verdicts)
    for line in reasons.seen([one for row in results.values() for one in row]):
        print(line)
    print()
    if not options.ray:  # what was made lies where it was made
        _show_costs(list(results), [target for target, _ in cells])
    show_beside([encode(one) for row in results.values() for one in row])
    print(f"\n{len(builds)} models in {time.monotonic() - started:.0f} s")
    for name, reason in broken.items():
        print(f"{name} is broken: {reason}")
    for (name, cell), reason in absent.items():
        print(f"{name} {cell_name(cell)} is unavailable: {reason}")
    if broken:
        return Exit.BROKEN
    every = [one for row in results.values() for one in row]
    status = advice.status(every, options)
    return Exit.UNDECIDED if absent and status == Exit.OK else status


def _here(
    options: argparse.Namespace, builds: list[Chosen], cells: list[Cell], host: Host
) -> tuple[dict[str, list[Result]], dict[str, str]]:
    """The results of each build, and why builds are broken."""
    broken: dict[str, str] = {}

    def judge(chosen: Chosen) -> tuple[str, list[Result]]:
        """The name of its build, and the results."""
        files, photos = chosen_files(options), chosen_photos(options)
        try:
            outcomes = list(validate([chosen], cells, files, photos, options.budget, host))
        except StepError as error:
            broken[chosen.folder] = str(error)
            return chosen.folder, []
        return outcomes[0].name if outcomes else chosen.folder, outcomes

    return dict(side_by_side(judge, builds, options.jobs)), broken


def _verdicts(
    outcomes: list[Result], cells: list[Cell], broken: bool, absent: list[Cell]
) -> list[str]:
    """A cell's verdict each; "-" where it was left out, as INT8 without photos to calibrate."""
    found = {
        (one.target, one.precision): verdict(one, " seen" if one.data.seen else "")
        for one in outcomes
    }
    found |= {(target.name, precision): "unavailable" for target, precision in absent}
    other = "broken" if broken else "-"
    return [found.get((target.name, precision), other) for target, precision in cells]


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
