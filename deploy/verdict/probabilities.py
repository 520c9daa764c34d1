"""What a reference's logits say of the labels that nobody gave: probabilities, and their trust.

softmax(logits / T) is taken for the probability of each class. T, the temperature, is fitted on
labelled photos where there are some (Guo, Pleiss, Sun & Weinberger, "On calibration of modern
neural networks", ICML 2017): one number, which changes no decision.
"""

from dataclasses import dataclass

import numpy as np

from common.mapped import by_rows, chunks

_BINS = 15  # of the calibration error, as Guo et al. have them
_LOG_RANGE = 3.0  # the temperature is sought from e^-3 to e^3


@dataclass(frozen=True)
class Temperature:
    """What logits are divided by; of `photos` labelled ones (0: it is 1, and was not fitted), with
    the expected calibration error of the reference's decisions there at 1 and at this."""

    value: float = 1.0
    photos: int = 0
    error_at_one: float = 0.0
    error: float = 0.0


NOT_FITTED = Temperature()


def fit_temperature(logits: np.ndarray, labels: np.ndarray) -> Temperature:
    """The temperature under which the labels of these photos are likeliest.

    `logits` float32 [photos, classes], `labels` int [photos]. Photos with a logit that is not
    finite are left out; where none is left, the temperature is 1 and was not fitted.
    """
    from scipy.optimize import minimize_scalar  # here: --help needs no scipy

    sound = by_rows(lambda rows: np.isfinite(rows).all(axis=1), logits)
    if not sound.all():
        logits, labels = logits[sound], labels[sound]
    if not len(logits):
        return NOT_FITTED

    def surprise(log_temperature: float) -> float:
        return -float(np.mean(_log_probability(logits, labels, np.exp(log_temperature))))

    found = minimize_scalar(surprise, bounds=(-_LOG_RANGE, _LOG_RANGE), method="bounded")
    value = float(np.exp(found.x))
    return Temperature(
        value,
        len(logits),
        calibration_error(logits, labels, 1.0),
        calibration_error(logits, labels, value),
    )


def calibration_error(logits: np.ndarray, labels: np.ndarray, temperature: float) -> float:
    """The expected calibration error of the decisions: over 15 bins of equal width, the mean of
    |share that is right − mean probability|, weighted by photos. Few photos make it too large."""
    decision = by_rows(lambda rows: rows.argmax(axis=1), logits)
    sure = probability(logits, decision, temperature)
    right = decision == labels
    bins = np.minimum((sure * _BINS).astype(int), _BINS - 1)
    gaps = np.bincount(bins, sure - right, minlength=_BINS)
    return float(np.abs(gaps).sum() / len(logits))


def probability(logits: np.ndarray, classes: np.ndarray, temperature: float) -> np.ndarray:
    """The probability of one class of each photo, float64 [photos].

    `logits` [photos, classes], finite; `classes` int [photos].
    """
    return np.exp(_log_probability(logits, classes, temperature))


def _log_probability(logits: np.ndarray, classes: np.ndarray, temperature: float) -> np.ndarray:
    parts = []
    for some, own_class in chunks(logits, classes):
        scaled = some.astype(np.float64) / temperature
        scaled -= scaled.max(axis=1, keepdims=True)
        own = np.take_along_axis(scaled, own_class[:, None], axis=1)[:, 0]
        parts.append(own - np.log(np.exp(scaled).sum(axis=1)))
    return np.concatenate(parts) if parts else np.zeros(0)
