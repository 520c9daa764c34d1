"""Which tensor of one graph is which of another, by name, by values, and by place.

Values tell where a representation has names of its own; they tell nothing after a fault, whose
consequences reach to the end. So a tensor is known by its name first, if both have it; else by its
values, if they are nearly another's; else by its place between two that are known, if as many of
its size are left on each side.
"""

import bisect
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from convert.fingerprint import fingerprint

Way = Literal["name", "values", "place"]

# Relative errors, of the norm of a tensor's values, that a sound file stays below at its end.
NEAR = {"fp32": 1e-2, "fp16": 0.1, "bf16": 0.2, "int8": 0.4}
EXACT = 1e-3  # float32's rounding, even in a deep network
_SOME = 512  # values
_FAR = 0.5  # from here on a tensor may be another than its name says


@dataclass(frozen=True)
class Match:
    """The other graph's tensor, how it was found, and how its axes have to be put for the
    reference's order of values (None: they are in it)."""

    name: str
    by: Way
    axes: tuple[int, ...] | None = None


def match(
    references: Mapping[str, np.ndarray],
    others: Mapping[str, np.ndarray],
    known_as: Mapping[str, Sequence[str]],
    near: float,
) -> dict[str, Match]:
    """For tensors of the reference, those of another graph; both in order of execution.

    `known_as` are the names that a reference tensor may have there, the best first; `near` is the
    relative error below which values are the same. With EXACT nothing is known by its place: what
    is not in the other graph shall not be found there. Each tensor of the other graph is one of the
    reference's at most.
    """
    found: dict[str, Match] = {}
    ours, theirs = _Side(references), _Side(others)
    _by_name(ours, theirs, known_as, found, near)
    _by_values(ours, theirs, found, near)
    if near > EXACT:
        _by_place(references, others, found)
    return {name: found[name] for name in references if name in found}


def put_in_order(value: np.ndarray, axes: tuple[int, ...] | None) -> np.ndarray:
    """A tensor's values as `Match.axes` says."""
    return value if axes is None else value.transpose(axes)


def back(flat: np.ndarray, shape: tuple[int, ...], axes: tuple[int, ...] | None) -> np.ndarray:
    """The reverse: flat values in a shape of the other graph's."""
    if axes is None:
        return flat.reshape(shape)
    return np.ascontiguousarray(
        flat.reshape([shape[axis] for axis in axes]).transpose(np.argsort(axes))
    )


class _Side:
    """A graph's tensors, in order, with the figures that they are known by in any order of values,
    which are computed once."""

    def __init__(self, tensors: Mapping[str, np.ndarray]):
        self.tensors = tensors
        self.places = {name: place / len(tensors) for place, name in enumerate(tensors)}
        self._figures: dict[str, tuple[np.ndarray, float]] = {}
        self.sizes: dict[int, list[str]] = {}
        for name, value in tensors.items():
            self.sizes.setdefault(value.size, []).append(name)

    def figures(self, name: str) -> tuple[np.ndarray, float]:
        if name not in self._figures:
            with np.errstate(all="ignore"):
                self._figures[name] = fingerprint(self.tensors[name])
        return self._figures[name]

    def like(self, other: "_Side", there: str, near: float) -> list[str]:
        """The tensors that may have the values of another side's, as far as figures tell."""
        shape, size = other.figures(there)
        found = []
        for name in self.sizes.get(other.tensors[there].size, ()):
            mine, my_size = self.figures(name)
            if np.abs(mine - shape).max() <= 2 * near and abs(my_size / size - 1) <= 2 * near:
                found.append(name)
        return found


def _by_name(ours: _Side, theirs: _Side, known_as, found: dict[str, Match], near: float) -> None:
    taken = set()
    for name, value in ours.tensors.items():
        for there in known_as.get(name, (name,)):
            other = theirs.tensors.get(there)
            if other is None or there in taken or other.size != value.size:
                continue
            if not _is_anothers(ours, name, theirs, there, near):
                found[name] = Match(there, "name", _axes(value, other, near))
                taken.add(there)
            break


def _is_anothers(ours: _Side, name: str, theirs: _Side, there: str, near: float) -> bool:
    """Whether a tensor, whatever its name, clearly is another's: a converter that fuses nodes may
    give the result of the last the name of the first."""
    flat = theirs.tensors[there].ravel()
    if relative(flat, ours.tensors[name].ravel()) < _FAR:
        return False
    alike = ours.like(theirs, there, near / 4)
    return any(relative(flat, ours.tensors[one].ravel()) < near / 4 for one in alike)


