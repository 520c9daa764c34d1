"""In a child process: what each layer of a network costs in a target's arithmetic.

The float network is cut into parts (`calib.parts`), and each part is a session with nothing in the
target's arithmetic, and one with all of it. To see one layer by itself, its part is written anew
with that layer only, and begins with what the float network gives there; what all layers but one
do, with what all give there. So a layer near the end costs a few nodes' time.
"""

import concurrent.futures
import itertools
import math
import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from calib.arithmetic import Floats, Integers
from calib.fake_quant import LAYERS
from calib.parts import Part, constant_nodes, in_parts, split_constants
from runtimes.one_thread import one_thread_session

if TYPE_CHECKING:
    import onnx
    import onnxruntime

Arithmetic = Integers | Floats
_FEWEST = 8  # photos, however long they take
_EACH_TRY = 10.0  # seconds
_KEPT = 64  # sessions of parts that are partly in float


@dataclass(frozen=True)
class Unit:
    """What is blamed: a layer, or what is computed between two; its nodes, and the part with it."""

    name: str
    operator: str
    nodes: tuple[str, ...]
    part: int


class OneByOne:
    """A float ONNX file, any of whose units can be computed in a target's arithmetic.

    `batch` are photos float32 [n, 3, S, S]; `in_float` are layers that the target has in float.
    """

    def __init__(
        self,
        source: str,
        arithmetic: Arithmetic,
        batch: np.ndarray,
        in_float: Sequence[str],
        threads: int,
    ):
        import onnx

        model = onnx.shape_inference.infer_shapes(onnx.load(source), data_prop=True)
        self._parts = _Parts(model, arithmetic)
        self._units = [unit for unit in self._parts.units if unit.name not in in_float]
        self._photos = [photo[None] for photo in batch]
        self._pool = concurrent.futures.ThreadPoolExecutor(threads)
        self._threads = threads
        self._float_of_many: np.ndarray | None = None

    def begin(self, seconds: float, at_most: int) -> tuple[list[tuple[str, str]], list[int]]:
        """Prepare to blame one unit after the other, with as many photos as the time allows, but no
        fewer than eight; where that takes more than twice the time, only those units that err most
        where their part ends.

        Returns the names and operators of those that are to be blamed, in order, and the rows of
        the photos, evenly spread.
        """
        self._everything = frozenset(unit.name for unit in self._units)
        few, shares = self._photos[: self._threads], self._parts.shares
        first = self._timed(few)  # which opens sessions
        plain, target = self._timed(few)
        opening = max(sum(first) - plain - target, 0.0) / len(shares)
        work = sum(shares[unit.part] for unit in self._units)
        running = work * (plain + target) / len(few)  # of a photo, all units
        fitting = int((seconds - opening * len(self._units)) / (running or 1.0))
        count = min(at_most, max(_FEWEST, fitting))
        self._rows = _spread(len(self._photos), count)
        many = max(at_most, int(_EACH_TRY * len(few) / target))
        self._many = [self._photos[row] for row in _spread(len(self._photos), many)]
        each = opening + running * len(self._rows) / len(self._units)
        self._blamed = self._units
        if each * len(self._units) > 2 * seconds:
            self._blamed = self._worst(few, max(1, int(seconds / each)))
        per_share = (plain + target) / len(few) * len(self._rows)
        self._seconds = [opening + shares[unit.part] * per_share for unit in self._blamed]
        self._enter()
        return [(unit.name, unit.operator) for unit in self._blamed], self._rows

    def take(self, names: Sequence[str]) -> None:
        """Prepare to blame these units, on all photos."""
        self._everything = frozenset(unit.name for unit in self._units)
        self._rows = list(range(len(self._photos)))
        self._blamed = [unit for unit in self._units if unit.name in names]
        self._enter()

    def seconds(self) -> list[float]:
        """About how long each of those takes."""
        return self._seconds

    def _enter(self) -> None:
        """Go to the first part."""
        self._at, entry = 0, [self._photos[row] for row in self._rows]
        self._float_entry, self._target_entry = entry, entry
        self._float = np.concatenate(self._run(entry, frozenset(), 0))

    def _timed(self, photos: list[np.ndarray]) -> tuple[float, float]:
        """The seconds that the float network and the target's take."""
        started = time.monotonic()
        self._run(photos, frozenset(), 0)
        half = time.monotonic()
        self._run(photos, self._everything, 0, between=True)
        return half - started, time.monotonic() - half

    def _worst(self, photos: list[np.ndarray], most: int) -> list[Unit]:
        """So many units, in order: those that err most by themselves where their part ends."""
        found = {}
        for row in range(len(self._parts.shares)):
            here = slice(row, row + 1)
            expected = self._run(photos, frozenset(), here)
            size = float(np.linalg.norm(expected)) or 1.0
            for unit in (unit for unit in self._units if unit.part == row):
                alone = self._run(photos, frozenset([unit.name]), here, once=True)
                error = float(np.linalg.norm(np.subtract(alone, expected))) / size
                found[unit.name] = error if np.isfinite(error) else np.inf
            photos = expected
        worst = sorted(found, key=lambda name: -found[name])[:most]
        return [unit for unit in self._units if unit.name in worst]

    def count(self) -> int:
        """How many units there are."""
        return len(self._units)

    def everything(self) -> dict:
        """The errors of all units together (see `errors`)."""
        entry = [self._photos[row] for row in self._rows]
        return self._errors(self._run(entry, self._everything, 0, between=True))

    def blame(self, number: int) -> tuple[dict, dict]:
        """The errors of a unit by itself, and of all but it; units come in order."""
        unit = self._blamed[number]
        self._go_to(unit.part)
        here = slice(unit.part, unit.part + 1)
        one, others = frozenset([unit.name]), self._everything - {unit.name}
        alone = self._run(self._float_entry, one, here, once=True)
        alone = self._run(alone, frozenset(), unit.part + 1)
        without = self._run(self._target_entry, others, here, between=True, once=True)
        without = self._run(without, self._everything, unit.part + 1, between=True)
        return self._errors(alone), self._errors(without)

    def keeping(self, kept: Sequence[str]) -> tuple[dict, int]:
        """The errors with some units in float and all others not, and on how many photos: as many
        as take some seconds."""
        if self._float_of_many is None:
            self._float_of_many = np.concatenate(self._run(self._many, frozenset(), 0))
        wanted = self._everything - set(kept)
        found = self._run(self._many, wanted, 0, between=True)
        return errors(self._float_of_many, np.concatenate(found)), len(found)

    def _go_to(self, part: int) -> None:
        if part > self._at:
            stop = slice(self._at, part)
            self._float_entry = self._run(self._float_entry, frozenset(), stop)
            self._target_entry = self._run(self._target_entry, self._everything, stop, between=True)
            self._at = part

    def _run(
        self,
        values: list[np.ndarray],
        chosen: frozenset[str],
        start: int | slice,
        *,
        between: bool = False,
        once: bool = False,
    ) -> list[np.ndarray]:
        """What the parts from `start` on make of values, one photo each. `once` lets go of the
        sessions that were opened for it."""
        where = start if isinstance(start, slice) else slice(start, None)
        sessions = list(self._parts.sessions(chosen, between, where, keep=not once))

        def one(value: np.ndarray) -> np.ndarray:
            for session in sessions:
                value = session.run(None, {session.get_inputs()[0].name: value})[0]
            return value

        return list(self._pool.map(one, values))

    def _errors(self, logits: list[np.ndarray]) -> dict:
        return errors(self._float, np.concatenate(logits))


