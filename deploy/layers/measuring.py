"""Each layer's errors on photos: a reference and a target's, looked into side by side."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from deploy.layers.inside import Looked
from deploy.layers.mapping import Mapped
from deploy.layers.mapping import Mapping as Mappings
from deploy.layers.matching import Match, back, put_in_order

LOGITS = "logits"
_NORMAL = 2.0**-14  # float16's smallest normal number (IEEE 754, binary16)


@dataclass(frozen=True)
class Pair:
    """A reference and a target's file, with where the ONNX file's tensors are in both.

    `factors` are what a tensor is multiplied with in the target's file, other than in the
    reference, as range fitting does; those without one are not.
    """

    reference: Looked
    target: Looked
    reference_names: Mapping[str, Match]
    target_names: Mapping[str, Match]
    factors: Mapping[str, float]

    def reference_values(
        self, photo: np.ndarray, wanted: Collection[str] | None = None
    ) -> dict[str, np.ndarray]:
        """The reference's (None: all), by the ONNX file's names, in its order, as the target's file
        has them if it errs nowhere."""
        known = self.reference_names
        names = known if wanted is None else {name: known[name] for name in wanted if name in known}
        values = self.reference.values(photo, [one.name for one in names.values()])
        found = {
            name: put_in_order(values[one.name], one.axes)
            for name, one in names.items()
            if one.name in values
        }
        factors = {name: self.factors[name] for name in found if self.factors.get(name, 1.0) != 1.0}
        return found | {name: found[name] * np.float32(one) for name, one in factors.items()}

    def target_values(self, photo: np.ndarray) -> dict[str, np.ndarray]:
        """The target's, in the shapes that they have there."""
        names = self.target_names
        values = self.target.values(photo, [one.name for one in names.values()])
        return {name: values[one.name] for name, one in names.items() if one.name in values}

    def in_reference_order(
        self, name: str, value: np.ndarray, shape: tuple[int, ...]
    ) -> np.ndarray:
        """A tensor of the target's in the shape of the reference's."""
        return put_in_order(value, self.target_names[name].axes).reshape(shape)

    def own_values(
        self, reference: Mapping[str, np.ndarray], target: Mapping[str, np.ndarray]
    ) -> dict[str, np.ndarray]:
        """The target's where every layer reads the reference's values, in the target's shapes;
        {} where the runtime takes none."""
        names = self.target_names
        given = {
            names[name].name: back(reference[name].ravel(), target[name].shape, names[name].axes)
            for name in target
            if name in reference
        }
        [entry, *_] = self.target.tensors
        wanted = [names[name].name for name in target if names[name].name != entry.name]
        values = self.target.own(given, wanted)
        return {name: values[names[name].name] for name in target if names[name].name in values}


class Tally:
    """What has been seen of one tensor. `bounds` are those of the target's integers, `narrow` says
    that it has float16."""

    def __init__(self, bounds: tuple[float, float] | None, narrow: bool):
        self._narrow = narrow
        self.bounds = bounds
        self.count = self.infinite = self.small = self.outside = self.at_ends = 0
        self.power = self.error = self.own = 0.0
        self.forced = True
        self.low, self.high = np.inf, -np.inf

    def see(self, reference: np.ndarray, value: np.ndarray, own: np.ndarray | None) -> None:
        """Take in a photo's values, flat."""
        self.count += reference.size
        self.low = min(self.low, float(reference.min()))
        self.high = max(self.high, float(reference.max()))
        if self._narrow:
            self.small += int(((np.abs(reference) < _NORMAL) & (reference != 0)).sum())
        self.power += _square(reference)
        with np.errstate(invalid="ignore", over="ignore"):
            error = _square(value - reference)
            self.own += 0.0 if own is None else _square(own - reference)
        self.error += error
        if not np.isfinite(error):
            self.infinite += int((~np.isfinite(value)).sum())
        self.forced &= own is not None
        if self.bounds:
            low, high = self.bounds
            half = (high - low) / 510  # of a step
            self.outside += int(((reference < low - half) | (reference > high + half)).sum())
            ends = (value <= low + half) | (value >= high - half)
            self.at_ends += int((ends & (np.abs(value) > half)).sum())

    @property
    def rounds(self) -> bool:
        """Whether the target makes integers of it."""
        return self.bounds is not None

    @property
    def clipped(self) -> float:
        """The share of the reference's values outside of the range of the target's integers."""
        return self.outside / self.count

    @property
    def relative(self) -> float:
        """The relative error, with all that came before; infinite where a value is not finite."""
        return _relative(self.error, self.power)

    @property
    def own_relative(self) -> float | None:
        """The error that its maker adds by itself; None where that is not known."""
        return _relative(self.own, self.power) if self.forced else None


