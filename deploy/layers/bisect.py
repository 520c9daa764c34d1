"""Where a runtime that shows no tensor but its result first goes wrong: cut graphs, bisected.

Of the deployed graph a part is made that ends at a tensor (`convert.cut_graph`), goes through the
real converter, and runs in the real runtime; the same tensor of the reference says whether all up
to there is right. Where a single tensor goes on, everything passes through it: along those tensors
a fault stays to be seen, more or less, and they are bisected. Between the last that is right and
the first that is wrong the others are tried in order. Every cut is an artifact, and is made once.
"""

import contextlib
import dataclasses
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from common import console, files
from common.console import Progress
from common.errors import UserError
from common.temporary import temporary_folder
from convert.artifact import Artifact
from convert.builds import GRAPH, PARAMETERS
from convert.cut_graph import cut_graph
from data.crops import Crops
from deploy.layers.cuts import Cut, Cuts
from deploy.layers.inside import Looked, look_inside
from deploy.layers.keeping import about
from deploy.targets.base import Options, Target
from deploy.targets.paddle import REFERENCE
from runtimes.inside.base import Tensor
from runtimes.session_pool import SessionSpec, open_sessions
from runtimes.worker import Worker

# Relative errors, of the norm of a tensor's values, up to which it is right: many layers' rounding.
# In INT8 against Paddle's execution of the same integers, where ties of rounding fall otherwise.
LIMITS = {"fp32": 1e-3, "fp16": 5e-2, "int8": 0.1}
_OWN = "own-graph"
PHOTOS = 2  # a wrong kernel is wrong on every one


@dataclass(frozen=True)
class BlackBox:
    """A target's precision whose runtime shows nothing of its inside.

    `deployed` is the Paddle graph that its file is made of, `reference` the one, with tensors of
    the same names, that is right; the same but where the user gave one of his own.
    """

    target: Target
    precision: str
    session_spec: SessionSpec
    deployed: Artifact
    reference: Artifact
    own_file: str | None = None


@contextlib.contextmanager
def black_box(
    graph: Artifact,
    target: Target,
    precision: str,
    built: Artifact,
    session_spec: SessionSpec,
    options: Options,
    own_file: Path | None = None,
) -> Iterator[BlackBox]:
    """The black box of a cell whose file was built of a graph with these options."""
    made_of = target.graph_of(built, graph, precision, options)
    if own_file is None:
        yield BlackBox(target, precision, session_spec, made_of, made_of)
        return
    with temporary_folder() as scratch:
        own = _own_graph(own_file, made_of, scratch)
        yield BlackBox(target, precision, session_spec, own, made_of, str(own_file))


def _own_graph(own_file: Path, like: Artifact, folder: Path) -> Artifact:
    """The user's graph, as an artifact that is cut by its own content."""
    parameters = own_file.with_suffix(Path(PARAMETERS).suffix)
    if own_file.suffix != Path(GRAPH).suffix or not parameters.is_file():
        raise UserError(
            f"{own_file}: what runs the target shows nothing of its inside, so that a graph is cut "
            f"short: give a {Path(GRAPH).suffix} file with its {parameters.suffix} beside it"
        )
    for source, name in ((own_file, GRAPH), (parameters, PARAMETERS)):
        shutil.copyfile(source, folder / name)
    digests = [files.sha256(folder / name) for name in (GRAPH, PARAMETERS)]
    return Artifact(
        folder, {**like.manifest, "kind": _OWN, "key": files.sha256_of({"graph": digests})}
    )


def bisect(box: BlackBox, crops: Crops, rows: Sequence[int]) -> Cuts:
    """Find the first tensor of a black box that its runtime computes wrongly, on some photos.

    StepError where a cut cannot be made or run; UserError where a graph of the user's has not the
    tensors that the build's has.
    """
    started = time.monotonic()
    graph = box.deployed
    batch = next(crops.batches(len(rows), graph.preprocess, list(rows)))
    limit = LIMITS[box.precision]
    with (
        _reference(box) as inside,
        Worker("main", f"cut_graph of {graph.name}") as worker,
        console.progress(f"{graph.name} on {box.target.name}: cut graphs", "cuts") as update,
    ):
        tries = _Tries(box, inside, worker, batch, update)
        first, steady = _search(tries.places, tries.trunk, tries.is_wrong)
    cuts = tuple(sorted(tries.cuts.values(), key=lambda one: one.place))
    return Cuts(
        **about(graph, box.target, box.precision, box.session_spec, crops, len(rows)),
        files=graph.digests((GRAPH, PARAMETERS)) if box.own_file is None else _digests(graph),
        own_file=box.own_file,
        limit=limit,
        cuts=cuts,
        first=None if first is None else tries.cuts[first].tensor,
        steady=steady,
        found=_found(cuts, None if first is None else tries.cuts[first], limit, steady),
        seconds=round(time.monotonic() - started, 1),
    )


def _digests(graph: Artifact) -> dict[str, str]:
    return {name: files.sha256(graph.file(name)) for name in (GRAPH, PARAMETERS)}


