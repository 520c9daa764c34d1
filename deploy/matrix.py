"""Every model on every target: what each step cost, and what each target's verdict is.

    python deploy/matrix.py [--model NAME …] [--target NAME …] [--weights random] [--photos 16]

A cell that fails does not stop the others. Exit status as for deploy/validate.py.
"""

import concurrent.futures
import sys
import time

if __name__ == "__main__":
    sys.path.insert(0, f"{sys.path[0]}/..")
    import common.start  # noqa: F401

from common import console, files
from common.cli import Exit, Parser, positive, run
from common.errors import StepError
from convert.artifact import MANIFEST
from convert.kind import Kind
from deploy.request.arguments import (
    add_file_arguments,
    add_host_arguments,
    add_photo_arguments,
    chosen_cells,
    chosen_files,
    chosen_host,
    chosen_photos,
)
from deploy.request.building import choose_models
from deploy.targets.base import Target
from deploy.verdict.result import Result, exit_status
from deploy.verdict.tables import colored
from deploy.verdict.validator import validate
from models.registry import MODELS, ModelSpec

_COUNTS = ("nodes_raw", "nodes")  # facts of an artifact, where its step counts


def main() -> int:
    parser = Parser(prog="python deploy/matrix.py", description=__doc__)
    parser.add_argument(
        "--model", action="append", metavar="NAME", help="repeatable; all for every one"
    )
    add_file_arguments(parser, target_default=["all"])
    add_photo_arguments(parser)
    add_host_arguments(parser)
    parser.add_argument(
        "--jobs", type=positive, default=1, metavar="N", help="models at a time (default: 1)"
    )
    options = parser.parse_args()
    names = list(MODELS) if options.model == ["all"] else options.model
    specs = choose_models(names, options.weights)
    host = chosen_host(options)
    cells = chosen_cells(options, host)
    started = time.monotonic()
    broken = {}

    def judge(spec: ModelSpec) -> list[Result]:
        files, photos = chosen_files(options), chosen_photos(options)
        try:
            return list(validate([spec], cells, files, photos, options.budget, host))
        except StepError as error:
            broken[spec.name] = str(error)
            return []

    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        results = dict(zip((spec.name for spec in specs), pool.map(judge, specs), strict=True))
    columns = [f"{target.name} {precision}" for target, precision in cells]
    console.table("Verdicts", ["model", *columns], [_verdicts(*row) for row in results.items()])
    print()
    _show_costs([spec.name for spec in specs], [target for target, _ in cells])
    print(f"\n{len(specs)} models in {time.monotonic() - started:.0f} s")
    for name, reason in broken.items():
        print(f"{name} is broken: {reason}")
    if broken:
        return Exit.BROKEN
    return exit_status([one for row in results.values() for one in row], options.accept_simulated)


def _verdicts(model: str, outcomes: list[Result]) -> list[str]:
    return [model, *(colored(outcome.verdict) for outcome in outcomes)]


def _show_costs(models: list[str], targets: list[Target]) -> None:
    """What the models' manifests tell of each kind of artifact that the targets want, in fp32."""
    kinds = list(dict.fromkeys(kind for target in targets for kind in target.kinds))
    made = {
        model: {kind: files.read_json(kind.folder(model) / MANIFEST) for kind in kinds}
        for model in models
    }
    counts = [
        (kind, fact)
        for kind in kinds
        for fact in _COUNTS
        if any(fact in row[kind]["facts"] for row in made.values() if row[kind])
    ]
    names = [f">{kind.name}" for kind in kinds]
    console.table(
        "Steps in fp32 (seconds)",
        ["model", *names, ">peak MiB"],
        [[model, *map(_seconds, row.values()), _peak_mib(row)] for model, row in made.items()],
    )
    print()
    counted = [f">{kind.name} {fact.replace('_', ' ')}" for kind, fact in counts]
    console.table(
        "Files in fp32 (MB)",
        ["model", *names, *counted],
        [
            [
                model,
                *(_megabytes(kind, manifest) for kind, manifest in row.items()),
                *(str(row[kind]["facts"][fact]) if row[kind] else "-" for kind, fact in counts),
            ]
            for model, row in made.items()
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