@dataclass(frozen=True)
class Seen:
    """Tallies over all photos, by the ONNX file's names in order of execution, with the reference's
    logits float32 [photos, classes]; and all values on the last photo, as `Pair` gives them."""

    tallies: dict[str, Tally]
    logits: np.ndarray
    reference: Mapping[str, np.ndarray]
    target: Mapping[str, np.ndarray]
    own: Mapping[str, np.ndarray]


def measure(pair: Pair, mapping: Mappings, batches: Iterable[np.ndarray], narrow: bool) -> Seen:
    """What is seen of the tensors that both have, over photos, each the network's input float32
    [1, 3, S, S]. `narrow` says that the target has float16."""
    bounds = {
        name: pair.target.ranges[one.name]
        for name, one in pair.target_names.items()
        if one.name in pair.target.ranges
    }
    tallies: dict[str, Tally] = {}
    logits, reference, target, own = [], {}, {}, {}
    for photo in batches:
        reference = pair.reference_values(photo, {*pair.target_names, LOGITS})
        logits.append(reference[LOGITS])
        target = pair.target_values(photo)
        own = pair.own_values(reference, target)
        for one in mapping.tensors:
            name = one.tensor
            if name not in reference or name not in target:
                continue
            axes = pair.target_names[name].axes
            tally = tallies.setdefault(name, Tally(bounds.get(name), narrow))
            alone = put_in_order(own[name], axes).ravel() if name in own else None
            tally.see(reference[name].ravel(), put_in_order(target[name], axes).ravel(), alone)
    return Seen(tallies, np.concatenate(logits), reference, target, own)


def sources(mapping: Mappings, measured: Mapping[str, Tally]) -> dict[str, tuple[list, list]]:
    """For each tensor that was measured, the nodes that make it of others that were, in order of
    execution, and those others."""
    makers = {one.tensor: one for one in mapping.tensors}
    found: dict[str, tuple[list[Mapped], list[str]]] = {}
    for name in measured:
        nodes, inputs, waiting = [makers[name]], [], list(makers[name].inputs)
        while waiting:
            source = waiting.pop()
            if source in measured:
                inputs.append(source)
            elif source in makers and makers[source] not in nodes:
                nodes.append(makers[source])
                waiting += makers[source].inputs
        order = {one.tensor: place for place, one in enumerate(mapping.tensors)}
        nodes.sort(key=lambda one: order[one.tensor])
        found[name] = nodes, list(dict.fromkeys(reversed(inputs)))
    return found


def relative_to(values: np.ndarray, reference: np.ndarray) -> float:
    """‖values − reference‖₂ / ‖reference‖₂; infinite where a value is not finite."""
    with np.errstate(invalid="ignore", over="ignore"):
        return _relative(_square(values - reference), _square(reference))


def _square(values: np.ndarray) -> float:
    """The sum of squares; in float64 only where float32 cannot hold it."""
    flat = values.ravel()
    with np.errstate(over="ignore", invalid="ignore"):
        found = float(flat @ flat)
        if not np.isfinite(found):
            wide = flat.astype(np.float64)
            found = float(wide @ wide)
    return found


def _relative(error: float, power: float) -> float:
    if not np.isfinite(error):
        return np.inf
    if not power:
        return 0.0 if not error else np.inf
    return float(np.sqrt(error / power))
