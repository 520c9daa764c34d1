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
    sys.path[0] = str(Path(__file__).resolve().parents[1])
    from common import machine, venv

    venv.enter()
    machine.let_mkl_use_avx2()
    # Paddle's own chatter, most of it when it is imported.
    os.environ.setdefault("GLOG_minloglevel", "2")
    warnings.filterwarnings("ignore", module="paddle")

import contextlib
import shlex
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from common import files, machine
from common.cli import Exit, Parser, positive, run
from common.console import say, shown
from common.errors import StepError, UserError
from common.intervals import wilson_interval
from data import synthetic
from data.images import ImageSet, printable, spread_rows
from data.stream import BATCH, CHUNK, Stream
from models.registry import ModelSpec, find_model
from models.state import SUFFIXES, read_state, write_state
from models.weights import (
    Weights,
    class_count,
    classifier,
    find_weights,
    load_state,
    weights_folder,
)
from training.ridge import Classifier, Moments, count_right, fit, fit_scale

if TYPE_CHECKING:
    from paddle import nn

HELD_OUT_SHARE = 10  # one photo in so many …
MOST_HELD_OUT = 5000  # … and no more: that tells top-1 to ±1.4 points and bounds the memory
LEAST_PHOTOS = 20
LEAST_PER_CLASS = 2

# Part of what identifies a checkpoint: count up when the same photos give another one.
_METHOD = 3

_RECALIBRATION_PHOTOS = 32  # photos that a random backbone's batch norms are set on
_NAMED_IN_ERRORS = 5
_SAME = 1e-3  # largest difference of logits, relative, as for any two fp32 files
_SHARES = np.linspace(0, 1, 21)  # of a row that is added to every class, see `lift`
_MARGIN = 0.1


# ---- photos ----


