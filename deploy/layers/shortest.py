"""The shortest list of layers that, kept in float, brings agreement with Paddle to a wanted level.

Lists are tried in the simulation first: those layers first that err most by themselves, and those
first that leave the least error behind. Errors add up neither way, so that now the one is shorter,
now the other. It is shortened by each layer that it turns out to do without. What is left is built,
run and counted on all photos; where the file falls short of its simulation, it grows again. In FP16
no target's file keeps layers in float, so that there the simulation is all there is.
"""

import contextlib
import dataclasses
import itertools
from collections.abc import Iterator, Sequence

import numpy as np

from common.cli import Exit
from common.console import say
from common.errors import StepError
from common.intervals import exact_interval
from deploy.layers.blame import Blamed, blame, open_blamed
from deploy.layers.costs import Attempt, Costs, Shortest
from deploy.layers.deployed import Agreement, Deployed
from deploy.request.values import INT8
from deploy.scale.elsewhere import Elsewhere
from deploy.verdict.drift import decisions
from runtimes.session_pool import SIMULATED

_BUILDS = 6  # files that are made for one list
_EPSILON = 1e-9


def shortest(
    deployed: Deployed,
    blamed: Blamed,
    costs: Costs,
    want: float,
    elsewhere: Elsewhere | None = None,
) -> Shortest:
    """The shortest list that was found for an agreement of `want`, a share of the photos.

    No more than half of the layers are tried: a file of which most is in float is none in INT8.
    With `elsewhere` files are made there, those side by side that may come next.
    """
    search = _Search(deployed, blamed, costs, want, elsewhere)
    try:
        return search.run()
    finally:
        if search.built:
            deployed.put_back()


def blame_layers(
    deployed: Deployed,
    want: float,
    elsewhere: Elsewhere | None = None,
) -> Costs:
    """The costs of a file's layers, with the shortest list for an agreement of `want`; `elsewhere`
    are other machines, which do the work."""
    with open_blamed(deployed, elsewhere.spread if elsewhere else None) as blamed:
        costs = blame(deployed, blamed)
        found = shortest(deployed, blamed, costs, want, elsewhere)
        return dataclasses.replace(costs, shortest=found)


def status_of(costs: Costs) -> Exit:
    """Whether the wish came true: not at all, or in a simulation only."""
    assert costs.shortest
    if costs.shortest.keep_float is None:
        return Exit.BROKEN
    return Exit.UNDECIDED if costs.shortest.execution == SIMULATED else Exit.OK