def _by_values(ours: _Side, theirs: _Side, found: dict[str, Match], near: float) -> None:
    """First those whose values are in the same order, then those whose axes are in another."""
    _nearest_first(ours, theirs, found, near, lambda value, other: None)
    _nearest_first(ours, theirs, found, near, lambda value, other: _axes(value, other, near))


def _nearest_first(
    ours: _Side, theirs: _Side, found: dict[str, Match], near: float, axes_of: Callable
) -> None:
    """The nearest pairs first; of those that are alike, as before and after a reshape, those of one
    shape, and then in order."""
    taken = {one.name for one in found.values()}
    pairs = []
    for there, other in theirs.tensors.items():
        if there in taken or other.size not in ours.sizes:
            continue
        for name in ours.like(theirs, there, near):
            if name in found:
                continue
            value = ours.tensors[name]
            axes = axes_of(value, other)
            distance = relative(put_in_order(other, axes).ravel(), value.ravel())
            if distance < near:
                unlike = _shape(value) != _shape(other)
                apart = abs(ours.places[name] - theirs.places[there])
                pairs.append((round(distance, 6), unlike, apart, name, there, axes))
    for *_, name, there, axes in sorted(pairs, key=lambda pair: pair[:5]):
        if name not in found and there not in taken:
            found[name] = Match(there, "values", axes)
            taken.add(there)


def _shape(value: np.ndarray) -> tuple[int, ...]:
    """A shape without what runtimes leave out: the batch of one photo."""
    return tuple(size for size in value.shape if size != 1)


def relative(value: np.ndarray, reference: np.ndarray) -> float:
    """‖value − reference‖₂ / ‖reference‖₂."""
    size = float(np.linalg.norm(reference))
    return float(np.linalg.norm(value - reference)) / size if size else float("inf")


def _axes(reference: np.ndarray, other: np.ndarray, near: float) -> tuple[int, ...] | None:
    """How to put the axes of `other` for the reference's order of values; None: as they are, also
    where no order is near."""
    flat = reference.ravel()
    if not 2 <= other.ndim <= 5 or relative(other.ravel(), flat) < near:
        return None
    if _shape(other) == _shape(reference):
        return None  # a fault, and not another layout
    for axes in itertools.permutations(range(other.ndim)):
        turned = other.transpose(axes)
        if not _begins_as(turned.flat[:_SOME], flat[:_SOME], near):
            continue
        if relative(turned.ravel(), flat) < near:
            return axes
    return None


def _begins_as(values: np.ndarray, reference: np.ndarray, near: float) -> bool:
    """Whether some values may be those of a tensor that is near: a look that costs little."""
    return not reference.any() or relative(values, reference) < 4 * near


def _by_place(references, others, found: dict[str, Match]) -> None:
    """What is between two that are known: the only one of its size on both sides."""
    order, order_there = list(references), list(others)
    place_there = {name: place for place, name in enumerate(order_there)}
    taken = {one.name for one in found.values()}
    known = _increasing(
        [
            (place, place_there[found[name].name])
            for place, name in enumerate(order)
            if name in found
        ]
    )
    bounds = [(-1, -1), *known, (len(order), len(order_there))]
    for (left, left_there), (right, right_there) in itertools.pairwise(bounds):
        ours = [name for name in order[left + 1 : right] if name not in found]
        theirs = [name for name in order_there[left_there + 1 : right_there] if name not in taken]
        for name in ours:
            size = references[name].size
            alike = [one for one in ours if references[one].size == size]
            alike_there = [one for one in theirs if others[one].size == size]
            if len(alike) == len(alike_there):
                found[name] = Match(alike_there[alike.index(name)], "place")


def _increasing(pairs: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The most pairs in order of their first numbers whose second ones increase, too."""
    ends: list[int] = []
    chains: list[list[tuple[int, int]]] = []
    for pair in pairs:
        place = bisect.bisect_left(ends, pair[1])
        chain = [*(chains[place - 1] if place else []), pair]
        ends[place : place + 1] = [pair[1]]
        chains[place : place + 1] = [chain]
    return chains[-1] if chains else []