@contextlib.contextmanager
def _reference(box: BlackBox) -> Iterator[Looked]:
    """Paddle on the right graph, in its own executor: it runs quantized graphs as written, too."""
    with look_inside(REFERENCE, box.reference.folder, "fp32") as inside:
        yield inside


class _Tries:
    """The graph's tensors in order of execution, and the cuts that were made at some of them."""

    def __init__(
        self,
        box: BlackBox,
        inside: Looked,
        worker: Worker,
        batch: np.ndarray,
        update: Progress,
    ):
        self._box, self._inside, self._worker = box, inside, worker
        self._batch, self._update = batch, update
        computed = inside.values(batch[:1], [one.name for one in inside.in_file])
        self._tensors = [one for one in inside.in_file[1:] if one.name in computed]
        unscaled = _unscaled(self._tensors)
        self.places = [place for place in range(len(self._tensors)) if place not in unscaled]
        trunk = trunk_of(self._tensors, inside.in_file[0].name)
        self.trunk = [place for place in trunk if place not in unscaled]
        self._limit = LIMITS[box.precision]
        self.cuts: dict[int, Cut] = {}

    def is_wrong(self, place: int) -> bool:
        if place not in self.cuts:
            one = self._tensors[place]
            expected = self._inside.values(self._batch, [one.name])[one.name]
            found = self._run(one.name, place)
            self.cuts[place] = Cut(
                place=place,
                tensor=one.name,
                operator=one.operator,
                error=_error(found, expected),
            )
            self._update(len(self.cuts), None)
        return not self.cuts[place].is_right(self._limit)

    def _run(self, tensor: str, place: int) -> np.ndarray:
        """What the runtime gives where the graph ends with a tensor."""
        box = self._box
        cut = cut_graph(self._worker, box.deployed, tensor, place)
        file = box.target.cut_file(cut, box.precision)
        spec = dataclasses.replace(box.session_spec, one_thread=False)
        with open_sessions(spec, file.folder, box.precision) as sessions:
            return np.asarray(sessions([self._batch], lambda done, total: None, 1))


def _found(cuts: Sequence[Cut], first: Cut | None, limit: float, steady: bool) -> str:
    """In a sentence."""
    count = f"{len(cuts)} cut{'s' * (len(cuts) != 1)}"
    if first is None:
        return (
            f"the last tensor is right, {cuts[-1].error:.1e} off Paddle's (limit {limit:g}): all "
            f"that leads to it is; {count}"
        )
    off = "not finite" if first.error is None else f"{first.error:.1e} off"
    before = [one.error for one in cuts if one.place < first.place and one.error is not None]
    others = (
        f"where those before it are at most {max(before):.1e}" if before else "the first of all"
    )
    text = (
        f"the first wrong tensor is {first.tensor}, of {first.operator}: {off}, {others} (limit "
        f"{limit:g}); {count}"
    )
    if not steady:
        text += "; errors do not only grow, so that an earlier one may be wrong, too"
    return text


def _search(
    places: Sequence[int], trunk: Sequence[int], is_wrong: Callable[[int], bool]
) -> tuple[int | None, bool]:
    """The first wrong one of the places, None where the last one is right; and whether the trunk's
    places next to where right turns into wrong are right and wrong, too."""
    if not is_wrong(trunk[-1]):
        return None, True
    low, high = -1, len(trunk) - 1  # of the trunk: the last that is right, the first that is wrong
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if is_wrong(trunk[middle]) else (middle, high)
    steady = (low < 1 or not is_wrong(trunk[low - 1])) and (
        high + 1 >= len(trunk) or is_wrong(trunk[high + 1])
    )
    start = trunk[low] + 1 if low >= 0 else 0
    between = (place for place in places if start <= place < trunk[high] and is_wrong(place))
    return next(between, trunk[high]), steady


def _unscaled(tensors: Sequence[Tensor]) -> set[int]:
    """The places of tensors that have their scale only from the operator behind them, which a
    runtime makes one with the layer: no graph can end there."""
    rescaled = {
        name
        for one in tensors
        if one.operator.startswith("fake_") and "dequantize" in one.operator
        for name in one.inputs
    }
    return {place for place, one in enumerate(tensors) if one.name in rescaled}


def trunk_of(tensors: Sequence[Tensor], entry: str) -> list[int]:
    """The places, in order of execution, of the tensors that all behind them passes through."""
    last = {name: place for place, one in enumerate(tensors) for name in one.inputs}
    last[tensors[-1].name] = len(tensors)
    live, found = {entry}, []
    for place, one in enumerate(tensors):
        live.add(one.name)
        live = {name for name in live if last.get(name, -1) > place}
        if live == {one.name}:
            found.append(place)
    return found


def _error(found: np.ndarray, expected: np.ndarray) -> float | None:
    """‖y − r‖ / ‖r‖ of values in one order; None where y is not finite, or of another size."""
    if found.size != expected.size or not np.isfinite(found).all():
        return None
    wide = expected.astype(np.float64).ravel()
    size = float(np.linalg.norm(wide))
    return float(np.linalg.norm(found.astype(np.float64).ravel() - wide)) / (size or 1.0)
