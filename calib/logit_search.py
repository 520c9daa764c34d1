"""In a child process: the range of each tensor that disturbs the logits least.

Nahshan et al., "Loss Aware Post-Training Quantization" (2019), show that the ranges which round
each tensor best are not those that keep the network's loss lowest, and search for the latter by
coordinates. Here the coordinates are the tensors, and each takes one of the ranges that the
methods propose. The loss needs no labels: it is the angle by which rounding turns a photo's logits,
less their mean. As with the cosine of Wu et al., "EasyQuant" (2020), longer or shorter logits cost
nothing, since they decide alike. Between methods it differs by more, measured in its own spread
over photos, than the divergence of the softmax, which a few photos decide.
"""

import concurrent.futures
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from calib import tensors
from calib.angles import directions, sines
from calib.bias_correction import Correction
from calib.chain import Chain
from calib.placement import Placement, place_pairs
from common import machine
from runtimes.one_thread import one_thread_session

Bounds = tuple[float, float]

_CORRECTING = 8  # one photo of so many shows the biases' shifts: every method's are measured
_LOOK = 8  # photos after which a range that is no better is given up
_ALIKE = 0.02  # of a range's width: two that differ by less round alike
_MOST = 32  # photos to choose by, and as many again to check
_FEWEST = 4  # with fewer, rather leave out the tensors whose proposals differ least
_CORRECTION = 2.2  # of a run of the network: one of its float form with a copy of each layer
_LOOKED = 0.6  # of the photos: what a proposal is tried on, on average


