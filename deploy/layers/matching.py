"""Which tensor of one graph is which of another, by name, by values, and by place.

Values tell where a representation has names of its own; they tell nothing after a fault, whose
consequences reach to the end. So a tensor is known by its name first, if both have it; else by its
values, if they are nearly another's; else by its place between two that are known, if as many of
its size are left on each side.
"""

import bisect
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from convert.fingerprint import fingerprint

Way = Literal["name", "values", "place"]

# Relative errors, of the norm of a tensor's values, that a sound file stays below at its end.
NEAR = {"fp32": 1e-2, "fp16": 0.1, "bf16": 0.2, "int8": 0.4}
EXACT = 1e-3  # float32's rounding, even in a deep network
_FAR = 0.5  # from here on a tensor may be another than its name says
_CLOSE = 0.05  # below, how close two tensors are is computed without a shortcut


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
    _by_name(references, others, known_as, found, near)
    _by_values(references, others, found, near)
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


def _by_name(references, others, known_as, found: dict[str, Match], near: float) -> None:
    taken = set()
    for name, value in references.items():
        for there in known_as.get(name, (name,)):
            if there in others and there not in taken and others[there].size == value.size:
                if not _is_anothers(others[there], name, references, near):
                    found[name] = Match(there, "name", _axes(value, others[there], near))
                    taken.add(there)
                break


def _is_anothers(value: np.ndarray, name: str, references, near: float) -> bool:
    """Whether a tensor, whatever its name, clearly is another's: a converter that fuses nodes may
    give the result of the last the name of the first."""
    flat = value.ravel()
    if relative(flat, references[name].ravel()) < _FAR:
        return False
    alike = (one for one in references if one != name and references[one].size == value.size)
    return any(relative(flat, references[one].ravel()) < near / 4 for one in alike)


def _by_values(references, others, found: dict[str, Match], near: float) -> None:
    """The nearest pairs first; of those that are alike, as before and after a reshape, those of one
    shape, and then in order."""
    taken = {one.name for one in found.values()}
    places = {name: place / len(references) for place, name in enumerate(references)}
    places_there = {name: place / len(others) for place, name in enumerate(others)}
    pairs = []
    for left, right in _of_one_size(references, others, found, taken):
        for name, row in zip(left, _distances(references, others, left, right, near), strict=True):
            for there, (distance, axes) in zip(right, row, strict=True):
                if distance < near:
                    other = _shape(references[name]) != _shape(others[there])
                    apart = abs(places[name] - places_there[there])
                    pairs.append((round(distance, 6), other, apart, name, there, axes))
    for *_, name, there, axes in sorted(pairs, key=lambda pair: pair[:5]):
        if name not in found and there not in taken:
            found[name] = Match(there, "values", axes)
            taken.add(there)


def _of_one_size(references, others, found, taken):
    """The tensors that are unknown on both sides, by their number of values."""
    sizes: dict[int, tuple[list[str], list[str]]] = {}
    for side, tensors, known in ((0, references, found), (1, others, taken)):
        for name, value in tensors.items():
            if name not in known:
                sizes.setdefault(value.size, ([], []))[side].append(name)
    return [both for both in sizes.values() if all(both)]


def _shape(value: np.ndarray) -> tuple[int, ...]:
    """A shape without what runtimes leave out: the batch of one photo."""
    return tuple(size for size in value.shape if size != 1)


def _distances(references, others, left, right, near: float):
    """For each of the left the relative distance to each of the right, with axes that give it."""
    with np.errstate(all="ignore"):
        ours = np.stack([references[name].ravel() for name in left])
        theirs = np.stack([others[name].ravel() for name in right])
        theirs[~np.isfinite(theirs)] = 0.0
        squares = [(side.astype(np.float64) ** 2).sum(axis=1) for side in (ours, theirs)]
        products = (ours @ theirs.T).astype(np.float64)
    rows = []
    for place, name in enumerate(left):
        size = squares[0][place]
        row = []
        for column, there in enumerate(right):
            apart = max(size + squares[1][column] - 2 * products[place, column], 0.0)
            distance, axes = float(np.sqrt(apart / size)) if size else 1.0, None
            if distance < _CLOSE:  # the difference of large numbers: not exact
                distance = relative(theirs[column], ours[place])
            elif distance >= near and _same_figures(references[name], others[there], near):
                axes = _axes(references[name], others[there], near)
                if axes is not None:
                    distance = relative(others[there].transpose(axes).ravel(), ours[place])
            row.append((distance, axes))
        rows.append(row)
    return rows


def relative(value: np.ndarray, reference: np.ndarray) -> float:
    """‖value − reference‖₂ / ‖reference‖₂."""
    size = float(np.linalg.norm(reference))
    return float(np.linalg.norm(value - reference)) / size if size else float("inf")


def _same_figures(one: np.ndarray, other: np.ndarray, near: float) -> bool:
    """Whether two tensors have the same values in any order, as far as some figures tell."""
    shape, size = fingerprint(one)
    other_shape, other_size = fingerprint(other)
    return float(np.abs(shape - other_shape).max()) <= near and 0.9 < size / other_size < 1.1


def _axes(reference: np.ndarray, other: np.ndarray, near: float) -> tuple[int, ...] | None:
    """How to put the axes of `other` for the reference's order of values; None: as they are, also
    where no order is near."""
    flat = reference.ravel()
    if not 2 <= other.ndim <= 5 or relative(other.ravel(), flat) < near:
        return None
    orders = itertools.permutations(range(other.ndim))
    nearest = min(orders, key=lambda axes: relative(other.transpose(axes).ravel(), flat))
    return nearest if relative(other.transpose(nearest).ravel(), flat) < near else None


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
