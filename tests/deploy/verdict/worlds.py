"""Photos that never were, of which the truth is known: logits, errors of a target, labels."""

from dataclasses import dataclass

import numpy as np

CLASSES = 20


@dataclass(frozen=True)
class Photos:
    """Both sides' logits, and a label for each photo, drawn from the true probabilities."""

    reference: np.ndarray
    target: np.ndarray
    labels: np.ndarray
    drift: float  # expected of these photos, by the true probabilities

    @property
    def old(self) -> np.ndarray:
        return self.reference.argmax(axis=1)

    @property
    def new(self) -> np.ndarray:
        return self.target.argmax(axis=1)


@dataclass(frozen=True)
class World:
    """Labels follow softmax(logits / temperature), and a target adds noise to each logit."""

    temperature: float
    noise: float

    def draw(self, count: int, random: np.random.Generator) -> Photos:
        logits = 2 * random.normal(size=(count, CLASSES)) + random.gumbel(size=(count, CLASSES))
        target = logits + self.noise * random.normal(size=logits.shape)
        likely = np.exp((logits - logits.max(axis=1, keepdims=True)) / self.temperature)
        likely /= likely.sum(axis=1, keepdims=True)
        labels = (likely.cumsum(axis=1) < random.random((count, 1))).sum(axis=1)
        rows = np.arange(count)
        drift = likely[rows, target.argmax(axis=1)] - likely[rows, logits.argmax(axis=1)]
        labels = np.minimum(labels, CLASSES - 1)  # a cumulated 0.9999999999999999
        return Photos(logits, target, labels, float(drift.mean()))

    def drift(self) -> float:
        """The true drift of top-1, to about a hundredth of itself."""
        return self.draw(200_000, np.random.default_rng(99)).drift
