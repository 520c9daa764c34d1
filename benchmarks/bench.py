"""How fast the toolkit is against the plain scripts and raw tools that do the same (`make bench`).

    python benchmarks/bench.py [--data DIR] [--only loader] [--rounds 3]

Both sides run by turns in the same session. A ratio is the plain side's time over ours, so above
1 means that the toolkit is faster. The plain scripts are in benchmarks/baselines/.
"""

import os
import sys
import tempfile
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, f"{sys.path[0]}/..")
    import common.start  # noqa: F401

from statistics import median

from benchmarks.arguments import add_input_arguments, add_rounds_argument
from benchmarks.parts import COMPARISONS, Part, Sample, Setting, build, run_baseline
from common import console, files, machine
from common.cli import Exit, Parser, choice, run
from common.errors import StepError, UserError
from common.paths import build_root
from data.images import ImageSet
from deploy.targets import TARGETS
from deploy.targets.base import Target
from models.registry import ModelSpec, find_model
from models.weights import Weights, find_weights
from runtimes.environments import ENVIRONMENTS

_PARTS = {part.name: part for part in COMPARISONS}
_NOISY = 0.2  # a spread above this share of the median says that something else was running


def _measure(part: Part, setting: Setting, rounds: int) -> dict:
    """Run both sides by turns; returns the part's entry in `bench.json`."""
    samples: dict[str, list[Sample]] = {"ours": [], "plain": []}
    for number in range(rounds):
        sides = [("ours", part.ours), ("plain", part.plain)]
        # Who goes first alternates too: the first pays for whatever went cold in between.
        for side, take in sides if number % 2 == 0 else reversed(sides):
            samples[side].append(take(setting))
        ours, plain = samples["ours"][-1], samples["plain"][-1]
        if ours.outcome != plain.outcome:
            raise StepError(
                f"{part.name}: the two sides did not do the same: ours gives {ours.outcome}, the "
                f"plain side {plain.outcome}"
            )
        console.say(
            f"  {part.name}, round {number + 1} of {rounds}: ours {ours.total:.2f} s, "
            f"plain {plain.total:.2f} s"
        )
    summaries = {side: _summary(taken) for side, taken in samples.items()}
    return {
        "part": part.name,
        **summaries,
        "ratio": summaries["plain"]["median_s"] / summaries["ours"]["median_s"],
        "noisy": any(summary["spread"] > _NOISY for summary in summaries.values()),
        "outcome": samples["ours"][-1].outcome,
    }


def _summary(samples: list[Sample]) -> dict:
    """Median in seconds, spread ((largest - smallest) / median), and every single timing."""
    totals = [sample.total for sample in samples]
    middle = median(totals)
    return {
        "median_s": middle,
        "spread": (max(totals) - min(totals)) / middle,
        "rounds_s": [dict(sample.seconds) for sample in samples],
    }


def _show(setting: Setting, measured: list[dict], rounds: int) -> None:
    count = f", {len(setting.photos)} photos ({setting.photos.name})" if setting.photos else ""
    console.table(
        f"{setting.spec.name}{count}, median of {rounds}",
        ["what", ">ours", ">spread", ">plain", ">spread", ">ratio (plain / ours)", ""],
        [_row(setting, entry) for entry in measured],
    )
    for entry in measured:
        print(f"{entry['part']}: {_PARTS[entry['part']].same(setting, entry['outcome'])}")


def _row(setting: Setting, entry: dict) -> list[str]:
    cells = []
    for side in ("ours", "plain"):
        cells.append(_speed(setting, entry["part"], entry[side]["median_s"]))
        cells.append(f"{100 * entry[side]['spread']:.0f} %")
    noisy = console.colored("noisy", "yellow") if entry["noisy"] else ""
    return [_PARTS[entry["part"]].title, *cells, f"{entry['ratio']:.2f}", noisy]


def _speed(setting: Setting, part: str, seconds: float) -> str:
    if part == "loader" and setting.photos:
        return f"{len(setting.photos) / seconds:.0f} photos/s"
    return f"{seconds:.1f} s"


def describe_environment() -> dict:
    """This machine and the tools' versions, as they stand beside the timings."""
    return {
        "cpu": machine.cpu(),
        "isa": machine.isa(),
        "threads": machine.threads(),
        "load": os.getloadavg()[0],
        "versions": {
            name: {tool: environment.version(tool) for tool in environment.tools}
            for name, environment in ENVIRONMENTS.items()
        },
    }


def main() -> int:
    options = _parse()
    spec = find_model(options.model)
    parts = [part for part in COMPARISONS if part.name in (options.only or _PARTS)]
    environment = describe_environment()  # before our own work counts as load
    with tempfile.TemporaryDirectory(prefix="portage-bench-") as scratch:
        setting = _prepare(spec, {part.name for part in parts}, options, Path(scratch))
        measured = [_measure(part, setting, options.rounds) for part in parts]
    _show(setting, measured, options.rounds)
    facts = {"schema": 1, "model": spec.name, "rounds": options.rounds, "parts": measured}
    path = build_root() / "bench.json"
    files.write_json(path, {**facts, **_inputs(setting), "environment": environment})
    print(f"every timing: {console.shown(path)}")
    return Exit.OK


def _inputs(setting: Setting) -> dict:
    """The weights and the photos of both sides, null where no part needed them."""
    weights, photos = setting.weights, setting.photos
    named = (
        {"name": photos.name, "images": len(photos), "sha256": photos.sha256} if photos else None
    )
    return {"weights": weights.label if weights else None, "data": named}


def _parse():
    parser = Parser(prog="python benchmarks/bench.py", description=__doc__)
    parser.add_argument("--model", default="SqueezeNet1_1", metavar="NAME")
    add_input_arguments(parser, weights="demo")
    add_rounds_argument(parser, 3)
    parser.add_argument(
        "--only",
        action="append",
        type=choice(*_PARTS),
        metavar="PART",
        help=f"{', '.join(_PARTS)}; repeatable",
    )
    return parser.parse_args()


def _prepare(spec: ModelSpec, parts: set[str], options, scratch: Path) -> Setting:
    """Open everything that the parts need, so that no measurement waits for it or fails on it."""
    photos = ImageSet.open(options.data) if parts & {"loader", "validate"} else None
    weights = _find_weights(spec, options.weights) if parts & {"validate", "chain"} else None
    setting = Setting(spec, weights, photos, _targets() if weights else (), scratch)
    if photos:
        for path in photos.paths:  # so that neither side waits for the disk
            path.read_bytes()
        with setting.listing.open("w", encoding="utf-8", errors="surrogateescape") as listing:
            for path, label in zip(photos.paths, photos.truth, strict=True):
                listing.write(f"{path.absolute()} {label}\n")
    if weights:
        console.say("  an untimed build first, so that both sides find the libraries in memory")
        build(setting, setting.built)
    return setting


def _find_weights(spec: ModelSpec, wanted: str) -> Weights:
    weights = find_weights(spec, wanted)
    if weights.path is None or weights.path.suffix != ".pdparams":
        raise UserError(f"--weights {wanted}: the plain export script reads .pdparams files only")
    return weights


def _targets() -> tuple[Target, ...]:
    """Those whose file the plain scripts make too, and whose tools are here."""
    _, made = run_baseline("chain.py", "--made")
    chosen = []
    for target in TARGETS.values():
        known = target.kinds[-1].name in made
        problem = target.problem() if known else "no plain script makes its file"
        if problem:
            console.say(f"  {target.name} is left out on both sides: {problem}")
        else:
            chosen.append(target)
    return tuple(chosen)


if __name__ == "__main__":
    run(main)