def split(labels: Sequence[int], seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows to fit on and rows held out: one in ten of each class, at most MOST_HELD_OUT in all.

    Every tenth of a shuffled order, class by class, so no class is held out as a whole.
    """
    labels = np.asarray(labels)
    order = np.random.default_rng(seed).permutation(len(labels))
    order = order[np.argsort(labels[order], kind="stable")]
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


# ---- networks ----


class Runner:
    """A layer's graph in Paddle Inference with oneDNN: four to seven times as fast as the layer.

    Takes float32 [N, *input_shape] and gives the layer's output.
    """

    def __init__(self, layer: "nn.Layer", input_shape: Sequence[int]):
        import paddle
        from paddle import inference
        from paddle.pir_utils import DygraphOldIrGuard

        inputs = [paddle.static.InputSpec([None, *input_shape], "float32", "x")]
        with tempfile.TemporaryDirectory(prefix="portage-") as folder, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # The newer kind of graph does not let go of a layer whose output nobody takes.
            with DygraphOldIrGuard():
                static = paddle.jit.to_static(layer, inputs, full_graph=True)
                paddle.jit.save(static, f"{folder}/graph")
            config = inference.Config(f"{folder}/graph.pdmodel", f"{folder}/graph.pdiparams")
            config.disable_gpu()
            config.enable_mkldnn()
            config.set_cpu_math_library_num_threads(machine.threads())
            config.disable_glog_info()
            self._predictor = inference.create_predictor(config)
        self._input = self._predictor.get_input_handle(self._predictor.get_input_names()[0])
        self._output = self._predictor.get_output_handle(self._predictor.get_output_names()[0])

    def __call__(self, batch: np.ndarray) -> np.ndarray:
        self._input.reshape(batch.shape)
        self._input.copy_from_cpu(batch)
        self._predictor.run()
        return self._output.copy_to_cpu()


class Features:
    """What goes into the layer `head` of a network: float32 [N, 3, S, S] → [N, width].

    A 1×1 convolution looks at every place of a map; the mean over the places stands for them, as
    its outputs are averaged in the end.
    """

    def __init__(self, network: "nn.Layer", head: str, input_shape: Sequence[int]):
        self._runner = Runner(_before(network, head), input_shape)

    def __call__(self, batch: np.ndarray) -> np.ndarray:
        return self.places(batch).mean(2)

    def places(self, batch: np.ndarray) -> np.ndarray:
        """The same before the mean: [N, width, places]; one place where there is no map."""
        values = self._runner(batch)
        return values.reshape(*values.shape[:2], -1)


def _before(network: "nn.Layer", head: str) -> "nn.Layer":
    """A layer that gives what goes into the layer `head` of a network."""
    from paddle import nn

    class Before(nn.Layer):
        def __init__(self):
            super().__init__()
            self.network = network
            self.seen = None

        def forward(self, x):
            self.network(x)
            return self.seen

    before = Before()

    def keep(layer, inputs):
        before.seen = inputs[0]

    getattr(network, head).register_forward_pre_hook(keep)
    before.eval()
    return before


def load_backbone(spec: ModelSpec, weights: Weights, classes: int) -> "nn.Layer":
    """The network for `classes` classes with these weights but for a classifier of zeros.

    The weights' own classifier may be for any number of classes.
    """
    theirs = classes if weights.origin == "random" else class_count(read_state(weights.path))
    state = load_state(weights, _shapes(spec.build(class_num=theirs)))
    network = spec.build(class_num=classes)
    shapes = _shapes(network)
    head = classifier(shapes)
    for name in (f"{head}.weight", f"{head}.bias"):
        state[name] = np.zeros(shapes[name], np.float32)
    network.set_state_dict(state)
    return network


def _shapes(network: "nn.Layer") -> dict[str, tuple[int, ...]]:
    return {name: tuple(value.shape) for name, value in network.state_dict().items()}


def recalibrate(network: "nn.Layer", stream: Stream, rows: Sequence[int]) -> None:
    """Set synthetic batch norms, if there are any, by real photos, spread over the rows.

    And by the synthetic images that every later file is checked on: photos may be so much smoother
    that those would reach logits hundreds of times as large, and rounding errors with them.
    """
    import paddle

    from models.layers import recalibrate_batch_norms

    if not any(isinstance(layer, paddle.nn.BatchNorm2D) for layer in network.sublayers()):
        return
    some = spread_rows(len(rows), _RECALIBRATION_PHOTOS)
    photos = [batch for _, batch in stream.batches(rows[some], "batch norms")]
    if photos:
        photos.append(synthetic.images(photos[0].shape[1:]))
        recalibrate_batch_norms(network, paddle.to_tensor(np.concatenate(photos)))


# ---- the classifier of a network ----


@dataclass
class Head:
    """The classifier of one network while it is being made."""

    network: "nn.Layer"
    input_shape: Sequence[int]

    def __post_init__(self):
        shapes = _shapes(self.network)
        self.name = classifier(shapes)
        self.shape = shapes[f"{self.name}.weight"]
        # SqueezeNet's is a 1×1 convolution. Its inputs come out of ReLUs, so they are not negative;
        # its outputs go through another one before they are averaged.
        self.rectified = len(self.shape) == 4
        self.width, self.classes = self.shape[:2][::-1] if self.rectified else self.shape
        self.features = Features(self.network, self.name, self.input_shape)

    def state(self, fitted: Classifier) -> dict[str, np.ndarray]:
        """The network's whole state dict with this classifier in it, float32."""
        state = {name: value.numpy() for name, value in self.network.state_dict().items()}
        weight = fitted.weight.T.reshape(self.shape) if self.rectified else fitted.weight
        state[f"{self.name}.weight"] = weight.astype(np.float32)
        state[f"{self.name}.bias"] = fitted.bias.astype(np.float32)
        return state

    def gather(
        self, stream: Stream, held_out: np.ndarray
    ) -> tuple[Moments, np.ndarray, np.ndarray]:
        """The pass over all photos: moments of those to fit on; rows and features of the others.

        The latter are int64 [n] and float32 [n, width].
        """
        labels = stream.labels
        is_held_out = np.zeros(len(labels), bool)
        is_held_out[held_out] = True
        moments = Moments(self.width, self.classes)
        rows_kept = [np.zeros(0, np.int64)]  # something to join where no photo is readable
        features_kept = [np.zeros((0, self.width), np.float32)]
        waiting = []

        def flush() -> None:
            rows, features = (np.concatenate(parts) for parts in zip(*waiting, strict=True))
            moments.add(features, labels[rows])
            waiting.clear()

        for rows, batch in stream.batches(range(len(labels)), "features"):
            features = self.features(batch)
            _require_finite(features, [stream.images.paths[row] for row in rows])
            kept = is_held_out[rows]
            rows_kept.append(rows[kept])
            features_kept.append(features[kept])
            waiting.append((rows[~kept], features[~kept]))
            if len(waiting) * BATCH >= CHUNK:  # one product of a wide matrix, not 32
                flush()
        if waiting:
            flush()
        return moments, np.concatenate(rows_kept), np.concatenate(features_kept)


def _require_finite(features: np.ndarray, paths: Sequence[Path]) -> None:
    bad = np.flatnonzero(~np.isfinite(features).all(1))
    if len(bad):
        raise UserError(
            f"the backbone gives infinite or undefined features for {printable(paths[bad[0]])}; "
            "its weights are unusable, or not this model's"
        )


@dataclass
class Fit:
    """A classifier, how it came about, and the photos held out: their rows and features."""

    classifier: Classifier
    penalty: float
    scale: float
    rows: np.ndarray  # int64 [n]
    features: np.ndarray  # float32 [n, width]

    @property
    def logits(self) -> np.ndarray:
        """Of the photos held out, float64 [n, classes]."""
        return self.classifier.logits(self.features.astype(np.float64))


def fit_head(head: Head, stream: Stream, held_out: np.ndarray) -> Fit:
    """The classifier of the photos in a stream; those in the rows `held_out` choose and judge."""
    moments, rows, features = head.gather(stream, held_out)
    if not (len(rows) and moments.targets.all()):
        raise UserError(
            f"{stream.images.name}: too few photos are left without the unreadable ones"
        )
    labels = stream.labels[rows]
    fitted, penalty = fit(moments, features, labels)
    scale = fit_scale(fitted.logits(features.astype(np.float64)), labels)
    fitted = fitted.scaled(scale)
    if head.rectified:
        fitted = lift(head, stream, fitted)
    return Fit(fitted, penalty, scale, rows, features)


def lift(head: Head, stream: Stream, fitted: Classifier) -> Classifier:
    """The same classifier with its outputs lifted above zero at every place of these photos.

    ReLU then cuts none of them; in a photo unlike these it may cut at places that lie below the
    lowest here by more than a tenth of the lift. All classes get the same constant, and the same
    share of the row of weights that would leave no weight negative: of all shares the one whose
    lift is smallest, as a lower precision spends its digits on what classes have in common too.
    """
    row = -fitted.weight.min(1)
    weight, bias, common = (
        values.astype(np.float32) for values in (fitted.weight.T, fitted.bias[:, None], row)
    )
    lowest, total, photos = np.full(len(_SHARES), np.inf), 0.0, 0
    for _, batch in stream.batches(range(len(stream.labels)), "outputs"):
        maps = head.features.places(batch)
        own, shared = (weight @ maps + bias).min(1), common @ maps  # [n, places]
        lowest = np.minimum(lowest, [(own + share * shared).min() for share in _SHARES])
        total, photos = total + float(shared.mean(1).sum()), photos + len(batch)
    lifts = _SHARES * total / photos - lowest
    best = int(lifts.argmin())
    return fitted.lifted(_SHARES[best] * row, _MARGIN * lifts[best] - lowest[best])


def written_logits(spec: ModelSpec, checkpoint: Path, stream: Stream, made: Fit) -> np.ndarray:
    """The held-out photos' logits [n, classes] from the network in a checkpoint.

    Raises StepError where they are not those that were fitted, as when ReLU cuts into them.
    """
    network = spec.build(class_num=len(made.classifier.bias))
    weights = Weights(spec.name, "file", checkpoint, files.sha256(checkpoint))
    network.set_state_dict(load_state(weights, _shapes(network)))
    runner = Runner(network, spec.input_shape)
    batches = stream.batches(made.rows, "written network")
    logits = np.concatenate([runner(batch) for _, batch in batches])
    expected = made.logits
    # Of their spread, not their size: what all classes have in common must not hide a difference.
    worst = float(np.abs(logits - expected).max() / np.ptp(expected, axis=1).max())
    if not worst <= _SAME:
        raise StepError(
            f"head of {spec.name}: the written network's logits differ by {worst:.2g} of their "
            f"spread from the fitted ones (rounding is at most {_SAME})"
        )
    return logits


# ---- the command ----


def origin_of(spec: ModelSpec, images: ImageSet, weights: Weights, seed: int) -> dict[str, object]:
    """What identifies a checkpoint before it is made."""
    return {
        "method": _METHOD,
        "model": spec.name,
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
    head = Head(network, spec.input_shape)
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
    be made again. Anything else under these names is the user's, and not replaced.
    """
    if out.suffix not in SUFFIXES:
        raise UserError(f"{out}: weights are written as {' or '.join(SUFFIXES)} only")
    listing, account = _beside(out, ".classes.txt"), _beside(out, ".json")
    facts = files.read_json(account)
    if isinstance(facts, dict) and facts.get("origin") == origin:
        if not out.exists():
            return None
        if files.sha256(out) == facts["sha256"]:
            return facts if listing.exists() else None
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


def _beside(out: Path, ending: str) -> Path:
    return out.with_name(out.stem + ending)


def main() -> int:
    parser = Parser(prog="python training/adapt.py", description=__doc__)
    parser.add_argument("--model", required=True, metavar="NAME", help="one of the 17 models")
    parser.add_argument(
        "--data",
        required=True,
        metavar="DIR",
        help="photos to train on: a folder with train_list.txt, one folder per class, or cifar10",
    )
    parser.add_argument(
        "--init",
        metavar="WEIGHTS",
        help="the backbone: a file, a folder of them, official, demo or random (default: what is "
        "found in the weights folder or the cache)",
    )
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="default: weights/<model>_<data>.pdparams"
    )
    parser.add_argument("--photos", type=positive, metavar="N", help="take N photos, evenly spread")
    parser.add_argument("--seed", type=int, default=0, help="of the choice of the held-out photos")
    parser.add_argument("--skip-bad", action="store_true", help="leave out unreadable photos")
    options = parser.parse_args()
    spec = find_model(options.model)
    images = open_labelled(options.data)
    # Not in the build folder: make clean must not take what cost the user time.
    out = options.out or weights_folder() / f"{spec.name}_{images.name}.pdparams"
    if options.photos:
        images = images.spread(options.photos)
    weights = find_weights(spec, options.init)
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
