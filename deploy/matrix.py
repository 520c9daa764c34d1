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
from common.paths import build_root
from convert.artifact import MANIFEST
from deploy.request.arguments import (
    add_file_arguments,
    add_photo_arguments,
    chosen_cells,
    chosen_files,
    chosen_photos,
)
from deploy.request.building import choose_models
from deploy.verdict.result import colored, exit_status
from deploy.verdict.validator import validate
from models.registry import MODELS, ModelSpec

_STEPS = ("inference", "onnx", "openvino", "lite-x86", "lite-arm")


def main() -> int:
    parser = Parser(prog="python deploy/matrix.py", description=__doc__)
    parser.add_argument(
        "--model", action="append", metavar="NAME", help="repeatable; all for every one"
    )
    add_file_arguments(parser, target_default=["all"])
    add_photo_arguments(parser)
    parser.add_argument(
        "--jobs", type=positive, default=1, metavar="N", help="models at a time (default: 1)"
    )
    options = parser.parse_args()
    names = list(MODELS) if options.model == ["all"] else options.model
    specs = choose_models(names, options.weights)
    cells = chosen_cells(options)
    started = time.monotonic()
    broken = {}

    def judge(spec: ModelSpec) -> list[dict]:
        files, photos = chosen_files(options), chosen_photos(options)
        try:
            return list(validate([spec], cells, files, photos, options.budget))
        except StepError as error:
            broken[spec.name] = str(error)
            return []

    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        results = dict(zip((spec.name for spec in specs), pool.map(judge, specs), strict=True))
    columns = [f"{target.name} {precision}" for target, precision in cells]
    console.table("Verdicts", ["model", *columns], [_verdicts(*row) for row in results.items()])
    print()
    steps = [f">{step} s" for step in _STEPS]
    headers = ["model", *steps, ">nodes raw", ">nodes", ">ONNX MB", ">.nb MB", ">peak MiB"]
    console.table("Steps", headers, [_costs(spec.name) for spec in specs])
    print(f"\n{len(specs)} models in {time.monotonic() - started:.0f} s")
    for name, reason in broken.items():
        print(f"{name} is broken: {reason}")
    if broken:
        return Exit.BROKEN
    return exit_status([one for row in results.values() for one in row], options.accept_simulated)


def _verdicts(model: str, outcomes: list[dict]) -> list[str]:
    return [model, *(colored(outcome["verdict"]) for outcome in outcomes)]


def _costs(model: str) -> list[str]:
    """The seconds, nodes, sizes and peak memory that the model's manifests tell (fp32)."""
    manifests = {
        kind: files.read_json(build_root() / model / kind / "fp32" / MANIFEST) for kind in _STEPS
    }

    def fact(kind: str, name: str) -> str:
        return str(manifests[kind]["facts"][name]) if manifests[kind] else "-"

    def megabytes(kind: str, name: str) -> str:
        return f"{manifests[kind]['files'][name]['bytes'] / 1e6:.1f}" if manifests[kind] else "-"

    peaks = [manifest["facts"]["peak_mib"] for manifest in manifests.values() if manifest]
    return [
        model,
        *(f"{manifest['seconds']:.1f}" if manifest else "-" for manifest in manifests.values()),
        fact("onnx", "nodes_raw"),
        fact("onnx", "nodes"),
        megabytes("onnx", "model.onnx"),
        megabytes("lite-arm", "model.nb"),
        str(max(peaks, default="-")),
    ]


if __name__ == "__main__":
    run(main)
