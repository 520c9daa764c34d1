"""A new classifier on a frozen backbone: minutes on a CPU, without training.

    python training/adapt.py --model SqueezeNet1_1 --data DIR [--init official|demo|random|PATH]

One pass over the photos gathers the normal equations of ridge regression, from what goes into the
classifier to which class it is, so memory does not grow with their number. Some are held out (val/
or val_list.txt, else a tenth): they choose the penalty and the scale of the logits, and give the
top-1 that is reported, which that choice flatters a little. What comes out is a checkpoint like any
other, and beside it stands which photos were held out (docs/split.md).
"""

import os
import sys
import warnings
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, f"{sys.path[0]}/..")
    import common.start  # noqa: F401
    from common import machine

    machine.let_mkl_use_avx2()
    # Paddle's own chatter, most of it when it is imported.
    os.environ.setdefault("GLOG_minloglevel", "2")
    warnings.filterwarnings("ignore", module="paddle")

import contextlib
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from common import files
from common.cli import Exit, Parser, positive, run, whole, word_or_path
from common.console import say, shown
from common.errors import UserError
from common.paths import absolute
from common.sources import code_of
from common.strict_json import encode
from convert.builds import add_key_argument, words_for
from data.images import BUILT_IN, WHOLE, ImageSet, set_name, splits_of
from data.stream import Stream
from models.beside import warn_of_init
from models.registry import ModelSpec, find_model
from models.split import HeldOutResult, read_split, split_beside, split_path, write_split
from models.state import SUFFIXES, write_state
from models.weights import WORDS, Weights, find_weights, weights_folder
from training.backbone import load_backbone, recalibrate
from training.classifier_head import fit_head, open_head, written_logits
from training.division import HELD_OUT_SHARE, Division, divide
from training.ridge import count_right
from training.signals import take_back_signals

LEAST_PHOTOS = 20
LEAST_PER_CLASS = 2

_NAMED_IN_ERRORS = 5


def check_classes(images: ImageSet) -> int:
    """The number of classes; UserError where there is too little of any of them to fit on."""
    classes = len(images.class_names or range(max(images.truth) + 1))
    counts = Counter(images.truth)
    if classes < 2:
        raise UserError(f"{images.name} has photos of one class only; give at least two classes")
    scarce = [label for label in range(classes) if counts[label] < LEAST_PER_CLASS]
    if scarce:
        named = ", ".join(
            f"{images.class_names[label] if images.class_names else label} ({counts[label]})"
            for label in scarce[:_NAMED_IN_ERRORS]
        )
        more = ", …" if len(scarce) > _NAMED_IN_ERRORS else ""
        raise UserError(
            f"{images.name}: {len(scarce)} of {classes} classes have fewer than {LEAST_PER_CLASS} "
            f"photos: {named}{more}; add photos, or take more of them (--photos)"
        )
    if len(images) < LEAST_PHOTOS:
        raise UserError(
            f"{images.name}: {len(images)} photos, at least {LEAST_PHOTOS} are needed; add photos, "
            "or take more of them (--photos)"
        )
    return classes