def begun(names: Sequence[str], **arguments: Any) -> OneByOne:
    """What `begin` has prepared elsewhere: to blame these units, on all photos of the batch."""
    one = OneByOne(**arguments)
    one.take(names)
    return one


class _Parts:
    """A float network's parts, and sessions of them, in which some units are in the arithmetic."""

    def __init__(self, model: "onnx.ModelProto", arithmetic: Arithmetic):
        graph = model.graph
        self._arithmetic = arithmetic
        self._opsets, self._version = list(model.opset_import), model.ir_version
        self._constants = {tensor.name: tensor for tensor in graph.initializer}
        typed = (*graph.input, *graph.value_info, *graph.output)
        self._types = {value.name: value for value in typed}
        nodes, self._others = split_constants(graph)
        readers = _only_readers(nodes)
        self._parts = list(
            in_parts(
                nodes,
                graph.input[0].name,
                graph.output[0].name,
                # A quantizer takes a Relu for a part of the layer before it.
                lambda tensor, _: tensor in self._types and readers.get(tensor) != "Relu",
            )
        )
        layers = [sum(node.op_type in LAYERS for node in part.nodes) for part in self._parts]
        # By the number of layers: how much is computed from each part on.
        self.shares = [sum(layers[row:]) / sum(layers) for row in range(len(layers))]
        last = max(row for row, node in enumerate(nodes) if node.op_type in LAYERS)
        self._behind = {node.name for node in nodes[last + 1 :]}
        self.units = list(self._find_units(model))
        self._known: dict[tuple, onnxruntime.InferenceSession] = {}

    def _find_units(self, model: "onnx.ModelProto") -> Iterator[Unit]:
        found = self._arithmetic.units(model)
        operators = {node.name: node.op_type for node in model.graph.node}
        place = {node.name: row for row, part in enumerate(self._parts) for node in part.nodes}
        units = []
        for nodes in found.values():
            # What is between two layers may lie on both sides of a cut.
            for row, some in itertools.groupby(nodes, key=place.__getitem__):
                own = tuple(some)
                units.append(Unit(own[0], operators[own[0]], own, row))
        yield from sorted(units, key=lambda unit: unit.part)

    def sessions(
        self, chosen: frozenset[str], between: bool, where: slice, *, keep: bool
    ) -> "Iterator[onnxruntime.InferenceSession]":
        """Those of some parts, with the chosen units in the target's arithmetic."""
        for row in range(*where.indices(len(self._parts))):
            own = [unit for unit in self.units if unit.part == row]
            names = frozenset(unit.name for unit in own if unit.name in chosen)
            key = row, names, between
            session = self._known.get(key)
            if session is None:
                nodes = {name for unit in own if unit.name in names for name in unit.nodes}
                session = self._open(self._parts[row], nodes, between)
                if keep:
                    if len(self._known) > _KEPT + 2 * len(self._parts):
                        self._forget()
                    self._known[key] = session
            yield session

    def _forget(self) -> None:
        """Let go of the parts that are partly in float."""
        for key in list(self._known):
            row, names, _ = key
            own = {unit.name for unit in self.units if unit.part == row}
            if names and names != own:
                del self._known[key]

    def _open(
        self, part: Part, chosen: Collection[str], between: bool
    ) -> "onnxruntime.InferenceSession":
        from onnx import helper

        nodes = [*constant_nodes(part.nodes, self._others), *part.nodes]
        read = dict.fromkeys(name for node in nodes for name in node.input)
        made = [name for node in nodes for name in node.output]
        graph = helper.make_graph(
            nodes,
            part.result,
            [self._types[part.entry]],
            [self._types[part.result]],
            [self._constants[name] for name in read if name in self._constants],
            value_info=[self._types[name] for name in made if name in self._types],
        )
        model = helper.make_model(graph, opset_imports=self._opsets, ir_version=self._version)
        if not chosen and not between:
            return one_thread_session(model.SerializeToString())
        how = self._arithmetic
        written = how.write(model, chosen, between, self._behind)
        return one_thread_session(written.SerializeToString(), how.entries, optimize=how.optimize)


