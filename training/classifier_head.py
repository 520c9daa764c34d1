"""The classifier of a network: fitted to photos, put into the network, read back and checked."""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from common import files
from common.errors import StepError, UserError
from data.images import printable, spread_rows
from data.stream import BATCH, CHUNK, Stream
from models.registry import ModelSpec
from models.weights import Weights, classifier, load_state
from training.backbone import Features, open_features, running, shapes_of
from training.division import MOST_HELD_OUT
from training.ridge import Classifier, Moments, fit, fit_scale

if TYPE_CHECKING:
    from paddle import nn

_SAME = 1e-3  # largest difference of logits, relative, as for any two fp32 files
_SHARES = np.linspace(0, 1, 21)  # of a row that is added to every class, see `lift`
_MARGIN = 0.1


@dataclass
class Head:
    """The classifier of one network while it is being made."""

    network: "nn.Layer"
    features: Features

    def __post_init__(self):
        shapes = shapes_of(self.network)
        self.name = classifier(shapes)
        self.shape = shapes[f"{self.name}.weight"]
        # SqueezeNet's is a 1×1 convolution. Its inputs come out of ReLUs, so they are not negative;
        # its outputs go through another one before they are averaged.
        self.rectified = len(self.shape) == 4
        self.width, self.classes = self.shape[:2][::-1] if self.rectified else self.shape

    def state(self, fitted: Classifier) -> dict[str, np.ndarray]:
        """The network's whole state dict with this classifier in it, float32."""
        state = {name: value.numpy() for name, value in self.network.state_dict().items()}
        weight = fitted.weight.T.reshape(self.shape) if self.rectified else fitted.weight
        state[f"{self.name}.weight"] = weight.astype(np.float32)
        state[f"{self.name}.bias"] = fitted.bias.astype(np.float32)
        return state

    def gather(
        self, stream: Stream, fit_on: np.ndarray, held_out: np.ndarray
    ) -> tuple[Moments, np.ndarray, np.ndarray]:
        """The pass over these rows: moments of those to fit on; rows and features of the others.

        The latter are int64 [n] and float32 [n, width].
        """
        labels = stream.labels
        is_held_out = np.zeros(len(labels), bool)
        is_held_out[held_out] = True
        moments = Moments(self.width, self.classes)
        rows_kept = [np.zeros(0, np.int64)]  # something to join where no photo is readable
        features_kept = [np.zeros((0, self.width), np.float32)]
        waiting: list[tuple[np.ndarray, np.ndarray]] = []

        def flush() -> None:
            rows, features = (np.concatenate(parts) for parts in zip(*waiting, strict=True))
            moments.add(features, labels[rows])
            waiting.clear()

        for rows, batch in stream.batches(np.sort(np.append(fit_on, held_out)), "features"):
            features = self.features(batch)
            require_finite(features, [stream.images.paths[row] for row in rows])
            kept = is_held_out[rows]
            rows_kept.append(rows[kept])
            features_kept.append(features[kept])
            waiting.append((rows[~kept], features[~kept]))
            if len(waiting) * BATCH >= CHUNK:  # one product of a wide matrix, not 32
                flush()
        if waiting:
            flush()
        return moments, np.concatenate(rows_kept), np.concatenate(features_kept)


@contextlib.contextmanager
def open_head(network: "nn.Layer", input_shape: Sequence[int]) -> Iterator[Head]:
    """The head of a network, whose backbone as it is now runs in a child process."""
    with open_features(network, classifier(shapes_of(network)), input_shape) as features:
        yield Head(network, features)


def require_finite(features: np.ndarray, paths: Sequence[Path]) -> None:
    """UserError that names the photo of a row of features [n, width] that is not finite."""
    bad = np.flatnonzero(~np.isfinite(features).all(1))
    if len(bad):
        raise UserError(
            f"the backbone gives infinite or undefined features for {printable(paths[bad[0]])}; "
            "its weights are unusable, or not this model's"
        )


@dataclass
class Fit:
    """A classifier, how it came about, and the photos that chose: their rows and features."""

    classifier: Classifier
    penalty: float
    scale: float
    rows: np.ndarray  # int64 [n]
    features: np.ndarray  # float32 [n, width]

    @property
    def logits(self) -> np.ndarray:
        """Of the photos that chose, float64 [n, classes]."""
        return self.classifier.logits(self.features.astype(np.float64))


def fit_head(head: Head, stream: Stream, fit_on: np.ndarray, held_out: np.ndarray) -> Fit:
    """The classifier of the photos in the rows `fit_on` of a stream; of those in the rows
    `held_out` at most MOST_HELD_OUT choose, which bounds the memory."""
    choosing = held_out[spread_rows(len(held_out), MOST_HELD_OUT)]
    moments, rows, features = head.gather(stream, fit_on, choosing)
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

    With w_k and b_k of class k, r = -min_k w_k, and x the features at a place of a photo, class k
    gets the outputs

        o_k(x) = (w_k + s r) x + b_k + c,   c = m (mean o - min o) - min o   (o at c = 0),

    mean and min over all classes, photos and places. The least output is then m times the distance
    of the mean from the least one, which no data makes negative: ReLU cuts none of them, and in a
    photo unlike these only what lies further below. All classes get the same constant c and the
    same share s of the row r, so that no probability changes: of all shares in 0..1 the one that
    adds the least to a photo's logits, s mean(r x) + c, as a lower precision spends its digits on
    what classes have in common too.
    """
    row = -fitted.weight.min(1)
    weight, bias, common = (
        values.astype(np.float32) for values in (fitted.weight.T, fitted.bias[:, None], row)
    )
    lowest, own, shared, photos = np.full(len(_SHARES), np.inf), 0.0, 0.0, 0
    for _, batch in stream.batches(range(len(stream.labels)), "outputs"):
        maps = head.features.places(batch)
        outputs, rows = weight @ maps + bias, common @ maps  # [n, classes, places], [n, places]
        least = outputs.min(1)
        lowest = np.minimum(lowest, [(least + share * rows).min() for share in _SHARES])
        own += float(outputs.mean((1, 2)).sum())
        shared += float(rows.mean(1).sum())
        photos += len(batch)
    mean = (own + _SHARES * shared) / photos
    constants = _MARGIN * (mean - lowest) - lowest
    best = int((_SHARES * shared / photos + constants).argmin())
    return fitted.lifted(_SHARES[best] * row, constants[best])


def written_logits(
    spec: ModelSpec, checkpoint: Path, stream: Stream, made: Fit, wanted: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Of the photos in the rows `wanted`, those that chose among them: the rows [n] of the readable
    ones, and their logits [n, classes] from the network in a checkpoint.

    Raises StepError where they are not those that were fitted, as when ReLU cuts into them.
    """
    network = spec.build(class_num=len(made.classifier.bias))
    weights = Weights(spec.name, "file", checkpoint, files.sha256(checkpoint))
    network.set_state_dict(load_state(weights, shapes_of(network)))
    with running(network, spec.input_shape) as run:
        parts = [(rows, run(batch)) for rows, batch in stream.batches(wanted, "written network")]
    rows, logits = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    expected = made.logits
    again = logits[np.searchsorted(rows, made.rows)]
    # Of their spread, not their size: what all classes have in common must not hide a difference.
    worst = float(np.abs(again - expected).max() / np.ptp(expected, axis=1).max())
    if not worst <= _SAME:
        raise StepError(
            f"head of {spec.name}: the written network's logits differ by {worst:.2g} of their "
            f"spread from the fitted ones (rounding is at most {_SAME})"
        )
    return rows, logits
