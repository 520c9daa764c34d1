"""On a machine with an NVIDIA GPU, run everything that is only simulated elsewhere.

    python deploy/gpu_check.py [--model NAME …] [--data DIR] [--out FOLDER]

Parts, each a command of the toolkit in a process of its own: the set-up of .venv-trt; of each
model its engines with their drift on photos, the simulation of the same, which decisions the two
changed alike, and latency at batches 1, 4 and 8 beside the published figures; an epoch of training
in mixed precision, on one GPU and on two. One that fails stops no other. A run that was
interrupted goes on where it was, and tries again what did not end well; --fresh does all anew.
gpu-check.json and gpu-check.html are what comes out.

Exit status: 0 every part ran, 1 one failed, 2 bad input, 3 one is unavailable here.
"""

import collections
import sys

if __name__ == "__main__":
    sys.path.insert(0, f"{sys.path[0]}/..")
    import common.start  # noqa: F401

import argparse
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from common import files, process
from common.cli import Exit, Parser, choice, end_with, number, run, word_or_path
from common.console import say, shown, span
from common.errors import StepError, UserError
from common.paths import ROOT, absolute, build_root
from common.version import VERSION
from deploy.gpu.decisions import compare_decisions
from deploy.gpu.record import STATUSES, Check, Machine, Part, finished
from deploy.gpu.running import run_step, typed
from deploy.gpu.steps import REAL, SIMULATED, Comparison, Wanted, steps, target_here
from deploy.request.arguments import add_data_arguments
from models.registry import MODELS, find_model
from models.weights import WORDS
from runtimes import nvidia
from runtimes.environments import MAIN

RECORD, PAGE = "gpu-check.json", "gpu-check.html"
_PAGE_LIMIT = 600.0  # seconds
_NOT_ALL = (
    "this is no error: parts are unavailable on this machine, as said above; next: the same where "
    "they can run, or see what is missing (make doctor)"
)


def main() -> int:
    options = _parse()
    out = options.out or build_root() / "gpu-check"
    if options.out:
        files.require_place(out)
    _require_own(out)
    gpus, _ = nvidia.find()
    target = target_here()
    machine = Machine(
        gpus=[f"{one.name} ({one.architecture})" for one in gpus],
        driver=gpus[0].driver if gpus else None,
        target=target.name,
        toolkit=VERSION,
    )
    wanted = Wanted(
        out,
        list(dict.fromkeys(find_model(name).name for name in options.model or MODELS)),
        options.precision or target.precisions,
        options.weights,
        _photo_words(options),
        options.limit,
    )
    with files.locked(out / ".lock"):
        known = finished(out / RECORD, machine)
        if options.fresh:
            known = {}
            for folder in (REAL, SIMULATED):
                shutil.rmtree(out / folder, ignore_errors=True)
        parts: list[Part] = []
        Check(machine=machine, parts=list(known.values())).write(out / RECORD)
        for part in _parts(wanted, machine, known, parts):
            parts.append(part)
            later = [one for one in known.values() if one.name not in {one.name for one in parts}]
            Check(machine=machine, parts=[*parts, *later]).write(out / RECORD)
        page_problem = _write_page(out)
    _show(parts, machine)
    if page_problem:
        say(f"error: {page_problem}")
    else:
        print(shown(out / PAGE))
    print(shown(out / RECORD))
    statuses = {part.status for part in parts}
    if "failed" in statuses or page_problem:
        return Exit.BROKEN
    end_with(_NOT_ALL)
    return Exit.UNDECIDED if "unavailable" in statuses else Exit.OK


def _require_own(out: Path) -> None:
    """Raise UserError for what is no folder of a check: parts of it are written anew."""
    if out.exists() and not out.is_dir():
        raise UserError(f"{shown(out)} is a file; name a folder: OUT=…")
    if (
        out.is_dir()
        and not (out / RECORD).exists()
        and any(one.name != ".lock" for one in out.iterdir())
    ):
        raise UserError(
            f"{shown(out)} holds other files; name a new folder, or an empty one: OUT=…"
        )


def _parts(
    wanted: Wanted, machine: Machine, known: Mapping[str, Part], done: list[Part]
) -> Iterator[Part]:
    """Each part as it ends, or as it ended in an earlier run that asked the same."""
    for step in steps(wanted, machine.target):
        if isinstance(step, Comparison):
            yield compare_decisions(wanted, step.model, done)
            continue
        before = known.get(step.name)
        if before and before.command == typed(step):
            say(f"{step.name}: done before")
            yield before
        else:
            yield run_step(step)


def _write_page(out: Path) -> str | None:
    """Have the report written; why it was not, where that is so."""
    words = [f"--out={out / PAGE}", f"--gpu-check={out / RECORD}"]
    if any((out / SIMULATED).glob("*/results/*.json")):
        words.append(f"--against={out / SIMULATED}")
    try:
        process.run(
            [MAIN.python, ROOT / "deploy/report.py", *words],
            what="writing the page",
            limit=_PAGE_LIMIT,
            environment={"BUILD_DIR": str(out / REAL)},
        )
    except StepError as error:
        return str(error)
    return None


def _show(parts: list[Part], machine: Machine) -> None:
    """How many parts of each kind there are, and once for all that share it, why not."""
    counts = collections.Counter(part.status for part in parts)
    said = ", ".join(f"{counts[status]} {status}" for status in STATUSES if counts[status])
    took = span(sum(part.seconds for part in parts))
    print(f"\n{', '.join(machine.gpus) or 'no GPU'}, {machine.target}: {said} ({took})")
    shared: dict[tuple[str, str], list[str]] = {}
    for part in parts:
        shared.setdefault((part.status, part.reason), []).append(part.name)
    for (status, reason), names in shared.items():
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        print(f"  {status}: {names[0]}{more}: {reason}")


def _photo_words(options: argparse.Namespace) -> list[str]:
    words = [f"--data={options.data}"] if options.data else []
    words += [f"--photos={options.photos}"] if options.photos else []
    return words + ["--skip-bad"] * options.skip_bad


def _parse() -> argparse.Namespace:
    parser = Parser(prog="python deploy/gpu_check.py", description=__doc__)
    parser.add_argument(
        "--model", action="append", metavar="NAME", help="repeatable (default: all 17)"
    )
    parser.add_argument(
        "--precision",
        action="append",
        type=choice("fp32", "fp16", "int8"),
        metavar="P",
        help="fp32, fp16 or int8; repeatable (default: all three)",
    )
    parser.add_argument(
        "--weights",
        type=word_or_path(*WORDS),
        metavar="W",
        help="a file, a folder, official, demo or random (default: what is found, else random)",
    )
    add_data_arguments(parser)
    parser.add_argument(
        "--limit",
        type=number,
        default=10.0,
        metavar="S",
        help="seconds for a latency (default: 10)",
    )
    parser.add_argument(
        "--out", type=absolute, metavar="FOLDER", help="default: gpu-check in the build folder"
    )
    parser.add_argument("--fresh", action="store_true", help="do all parts anew")
    return parser.parse_args()


if __name__ == "__main__":
    run(main)
