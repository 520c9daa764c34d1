"""A classifier of CIFAR-10's ten classes for every model, on random backbones: real decisions.

    python training/toy_checkpoints.py [--model NAME …] [--photos N]

Where no published weights are at hand, a model of random weights still has no decision worth
counting. These have: what `make adapt` makes of a random backbone is far from good, and far from
chance, so that INT8 and FP16 have something to lose. What is finished is not made again.
"""

import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, f"{sys.path[0]}/..")
    import common.start  # noqa: F401

from collections.abc import Mapping

from common import console, files, process
from common.cli import Exit, Parser, positive, run
from common.errors import StepError
from common.hashes import cached_sha256
from common.paths import ROOT
from models.registry import MODELS, ModelSpec, find_model
from models.weights import find_weights, weights_folder
from training import adapt

DATA = "cifar10"
CHANCE = 0.1
PHOTOS = 2000
# With as many photos these nine would take four fifths of the time.
PHOTOS_OF_THE_SLOW = 600
SLOW = (
    *("VGG11", "VGG13", "VGG16", "VGG19", "DarkNet53"),
    *("pcpvt_base", "pcpvt_large", "alt_gvt_base", "alt_gvt_large"),
)
ORDER = sorted(MODELS, key=SLOW.__contains__)  # the slow last: much is there early

_LIMIT = 4 * 3600.0  # seconds for one model


def make(spec: ModelSpec, photos: int, out: Path) -> dict:
    """The facts of the checkpoint `out`, made in a child process unless it is there already."""
    division = adapt.open_photos(DATA, photos)
    facts = adapt.claim(out, adapt.origin_of(spec, division, find_weights(spec, "random"), seed=0))
    if facts is None:
        console.say(f"  {spec.name}: {photos} photos")
        _adapt(spec, photos, out)
        facts = files.read_json(out.with_suffix(".json"))
    return facts


def _adapt(spec: ModelSpec, photos: int, out: Path) -> None:
    """Run `make adapt`'s command; its lines go on to our standard error, its error into ours."""
    command: list[str | Path] = [
        sys.executable,
        ROOT / "training" / "adapt.py",
        "--model",
        spec.name,
        "--data",
        DATA,
    ]
    command += ["--init", "random", "--photos", str(photos), "--out", out]
    problems: list[str] = []

    def hear(line: str) -> None:
        if line.startswith("error: "):
            problems.append(line.removeprefix("error: "))
        else:
            console.say(line)

    process.run(
        command,
        what=spec.name,
        limit=_LIMIT,
        telling=lambda _: problems[-1] if problems else None,
        hear=hear,
    )


def keep_list(folder: Path) -> None:
    """Write `fixtures.json`: what is in the folder, whichever run made it."""
    listed = {}
    for name in MODELS:
        facts = files.read_json(folder / f"{name}_pretrained.json")
        path = folder / f"{name}_pretrained.pdparams"
        if facts and path.is_file() and cached_sha256(path) == facts["sha256"]:
            listed[name] = {
                "sha256": facts["sha256"],
                "photos": facts["data"]["photos"],
                "held_out": facts["held_out"],
                "seconds": facts["seconds"],
                "origin": facts["origin"],
            }
    files.write_json(folder / "fixtures.json", {"schema": 1, "data": DATA, "models": listed})


def main() -> int:
    parser = Parser(prog="python training/toy_checkpoints.py", description=__doc__)
    parser.add_argument("--model", action="append", metavar="NAME", help="default: all")
    parser.add_argument(
        "--photos",
        type=positive,
        metavar="N",
        help=f"default: {PHOTOS}, and {PHOTOS_OF_THE_SLOW} for {', '.join(SLOW)}",
    )
    options = parser.parse_args()
    wanted = [find_model(name).name for name in options.model or ORDER]
    folder = weights_folder() / "fixtures"
    made, failures = {}, []
    for name in sorted(set(wanted), key=ORDER.index):
        photos = options.photos or (PHOTOS_OF_THE_SLOW if name in SLOW else PHOTOS)
        try:
            made[name] = make(MODELS[name], photos, folder / f"{name}_pretrained.pdparams")
        except StepError as error:  # the others can still be made
            console.say(f"  {error}")
            failures.append(str(error))
    keep_list(folder)
    if made:
        _show(made, folder)
    failures += [
        f"{name} is no better than chance"
        for name, facts in made.items()
        if facts["held_out"]["ci95"][0] <= CHANCE
    ]
    if failures:
        raise StepError(f"{len(failures)} of {len(set(wanted))} fixtures fell short: {failures[0]}")
    return Exit.OK


def _show(made: Mapping[str, Mapping], folder: Path) -> None:
    rows = []
    for name, facts in made.items():
        held_out = facts["held_out"]
        low, high = held_out["ci95"]
        rows.append([
            *(name, str(facts["data"]["photos"]), str(held_out["photos"])),
            *(f"{held_out['top1']:.1%}", f"{low:.1%} to {high:.1%}"),
            *(f"{facts['seconds']:.0f}", facts["sha256"]),
        ])  # fmt: skip
    headers = ["model", ">photos", ">held out", ">top-1", ">95 % interval", ">seconds", "sha256"]
    title = f"Classifiers of {DATA} on random backbones (chance is {CHANCE:.0%})"
    console.table(title, headers, rows)
    print(f"next: make matrix MODELS=all WEIGHTS={console.shown(folder)} CLASSES=10 DATA={DATA}")


if __name__ == "__main__":
    run(main)
