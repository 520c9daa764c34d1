"""A new classifier on a frozen backbone: minutes on a CPU, without training.

    python training/adapt.py --model SqueezeNet1_1 --data DIR [--init official|demo|random|PATH]

One pass over the photos gathers the normal equations of ridge regression, from what goes into the
classifier to which class it is, so memory does not grow with their number. A tenth is held out: it
chooses the penalty and the scale of the logits, and gives the top-1 that is reported, which that
choice flatters a little. What comes out is a checkpoint like any other.
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
import shlex
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from common import files
from common.cli import Exit, Parser, positive, run, whole, word_or_path
from common.console import say, shown
from common.errors import UserError
from common.intervals import wilson_interval
from common.paths import absolute
from common.sources import code_of
from data.images import BUILT_IN, ImageSet
from data.stream import Stream
from models.registry import ModelSpec, find_model
from models.state import SUFFIXES, write_state
from models.weights import WORDS, Weights, find_weights, weights_folder
from training.backbone import load_backbone, recalibrate
from training.classifier_head import fit_head, open_head, written_logits
from training.ridge import count_right
from training.signals import take_back_signals

HELD_OUT_SHARE = 10  # one photo in so many …
MOST_HELD_OUT = 5000  # … and no more: that tells top-1 to ±1.4 points and bounds the memory
LEAST_PHOTOS = 20
LEAST_PER_CLASS = 2

_NAMED_IN_ERRORS = 5


def split(labels: Sequence[int], seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows to fit on and rows held out: one in ten of each class, at most MOST_HELD_OUT in all.

    Every tenth of a shuffled order, class by class, so no class is held out as a whole.
    """
    order = np.random.default_rng(seed).permutation(len(labels))
    order = order[np.argsort(np.asarray(labels)[order], kind="stable")]
    step = max(HELD_OUT_SHARE, -(-len(order) // MOST_HELD_OUT))
    held_out = np.zeros(len(order), bool)
    held_out[order[step // 2 :: step]] = True
    return np.flatnonzero(~held_out), np.flatnonzero(held_out)


def check_classes(images: ImageSet) -> int:
    """The number of classes; UserError where there is too little of any of them to fit on."""
    classes = len(images.class_names or range(max(images.labels) + 1))
    counts = Counter(images.labels)
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


def open_labelled(source: str) -> ImageSet:
    """The photos to train on; a folder of class folders with no such division is taken whole."""
    folder = Path(source)
    parts = ("train", "val", "train_list.txt", "val_list.txt")
    whole = folder.is_dir() and not any((folder / part).exists() for part in parts)
    return ImageSet.open(source, None, "val" if whole else "train")


def origin_of(spec: ModelSpec, images: ImageSet, weights: Weights, seed: int) -> dict[str, object]:
    """What identifies a checkpoint before it is made."""
    return {
        "code": files.sha256_of(code_of(adapt, spec.builder)),
        "model": spec.name,
        "preprocess": spec.preprocess.to_json(),
        "data": images.sha256,
        "backbone": weights.sha256,
        "seed": seed,
    }


def adapt(
    spec: ModelSpec,
    images: ImageSet,
    weights: Weights,
    out: Path,
    *,
    seed: int = 0,
    skip_bad: bool = False,
) -> dict:
    """Fit a classifier of these photos' classes and write the checkpoint `out`; returns the facts.

    Beside it `<name>.classes.txt` (a name per class) and `<name>.json` (the facts). Nothing is done
    where they are there from the same inputs.
    """
    started = time.monotonic()
    classes = check_classes(images)
    origin = origin_of(spec, images, weights, seed)
    standing = claim(out, origin)
    if standing:
        say(f"  {shown(out)} is there already, from the same inputs")
        return standing
    stream = Stream(images, spec.preprocess, skip_bad)
    fit_on, held_out = split(images.labels, seed)
    network = load_backbone(spec, weights, classes)
    if weights.origin == "random":
        recalibrate(network, stream, fit_on)
    with open_head(network, spec.input_shape) as head:
        made = fit_head(head, stream, held_out)
    with _replacing(out) as new:
        write_state(new, head.state(made.classifier))
        right = count_right(written_logits(spec, new, stream, made), stream.labels[made.rows])
        facts = {
            "schema": 1,
            "origin": origin,
            "sha256": files.sha256(new),
            "data": {
                "name": images.name,
                "classes": classes,
                "photos": len(images) - len(stream.bad),
                "unreadable": len(stream.bad),
                "sha256": origin["data"],
            },
            "backbone": {"weights": weights.label, "sha256": weights.sha256},
            "penalty": made.penalty,
            "scale": made.scale,
            "logits": _range(made.logits),
            "held_out": _share(right, len(made.rows)),
            "seconds": round(time.monotonic() - started, 1),
        }
        with files.atomic(_beside(out, ".classes.txt")) as listing:
            listing.writelines(f"{name}\n" for name in images.class_names or range(classes))
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


def _share(right: int, n: int) -> dict[str, object]:
    return {
        "photos": n,
        "right": right,
        "top1": right / n,
        "ci95": wilson_interval(right, n),
        "interval": "Wilson 1927",
    }


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
            return facts if facts["origin"] == origin and listing.exists() else None
    for path in (out, account, listing):
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
        help="photos to train on: a folder with train_list.txt, one folder per class, or cifar10",
    )
    parser.add_argument(
        "--init",
        type=word_or_path(*WORDS),
        metavar="WEIGHTS",
        help="the backbone: a file, a folder of them, official, demo or random (default: what is "
        "found in the weights folder or the cache)",
    )
    parser.add_argument(
        "--out", type=absolute, metavar="FILE", help="default: weights/<model>_<data>.pdparams"
    )
    parser.add_argument("--photos", type=positive, metavar="N", help="take N photos, evenly spread")
    parser.add_argument(
        "--seed", type=whole(0), default=0, help="of the choice of the held-out photos"
    )
    parser.add_argument("--skip-bad", action="store_true", help="leave out unreadable photos")
    options = parser.parse_args()
    spec = find_model(options.model)
    images = open_labelled(options.data)
    # Not in the build folder: make clean must not take what cost the user time.
    out = options.out or weights_folder() / f"{spec.name}_{images.name}.pdparams"
    if options.photos:
        images = images.spread(options.photos)
    weights = find_weights(spec, options.init, "INIT")
    take_back_signals()
    facts = adapt(spec, images, weights, out, seed=options.seed, skip_bad=options.skip_bad)
    _show(spec, facts, out)
    return Exit.OK


def _show(spec: ModelSpec, facts: Mapping, out: Path) -> None:
    data, held_out = facts["data"], facts["held_out"]
    low, high = held_out["ci95"]
    path, backbone = shown(out.resolve()), facts["backbone"]["weights"][:12]
    print(
        f"{spec.name} ({backbone} backbone) on {data['name']}: held-out top-1 "
        f"{held_out['top1']:.1%} (95 % interval {low:.1%} to {high:.1%}, {held_out['right']} of "
        f"{held_out['photos']} photos)"
    )
    if data["unreadable"]:
        print(f"  {data['unreadable']} photos could not be read and are left out")
    print(f"  {data['photos']} photos, {data['classes']} classes, {facts['seconds']:.0f} s: {path}")
    print(
        f"next: make export MODEL={spec.name} WEIGHTS={shlex.quote(path)} CLASSES={data['classes']}"
    )


if __name__ == "__main__":
    run(main)