class _Search:
    def __init__(
        self,
        deployed: Deployed,
        blamed: Blamed,
        costs: Costs,
        want: float,
        elsewhere: Elsewhere | None,
    ):
        self._deployed, self._blamed, self._want = deployed, blamed, want
        self._elsewhere = elsewhere
        self._there: dict[tuple[str, ...], Agreement | str] = {}  # by sorted layers
        self._builds = deployed.precision == INT8
        orders = costs.dearest(), costs.by_relief()
        self._orders = [[one.layer for one in order] for order in orders]
        self._most = len(costs.costs) // 2
        self.built = False  # what has taken the place of the file
        self._tried: dict[tuple[str, ...], Attempt] = {}
        self._part = deployed.part()
        self._reference = decisions(deployed.photos.reference([self._part]))

    def run(self) -> Shortest:
        if self._confirms([]):
            return self._found([])
        start, order = self._simulated_list()
        lists = list(itertools.islice(self._candidates(start, order), _BUILDS))
        for count, layers in enumerate(lists):
            self._make_elsewhere(lists[count:])
            if self._confirms(layers):
                return self._found(self._shortened(layers, _BUILDS - count - 1))
            if not self._builds:
                break
        return self._not_found()

    def _simulated_list(self) -> tuple[list[str], list[str]]:
        """The shortest list by the simulation, and the order that it is from; half of the layers
        where none is long enough."""
        lists = [(self._first_of(order), order) for order in self._orders]
        return min(lists, key=lambda one: (len(one[0]), -self._simulation(one[0])))

    def _first_of(self, order: list[str]) -> list[str]:
        low, high = 0, self._most
        for count in _growing(self._most):
            if self._simulates(order[:count]):
                high = count
                break
            low = count
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if self._simulates(order[:middle]) else (middle, high)
        layers = order[:high]
        if self._simulates(layers):
            for layer in reversed(layers[:-1]):  # without the last one it was tried
                fewer = [one for one in layers if one != layer]
                layers = fewer if self._simulates(fewer) else layers
        return layers

    def _candidates(self, start: list[str], order: list[str]) -> Iterator[list[str]]:
        """A list, and longer ones."""
        others = [layer for layer in order if layer not in start]
        for more in (0, *_growing(max(self._most - len(start), 0))):
            yield [*start, *others[:more]]

    def _shortened(self, layers: list[str], builds: int) -> list[str]:
        """A confirmed list, less those layers without which its file is confirmed, too."""
        order = layers[::-1]
        for place, layer in enumerate(order):
            fewer = [one for one in layers if one != layer]
            new = self._attempt(fewer).agreement is None
            if not self._builds or not fewer or (new and not builds):
                break
            if new:
                others = ([one for one in layers if one != other] for other in order[place:])
                self._make_elsewhere(list(itertools.islice(others, builds)))
            builds -= new
            layers = fewer if self._confirms(fewer) else layers
        return layers

    def _simulates(self, layers: Sequence[str]) -> bool:
        return self._simulation(layers) >= self._want - _EPSILON

    def _simulation(self, layers: Sequence[str]) -> float:
        known = self._attempt(layers)
        if known.simulated is not None:
            return known.simulated
        errors, photos = self._blamed.keeping(layers)
        share = 1 - errors.flips / photos
        self._note(layers, simulated=share, simulated_photos=photos)
        return share

    def _confirms(self, layers: Sequence[str]) -> bool:
        """Whether the file with these layers in float agrees as wanted; where none can be made, its
        simulation."""
        simulated = self._simulation(layers)
        if layers and not self._builds:
            photos = self._attempt(layers).simulated_photos
            self._note(layers, agreement=simulated, execution=SIMULATED, photos=photos)
            return simulated >= self._want - _EPSILON
        known = self._attempt(layers)
        if known.agreement is None:
            try:
                found = self._made_there(layers) or self._made_here(layers)
            except StepError as error:  # as a runtime refuses what is left of INT8
                say(f"  with {', '.join(layers)} in float: {error}")
                return False
            self._note(
                layers,
                agreement=found.share,
                photos=found.photos,
                execution=self._deployed.session_spec.execution,
            )
        return (self._attempt(layers).agreement or 0.0) >= self._want - _EPSILON

    def _made_here(self, layers: Sequence[str]) -> Agreement:
        """What the file with these layers in float shows; with none, the one that is there."""
        if layers:
            self.built = True
            logits = self._deployed.logits_keeping(self._part, self._named(layers))
        else:
            logits = self._deployed.logits(self._part)
        same = decisions(np.asarray(logits)) == self._reference
        return Agreement(float(same.mean()), len(same))

    def _made_there(self, layers: Sequence[str]) -> Agreement | None:
        """The same, where it was made elsewhere; StepError where none could be."""
        found = self._there.get(tuple(sorted(layers)))
        if isinstance(found, str):
            raise StepError(found)
        return found

    def _make_elsewhere(self, lists: Sequence[Sequence[str]]) -> None:
        """Have files made side by side, of which the first is wanted next and each other one after
        it if those before fall short, until one does not."""
        if self._elsewhere is None or not self._builds or not lists:
            return
        wanted = {tuple(self._named(layers)): tuple(sorted(layers)) for layers in lists if layers}
        left = {named: key for named, key in wanted.items() if key not in self._there}
        if tuple(sorted(lists[0])) in self._there or not left:
            return
        with contextlib.closing(self._deployed.agreements(self._elsewhere, list(left))) as made:
            for named, found in made:
                self._there[left[named]] = found
                known = itertools.takewhile(bool, map(self._there.get, wanted.values()))
                if any(self._is_enough(one) for one in known):
                    return

    def _is_enough(self, found: Agreement | str | None) -> bool:
        return isinstance(found, Agreement) and found.share >= self._want - _EPSILON

    def _named(self, layers: Sequence[str]) -> list[str]:
        """What KEEP_FLOAT is: these layers, and those that the file has in float already."""
        return [*self._deployed.quant.keep_float, *layers]

    def _attempt(self, layers: Sequence[str]) -> Attempt:
        return self._tried.get(tuple(sorted(layers)), Attempt(keep_float=tuple(layers)))

    def _note(self, layers: Sequence[str], **what) -> None:
        found = dataclasses.replace(self._attempt(layers), **what)
        self._tried[tuple(sorted(layers))] = found

    def _found(self, layers: list[str]) -> Shortest:
        best = self._attempt(layers)
        assert best.agreement is not None and best.photos, "it was confirmed"
        low, high = exact_interval(round(best.agreement * best.photos), best.photos)
        photos = f"{best.photos} photos"
        if not layers:
            text = f"no layer need stay in float: {best.agreement:.1%} of {photos} agree as it is"
        else:
            text = (
                f"with {', '.join(layers)} in float {best.agreement:.1%} of {photos} agree "
                f"({best.execution}; 95 % interval {low:.1%} … {high:.1%})"
            )
        return Shortest(
            want=self._want,
            keep_float=tuple(self._named(layers)) if layers else (),
            agreement=best.agreement,
            agreement_ci95=(low, high),
            execution=best.execution,
            attempts=tuple(self._tried.values()),
            found=text,
        )

    def _not_found(self) -> Shortest:
        run = [one for one in self._tried.values() if one.agreement is not None]
        best = max(run, key=lambda one: (one.agreement or 0.0, -len(one.keep_float)))
        total = len(self._orders[0])
        kept = len(best.keep_float)
        text = (
            f"no list of up to {self._most} of {total} layers brings agreement to "
            f"{100 * self._want:g} %: the best, {kept} in float, has {best.agreement:.1%} of "
            f"{best.photos} photos ({best.execution}); where more is to be in float, take fp32"
        )
        return Shortest(want=self._want, attempts=tuple(self._tried.values()), found=text)


def _growing(most: int) -> Iterator[int]:
    """1, 2, 3, 5, 8 … up to `most`, which is the last."""
    count, more = 1, 2
    while count < most:
        yield count
        count, more = more, count + more
    if most:
        yield most