class LogitSearch:
    """The search for one ONNX file and one placement.

    `proposals` has each method's ranges by tensor, `batch` photos float32 [n, 3, S, S], in random
    order, and `runs` is how often the search may run the network on a photo.
    """

    def __init__(
        self,
        source: str,
        placement: Placement,
        proposals: Mapping[str, Mapping[str, Bounds]],
        batch: np.ndarray,
        runs: float,
    ):
        import onnx

        self._proposals = proposals
        first = next(iter(proposals.values()))
        correcting = _correcting(len(batch))
        self._shifts = {
            method: _shifts(source, ranges, placement, batch[:correcting])
            for method, ranges in proposals.items()
        }
        model = onnx.load(source)
        roots = tensors.aliases(model)
        floats = [*tensors.observed(model), *roots]
        biases = list(next(iter(self._shifts.values())))
        placed = place_pairs(model, first, placement, shown=False)
        del model
        threads = machine.threads()
        self._chain = Chain(placed, placement.grid, biases, floats, threads)
        del placed
        self._groups: dict[tuple[str, ...], list[str]] = {}
        for name in self._chain.tensors:
            self._groups.setdefault(roots.get(name, (name,)), []).append(name)
        count, self._open = self._plan(len(batch), runs)
        self._photos = [photo[None] for photo in batch[: 2 * count]]
        self._count = max(count, 1)
        self._float = directions(np.concatenate(_float_logits(source, self._photos, threads)))

    def begin(self) -> tuple[list[tuple[str, ...]], dict[str, float]]:
        """Take the best method for all tensors; the groups to choose for, and the methods' losses.

        A group is the tensors that share their values' range, by the names of those that it is
        told from.
        """
        self._losses = {
            method: self._loss(self._inputs(dict.fromkeys(self._groups, method)))
            for method in self._proposals
        }
        self._first = min(self._losses, key=lambda method: self._losses[method].mean())
        self._choice = dict.fromkeys(self._groups, self._first)
        self._best = self._losses[self._first][: self._count]
        self._segment, self._entry = 0, self._photos[: self._count]
        return self._open, {name: float(loss.mean()) for name, loss in self._losses.items()}

    def choose(self, group: tuple[str, ...]) -> str:
        """Choose a group's method, all others being as they are; groups come in `begin`'s order."""
        start = self._start(group)
        if start > self._segment:
            inputs = self._inputs(self._choice)
            self._entry = self._chain.run(self._entry, inputs, self._segment, start)
            self._segment = start
        for method in self._others(group, self._choice[group]):
            inputs = self._inputs({**self._choice, group: method})
            loss = self._rest(inputs, 0, _LOOK)
            if self._count > _LOOK and loss.mean() < self._best[:_LOOK].mean():
                loss = np.concatenate([loss, self._rest(inputs, _LOOK, self._count)])
            if len(loss) == self._count and _is_better(loss, self._best):
                self._choice[group], self._best = method, loss
        return self._choice[group]

    def finish(self) -> dict[str, Any]:
        """What was found: the best method ("first"), each tensor's ("chosen"), and the mean losses
        of the choices on the photos that they were made by ("loss"), and on others ("check": by
        the best method alone, and by the choices).

        Where the choices do not stand the check, all tensors have the best method's ranges.
        """
        check = slice(self._count, None) if len(self._photos) > self._count else slice(None)
        before = float(self._losses[self._first][check].mean())
        after = float(self._loss(self._inputs(self._choice), check).mean())
        if after > before:
            self._choice = dict.fromkeys(self._groups, self._first)
        chosen = {
            name: self._choice[group] for group, names in self._groups.items() for name in names
        }
        return {
            "first": self._first,
            "chosen": chosen,
            "loss": float(self._best.mean()),
            "check": [before, after],
            "photos": len(self._photos),
        }

    def _plan(self, photos: int, runs: float) -> tuple[int, list[tuple[str, ...]]]:
        """With how many photos to choose the ranges of which groups, in the order of the graph."""
        cost = {
            group: self._chain.shares[self._start(group)]
            * len(self._others(group, next(iter(self._proposals))))
            * _LOOKED
            for group in self._groups
        }
        kept = [group for group in self._groups if cost[group]]
        methods = len(self._proposals)
        runs -= methods * _CORRECTION * _correcting(photos)
        half = min(photos // 2, _MOST)

        def affordable() -> int:
            # All methods on both halves, the float network on both, and the check.
            return int(runs / (2 * methods + 3 + sum(cost[group] for group in kept)))

        by_spread = sorted(kept, key=self._spread)
        while by_spread and affordable() < min(_FEWEST, half):
            kept.remove(by_spread.pop(0))
        return max(min(affordable(), half), min(_FEWEST, half), 1), kept

    def _start(self, group: tuple[str, ...]) -> int:
        return min(self._chain.tensors[name] for name in self._groups[group])

    def _others(self, group: tuple[str, ...], chosen: str) -> list[str]:
        """The methods that propose another range than one does, each range once."""
        name = self._groups[group][0]
        seen, found = [self._proposals[chosen][name]], []
        for method, ranges in self._proposals.items():
            if not any(_alike(ranges[name], other) for other in seen):
                seen.append(ranges[name])
                found.append(method)
        return found

    def _spread(self, group: tuple[str, ...]) -> float:
        """By how much the widest proposal is wider than the narrowest."""
        name = self._groups[group][0]
        widths = [ranges[name][1] - ranges[name][0] for ranges in self._proposals.values()]
        return max(widths) / (min(widths) or 1.0)

    def _inputs(self, choice: Mapping[tuple[str, ...], str]) -> dict[str, np.ndarray]:
        methods = {name: choice[group] for group, names in self._groups.items() for name in names}
        ranges = {name: self._proposals[method][name] for name, method in methods.items()}
        shifts = {
            bias: self._shifts[methods[tensor]][bias]
            for bias, tensor in self._chain.readers.items()
        }
        return self._chain.inputs(ranges, shifts)

    def _loss(self, inputs: Mapping[str, np.ndarray], rows: slice = slice(None)) -> np.ndarray:
        """The photos' losses through the whole network, float64 [n]."""
        logits = np.concatenate(self._chain.run(self._photos[rows], inputs))
        return sines(self._float[rows], directions(logits))

    def _rest(self, inputs: Mapping[str, np.ndarray], first: int, last: int) -> np.ndarray:
        """The same of some photos, from the segment that the search is at."""
        logits = np.concatenate(self._chain.run(self._entry[first:last], inputs, self._segment))
        return sines(self._float[: self._count][first:last], directions(logits))


def _correcting(photos: int) -> int:
    return max(photos // _CORRECTING, 1)


def _shifts(
    source: str, ranges: Mapping[str, Bounds], placement: Placement, batch: np.ndarray
) -> dict[str, np.ndarray]:
    """What ranges make of the biases (see `calib.bias_correction`), by the biases' names."""
    correction = Correction(source, ranges, asdict(placement.grid), skip=())
    for photo in batch:
        correction.add(photo[None])
    return correction.by_bias()


def _float_logits(source: str, photos: list[np.ndarray], threads: int) -> list[np.ndarray]:
    session = one_thread_session(source)
    entry = session.get_inputs()[0].name
    with concurrent.futures.ThreadPoolExecutor(threads) as pool:
        return list(pool.map(lambda photo: session.run(None, {entry: photo})[0], photos))


def _is_better(loss: np.ndarray, best: np.ndarray) -> bool:
    """Whether losses are smaller on the same photos, by more than their standard error."""
    gain = best - loss
    error = gain.std(ddof=1) / np.sqrt(len(gain)) if len(gain) > 1 else 0.0
    return bool(gain.mean() > error)


def _alike(one: Bounds, other: Bounds) -> bool:
    width = max(one[1] - one[0], other[1] - other[0])
    return max(abs(one[0] - other[0]), abs(one[1] - other[1])) <= _ALIKE * width