def _only_readers(nodes: "Sequence[onnx.NodeProto]") -> dict[str, str]:
    """The operator of the only reader of each tensor that has but one."""
    readers: dict[str, list[str]] = {}
    for node in nodes:
        for name in node.input:
            readers.setdefault(name, []).append(node.op_type)
    return {name: kinds[0] for name, kinds in readers.items() if len(kinds) == 1}


def _spread(count: int, at_most: int) -> list[int]:
    """Rows of so many, evenly spread."""
    return np.linspace(0, count - 1, min(count, at_most)).round().astype(int).tolist()


def errors(reference: np.ndarray, logits: np.ndarray) -> dict[str, Any]:
    """How far logits [n, classes] are from the float network's on the same photos.

    "flips": photos with unequal decisions; "broken", those with a logit that is not finite, are
    flips, and count for nothing else. "error": the norm of the difference as a share of that of
    the float logits less their mean; "sqnr_db": the same in decibels, None where there is none.
    "kl": the mean Kullback-Leibler divergence of the softmax, in nats.
    """
    sound = np.isfinite(logits).all(axis=1)
    flips = int((~sound | (logits.argmax(1) != reference.argmax(1))).sum())
    found = {
        "flips": flips,
        "broken": int((~sound).sum()),
        "error": 0.0,
        "sqnr_db": None,
        "kl": 0.0,
    }
    a, b = reference[sound].astype(np.float64), logits[sound].astype(np.float64)
    if not len(a):
        return found
    spread = a - a.mean(axis=1, keepdims=True)
    error = _norm(a - b) / (_norm(spread) or 1.0)
    log_p, log_q = _log_softmax(a), _log_softmax(b)
    kl = float((np.exp(log_p) * (log_p - log_q)).sum(axis=1).mean())
    decibels = -20 * math.log10(error) if error else None
    return found | {"error": error, "sqnr_db": decibels, "kl": max(kl, 0.0)}


def _norm(values: np.ndarray) -> float:
    """The norm of float64 values; numpy's own adds in an order that depends on the threads."""
    return math.sqrt(np.square(values).sum())


def _log_softmax(logits: np.ndarray) -> np.ndarray:
    shifted = logits - logits.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
