"""What a wrong result looks like beside the right one: signs of the usual causes.

A sign is a transformation of the right result that explains most of the difference, or a small part
of the result that holds most of it. None is a proof; each says where to look first.
"""

import itertools
from collections.abc import Iterator

import numpy as np

_EXPLAINED = 0.2  # of the difference is left, where a transformation explains it
_MOST = 0.9  # of the difference's power, where a few channels hold it
_FEW = 0.05  # of the channels
_LEAST_FACTOR = 0.02  # that a factor is off from 1


def signs(value: np.ndarray, reference: np.ndarray) -> Iterator[str]:
    """The signs of a result beside the reference's, both float32 of one shape, in clauses."""
    whole = np.isfinite(value)
    if not whole.all():
        yield f"{1 - whole.mean():.2%} of its values are not finite"
        return
    value, reference = value.astype(np.float64), reference.astype(np.float64)
    size = float(np.linalg.norm(value - reference))
    if not size:
        return
    yield from _moved(value, reference)
    yield from _multiplied(_channels(value), _channels(reference), size)
    yield from _in_few_channels(_channels(value - reference))


def swapped_colours(
    first: float, given_swapped: np.ndarray, reference: np.ndarray
) -> Iterator[str]:
    """The sign of a layer that reads photos: `given_swapped` is its result where red and blue
    changed places, `first` its error where they did not."""
    size = np.linalg.norm(reference)
    if np.linalg.norm(given_swapped - reference) < _EXPLAINED * first * size:
        yield "the difference goes where red and blue are swapped: the file takes BGR for RGB"


def _channels(value: np.ndarray) -> np.ndarray:
    """[channels, the rest]: images have them second, rows of tokens and of features last."""
    axis = 1 if value.ndim >= 4 else -1
    moved = np.moveaxis(value, axis, 0)
    return moved.reshape(len(moved), -1)


def _moved(value: np.ndarray, reference: np.ndarray) -> Iterator[str]:
    """Whether an image is the reference's some pixels away, borders apart."""
    if value.ndim != 4 or min(value.shape[2:]) < 4:
        return
    inner = slice(1, -1)
    middle = value[:, :, inner, inner]
    here = np.linalg.norm(middle - reference[:, :, inner, inner])
    for down, right in itertools.product((-1, 0, 1), repeat=2):
        if (down, right) == (0, 0):
            continue
        other = reference[:, :, _from(down), _from(right)]
        if np.linalg.norm(middle - other) < _EXPLAINED * here:
            yield (
                f"it is the right result moved by {down} rows and {right} columns: see the layer's "
                "padding"
            )


def _from(step: int) -> slice:
    """The pixels that come to the middle where an image is moved by so many."""
    return slice(1 - step, -1 - step or None)


def _multiplied(value: np.ndarray, reference: np.ndarray, size: float) -> Iterator[str]:
    """Whether every channel is the reference's times the same number, with a constant added."""
    if reference.shape[1] < 3:  # two points lie on any line
        ours, theirs = reference.ravel(), value.ravel()
        factor = float(ours @ theirs / (ours @ ours or 1.0))
        left = np.linalg.norm(theirs - factor * ours)
    else:
        means = [side.mean(axis=1, keepdims=True) for side in (value, reference)]
        theirs, ours = value - means[0], reference - means[1]
        factor = float((theirs * ours).sum() / ((ours * ours).sum() or 1.0))
        left = np.linalg.norm(theirs - factor * ours)
    if abs(factor - 1) > _LEAST_FACTOR and left < _EXPLAINED * size:
        yield (
            f"it is the right result times {factor:.4g}: see a factor that is left out or applied "
            "twice, as of a Dropout"
        )


def _in_few_channels(difference: np.ndarray) -> Iterator[str]:
    """Whether a few of the channels hold most of the difference."""
    powers = (difference**2).sum(axis=1)
    order = np.argsort(-powers)
    few = max(1, int(_FEW * len(powers)))
    held = np.cumsum(powers[order]) / powers.sum()
    count = int(np.searchsorted(held, _MOST)) + 1
    if len(powers) > 1 and count <= few:
        names = ", ".join(str(place) for place in sorted(order[:count])[:8])
        yield f"{held[count - 1]:.0%} of the difference is in channel {names} of {len(powers)}"
