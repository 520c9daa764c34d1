"""Ridge regression from features to classes, from one pass over any number of photos."""

import math
from dataclasses import dataclass

import numpy as np

from common.console import say
from common.errors import UserError

# Relative to the features' mean variance. The logits' best penalty is rarely near either end.
PENALTIES = 10.0 ** np.arange(-6, 2.5, 0.5)

_NOISE = 0.03  # relative: about what eight bits in every layer leave in a feature
_DRAWS = 4
_OUTLYING = 10.0  # times the spread of the median photo's logits


@dataclass
class Classifier:
    """logits = features · weight + bias: `weight` float64 [width, classes], `bias` [classes]."""

    weight: np.ndarray
    bias: np.ndarray

    def logits(self, features: np.ndarray) -> np.ndarray:
        """[.., width] → [.., classes], in the features' own precision."""
        return features @ self.weight.astype(features.dtype) + self.bias.astype(features.dtype)

    def scaled(self, factor: float) -> "Classifier":
        return Classifier(self.weight * factor, self.bias * factor)

    def lifted(self, row: np.ndarray, constant: float) -> "Classifier":
        """The one with the same decisions and probabilities whose outputs are all higher.

        The same row of weights [width], and the same constant, are added to every class, so that
        a photo's logits all move by the same amount.
        """
        return Classifier(self.weight + row[:, None], self.bias + constant)


class Moments:
    """What ridge regression needs of any number of photos, in float64.

    `scatter` [width, width] and `cross` [width, classes] are sums of products of deviations from
    the means; the target of a photo is 1 for its class and 0 for the others.
    """

    def __init__(self, width: int, classes: int):
        self.count = 0
        self.features = np.zeros(width)  # mean
        self.targets = np.zeros(classes)  # mean: the share of each class
        self.scatter = np.zeros((width, width))
        self.cross = np.zeros((width, classes))

    def add(self, features: np.ndarray, labels: np.ndarray) -> None:
        """Count in some photos: features [n, width], labels [n].

        The update of Chan, Golub and LeVeque ("Algorithms for Computing the Sample Variance",
        1983): nothing cancels, however far the means are from zero. The term for the distance of
        the means is one more row.
        """
        n, features = len(features), features.astype(np.float64)
        if not n:
            return
        targets = np.eye(len(self.targets))[labels]
        total = self.count + n
        step_x, step_y = features.mean(0) - self.features, targets.mean(0) - self.targets
        root = math.sqrt(self.count * n / total)
        rows = np.vstack([features - features.mean(0), root * step_x])
        self.scatter += rows.T @ rows
        self.cross += rows.T @ np.vstack([targets - targets.mean(0), root * step_y])
        self.features += step_x * (n / total)
        self.targets += step_y * (n / total)
        self.count = total


def fit(moments: Moments, features: np.ndarray, labels: np.ndarray) -> tuple[Classifier, float]:
    """The classifier, and its penalty out of PENALTIES, that gets most held-out photos right.

    `features` [n, width] and `labels` [n] are the held-out photos'; of penalties that do equally
    well the largest wins. They are judged with noise in them, for a lower penalty can get a photo
    or two more right by large weights on tiny differences, which no lower precision would keep.
    The bias is not penalised. One eigendecomposition serves all penalties.
    """
    say(f"  solving for {len(moments.scatter)} features")  # a second for 1024, 45 s for 4096
    values, vectors = np.linalg.eigh(moments.scatter)
    mean_value = values.mean()
    if not mean_value > 0:
        raise UserError("the backbone's features are the same for every photo: nothing to fit on")
    values = np.maximum(values, 0)  # rounding can leave tiny negative ones
    turned = vectors.T @ moments.cross
    right, random = np.zeros(len(PENALTIES), int), np.random.default_rng(0)
    for _ in range(_DRAWS):
        noisy = features * (1 + _NOISE * random.standard_normal(features.shape, np.float32))
        noisy = (noisy - moments.features) @ vectors
        for number, penalty in enumerate(PENALTIES):
            solution = turned / (values + penalty * mean_value)[:, None]
            right[number] += count_right(noisy @ solution + moments.targets, labels)
    penalty = PENALTIES[right == right.max()][-1]
    weight = vectors @ (turned / (values + penalty * mean_value)[:, None])
    return Classifier(weight, moments.targets - moments.features @ weight), float(penalty)


def fit_scale(logits: np.ndarray, labels: np.ndarray) -> float:
    """The factor on the logits [n, classes] at which softmax gives the truest probabilities.

    Truest means the least cross-entropy (Guo et al., "On Calibration of Modern Neural Networks",
    2017). The right class counts (n + 1)/(n + 2) instead of 1, as in Platt's "Probabilistic
    Outputs for Support Vector Machines" (1999): otherwise the factor had no limit where all n
    photos are right. Decisions stay what they are. A photo that excites a network out of all
    proportion does not count: for one such, wrong by far, the least loss would be had by logits
    that are next to nothing for all others. Since the logits alone decide which, and not whether
    they are right, that favours no factor.
    """
    from scipy.optimize import minimize_scalar  # a second, which --help does not need

    spread = np.ptp(logits, axis=1)
    usual = spread <= _OUTLYING * np.median(spread)
    logits, labels = logits[usual], labels[usual]
    n, classes = logits.shape
    logits = logits - logits.mean(1, keepdims=True)  # so that the wrong classes' sum is −right
    right = logits[np.arange(n), labels]
    doubt = 1 / (n + 2)
    credit = (1 - doubt) * right - doubt / (classes - 1) * right

    def loss(log_factor: float) -> float:
        scaled = math.exp(log_factor) * logits
        top = scaled.max(1)
        log_sum = top + np.log(np.exp(scaled - top[:, None]).sum(1))
        return float((log_sum - math.exp(log_factor) * credit).mean())

    bounds = (math.log(1e-3), math.log(1e5))
    return math.exp(
        minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-5}).x
    )


def count_right(logits: np.ndarray, labels: np.ndarray) -> int:
    return int((logits.argmax(1) == labels).sum())