def open_photos(source: str, photos: int | None = None, **how: Any) -> Division:
    """The photos to fit on and those held out; of `photos` in all a tenth is held out.

    `how`: the seed, and the split of the backbone's checkpoint, for `divide`.
    """
    held_out = max(1, photos // HELD_OUT_SHARE) if photos else None
    if photos and held_out and splits_of(source) != (WHOLE,):
        return divide(source, most=(photos - held_out, held_out), **how)
    return divide(source, most=(photos, None), **how)


def origin_of(
    spec: ModelSpec, division: Division, weights: Weights, seed: int
) -> dict[str, object]:
    """What identifies a checkpoint before it is made."""
    return {
        "code": files.sha256_of(code_of(adapt, spec.builder)),
        "model": spec.name,
        "preprocess": spec.preprocess.to_json(),
        "data": division.images.sha256,
        **({} if division.whole else {"held_out": division.held_out.sha256}),
        "backbone": weights.sha256,
        "seed": seed,
    }


def adapt(
    spec: ModelSpec,
    division: Division,
    weights: Weights,
    out: Path,
    *,
    seed: int = 0,
    skip_bad: bool = False,
) -> dict:
    """Fit a classifier of these photos' classes and write the checkpoint `out`; returns the facts.

    Beside it `<name>.classes.txt` (a name per class), `<name>.split.json` (the photos that were
    held out, and those that were not) and `<name>.json` (the facts). Nothing is done where they are
    there from the same inputs.
    """
    started, images = time.monotonic(), division.images
    classes = check_classes(images if division.whole else division.training)
    origin = origin_of(spec, division, weights, seed)
    standing = claim(out, origin)
    if standing:
        say(f"  {shown(out)} is there already, from the same inputs")
        return standing
    stream = Stream(images, spec.preprocess, skip_bad)
    network = load_backbone(spec, weights, classes)
    if weights.origin == "random":
        recalibrate(network, stream, division.training_rows)
    with open_head(network, spec.input_shape) as head:
        made = fit_head(head, stream, division.training_rows, division.held_out_rows)
    with _replacing(out) as new:
        write_state(new, head.state(made.classifier))
        judged, logits = written_logits(spec, new, stream, made, division.held_out_rows)
        result = HeldOutResult.of(count_right(logits, stream.labels[judged]), len(judged))
        facts = {
            "schema": 1,
            "origin": origin,
            "sha256": files.sha256(new),
            "data": {
                "name": images.name,
                "classes": classes,
                "photos": len(images) - len(stream.bad),
                "unreadable": len(stream.bad) + len(images.left_out),
                "sha256": origin["data"],
            },
            "backbone": {"weights": weights.label, "sha256": weights.sha256},
            "penalty": made.penalty,
            "scale": made.scale,
            "logits": _range(made.logits),
            "held_out": {**encode(result), "interval": "Wilson 1927"},
            "seconds": round(time.monotonic() - started, 1),
        }
        with files.atomic(_beside(out, ".classes.txt")) as listing:
            listing.writelines(f"{name}\n" for name in images.class_names or range(classes))
        write_split(split_path(out), division.split(new, "adapt", result))
        files.write_json(_beside(out, ".json"), facts)
    return facts


@contextlib.contextmanager
def _replacing(out: Path) -> Iterator[Path]:
    """A name to write a file under that takes the name `out` if all goes well, else is removed."""
    new = out.with_name(f".{out.stem}.new{out.suffix}")
    try:
        yield new
        new.replace(out)
    finally:
        new.unlink(missing_ok=True)


def _range(logits: np.ndarray) -> dict[str, float]:
    """What lower precisions have to hold: what a photo's logits have in common, and differ by."""
    return {
        "mean": float(logits.mean()),
        "spread": float(np.ptp(logits, axis=1).mean()),
        "largest": float(np.abs(logits).max()),
    }


def claim(out: Path, origin: Mapping[str, object]) -> dict | None:
    """Make sure that the checkpoint `out` may be written, before anything costs time.

    Returns the facts of one that is there from the same inputs, whole and unchanged: it need not
    be made again. One that this command wrote from them with other code is replaced; anything else
    under these names is the user's, and is not.
    """
    if out.suffix not in SUFFIXES:
        raise UserError(f"{out}: weights are written as {' or '.join(SUFFIXES)} only")
    listing, account = _beside(out, ".classes.txt"), _beside(out, ".json")
    facts = files.read_json(account)
    if isinstance(facts, dict) and _inputs(facts.get("origin")) == _inputs(origin):
        if not out.exists():
            return None
        if files.sha256(out) == facts["sha256"]:
            whole = listing.exists() and _is_split_of(split_path(out), facts["sha256"])
            return facts if facts["origin"] == origin and whole else None
    for path in (out, account, listing, split_path(out)):
        if path.exists():
            raise UserError(
                f"{shown(path)} is there already, and not from this command with the same model, "
                "weights, photos and seed; move it away, or name another file with --out"
            )
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise UserError(f"{out.parent} is not a folder; name another file with --out") from None
    return None


def _is_split_of(path: Path, checkpoint: str) -> bool:
    """Whether a file is the sound split of a checkpoint, by its SHA-256."""
    try:
        split = read_split(path)
    except UserError:
        return False
    return split is not None and split.checkpoint == checkpoint


def _inputs(origin: Mapping[str, object] | None) -> dict[str, object]:
    """What a user gave to make a checkpoint from."""
    return {name: value for name, value in (origin or {}).items() if name != "code"}


def _beside(out: Path, ending: str) -> Path:
    return out.with_name(out.stem + ending)


def main() -> int:
    parser = Parser(prog="python training/adapt.py", description=__doc__)
    parser.add_argument("--model", required=True, metavar="NAME", help="its name in the README")
    parser.add_argument(
        "--data",
        type=word_or_path(*BUILT_IN),
        required=True,
        metavar="DIR",
        help="a folder with train_list.txt and val_list.txt, or with train/ and val/ of one folder "
        "per class, or cifar10; of one folder per class, or one list, a tenth is held out",
    )
    parser.add_argument(
        "--init",
        type=word_or_path(*WORDS),
        metavar="WEIGHTS",
        help="the backbone: a file, a folder of them, official, demo or random (default: what is "
        "found in the weights folder or the cache)",
    )
    add_key_argument(parser)
    parser.add_argument(
        "--out", type=absolute, metavar="FILE", help="default: weights/<model>_<data>.pdparams"
    )
    parser.add_argument(
        "--photos",
        type=positive,
        metavar="N",
        help="take N photos, evenly spread; a tenth of them is held out",
    )
    parser.add_argument(
        "--seed", type=whole(0), default=0, help="of the choice of the held-out photos"
    )
    parser.add_argument("--skip-bad", action="store_true", help="leave out unreadable photos")
    options = parser.parse_args()
    spec = find_model(options.model)
    # Not in the build folder: make clean must not take what cost the user time.
    name = f"{spec.name}_{set_name(options.data, 'train')}.pdparams"
    out = options.out or weights_folder() / name
    files.require_place(out)
    weights = find_weights(spec, options.init, "INIT", options.weights_key)
    warn_of_init(spec, weights)
    before = split_beside(weights)
    division = open_photos(options.data, options.photos, seed=options.seed, before=before)
    take_back_signals()
    facts = adapt(spec, division, weights, out, seed=options.seed, skip_bad=options.skip_bad)
    _show(spec, facts, out)
    return Exit.OK


def _show(spec: ModelSpec, facts: Mapping, out: Path) -> None:
    data = facts["data"]
    held_out = HeldOutResult.of(facts["held_out"]["right"], facts["held_out"]["photos"])
    path, backbone = shown(out.resolve()), facts["backbone"]["weights"][:12]
    print(
        f"{spec.name} ({backbone} backbone) on {data['name']}: held-out top-1 {held_out}; which "
        f"photos: {shown(split_path(out.resolve()))}"
    )
    if data["unreadable"]:
        print(f"  {data['unreadable']} photos could not be read and are left out")
    print(f"  {data['photos']} photos, {data['classes']} classes, {facts['seconds']:.0f} s: {path}")
    print(f"next: make calibrate {words_for(spec, out)} TARGET=onnx WITHIN_BUDGET=1")


if __name__ == "__main__":
    run(main)
