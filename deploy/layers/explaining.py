"""From a build's file, or one of the user's, to its profile."""

import contextlib
import dataclasses
import math
import time
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from calib.fake_quant import LAYERS
from common.console import Progress, progress
from convert.artifact import Artifact, Step
from convert.to_onnx import to_onnx
from data.crops import Crops
from deploy.layers import findings, jump
from deploy.layers.inside import INSIDE, look_inside
from deploy.layers.keeping import about
from deploy.layers.mapping import FLOAT_ONNX, KIND, Mapped, keep, map_reference, map_tensors
from deploy.layers.mapping import Mapping as Mappings
from deploy.layers.matching import NEAR
from deploy.layers.measuring import LOGITS, Pair, Seen, Tally, measure, relative_to, sources
from deploy.layers.profile import Layer, Logits, Profile
from deploy.layers.signs import signs, swapped_colours
from deploy.layers.subject import Subject
from deploy.request.values import FP16, INT8
from deploy.targets.base import Options
from deploy.targets.paddle import REFERENCE
from runtimes.session_pool import open_sessions


class Explainer:
    """Explains files of one build on some photos. The reference is opened once for all of them: use
    it as a context manager."""

    def __init__(self, graph: Artifact, crops: Crops, rows: Sequence[int]):
        self._graph, self._crops = graph, crops
        self._batches = list(crops.batches(1, graph.preprocess, rows))

    def __enter__(self) -> "Explainer":
        self._opened = contextlib.ExitStack()
        self._reference = self._opened.enter_context(
            look_inside(REFERENCE, self._graph.folder, "fp32")
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()

    def explain(self, subject: Subject, options: Options) -> Profile:
        """The profile of a subject, which was built with these options."""
        started = time.monotonic()
        onnx = to_onnx(self._graph, options.opset)
        paddle = map_reference(self._graph, onnx, self._batches[0])
        floats = subject.target.float_onnx(self._graph, subject.precision, options)
        factors = _factors(onnx, floats, self._batches[0]) if floats.key != onnx.key else {}
        batches = self._batches[: subject.session_spec.photos]
        title = f"looking into {self._graph.name} on {subject.target.name} {subject.precision}"
        with (
            look_inside(subject.session_spec, subject.folder, subject.precision) as target,
            progress(title, "photos") as update,
        ):
            pair = Pair(self._reference, target, paddle.known, {}, factors)
            mapping = self._mapping(onnx, subject, pair, paddle)
            pair = dataclasses.replace(pair, target_names=mapping.compared)
            narrow = subject.precision == FP16
            seen = measure(pair, mapping, _counted(batches, update), narrow)
            tallies = seen.tallies
            made_of = sources(mapping, tallies)
            steps = jump.steps(
                {name: tally.relative for name, tally in tallies.items()},
                {name: tally.own_relative for name, tally in tallies.items()},
                {name: inputs for name, (_, inputs) in made_of.items()},
            )[1:]  # without the network's input
            first = jump.first_jump(steps, subject.precision)
            noticed = tuple(_signs(pair, first, made_of, seen)) if first else ()
            peak = self._reference.peak_mib + target.peak_mib
        logits = _logits(subject, batches, seen)
        layers = tuple(
            _layer(step, mapping, made_of[step.tensor], tallies, subject.precision)
            for step in steps
        )
        jumps = next((one for one in layers if first and one.tensor == first.tensor), None)
        return Profile(
            **about(
                *(self._graph, subject.target, subject.precision),
                *(subject.session_spec, self._crops, len(batches)),
            ),
            files=subject.files,
            own_file=subject.own_file,
            layers=layers,
            unmapped=_unseen(mapping, layers),
            first=jumps.layer if jumps else None,
            logits=logits,
            signs=noticed,
            found=findings.found(layers, jumps, noticed, logits, subject.precision, len(batches)),
            next=findings.next_step(subject, self._graph.name, layers, jumps, logits),
            seconds=round(time.monotonic() - started, 2),
            peak_mib=peak,
        )

    def _mapping(self, onnx: Artifact, subject: Subject, pair: Pair, paddle: Mappings) -> Mappings:
        """Where the ONNX file's tensors are in the subject; kept where that is an artifact."""

        def find() -> Mappings:
            photo = self._batches[0]
            names = [one.name for one in pair.target.tensors]
            known_as = {
                one.tensor: (one.layer, one.found.name) for one in paddle.tensors if one.found
            }
            references = pair.reference_values(photo)
            others = pair.target.values(photo, names)
            near = NEAR[subject.precision]
            return map_tensors(paddle.tensors, references, others, known_as, near)

        if subject.key is None:
            return find()
        step = Step(
            name="map_tensors",
            build=self._graph.build,
            kind=f"{subject.target.name}-{KIND.name}",
            precision=subject.precision,
            inputs={"inference": self._graph.key, "onnx": onnx.key, "file": subject.key},
            parameters={"session": subject.session_spec.session},
            tools={},
            code=(map_tensors, INSIDE[subject.session_spec.session]),
        )
        return keep(step, find)


def _factors(onnx: Artifact, floats: Artifact, photo: np.ndarray) -> dict[str, float]:
    """What range fitting has divided tensors by, powers of two: found by running both files."""
    with (
        look_inside(FLOAT_ONNX, onnx.folder, "fp32") as plain,
        look_inside(FLOAT_ONNX, floats.folder, "fp32") as fitted,
    ):
        names = {one.name for one in fitted.tensors}
        before = plain.values(photo, [one.name for one in plain.tensors if one.name in names])
        after = fitted.values(photo, list(before))
    sizes = {name: (_size(after[name]), _size(value)) for name, value in before.items()}
    return {name: 2.0 ** round(math.log2(a / b)) for name, (a, b) in sizes.items() if a and b}


def _size(values: np.ndarray) -> float:
    return float(np.linalg.norm(values))


def _counted(batches: Sequence[np.ndarray], update: Progress) -> Iterator[np.ndarray]:
    for done, photo in enumerate(batches):
        update(done, len(batches))
        yield photo
    update(len(batches), len(batches))


def _signs(
    pair: Pair,
    first: jump.Part,
    made_of: Mapping[str, tuple[list[Mapped], list[str]]],
    seen: Seen,
) -> Iterator[str]:
    """What is noticed of the layer where the error jumps, in clauses; on the last photo."""
    name, (_, inputs) = first.tensor, made_of[first.tensor]
    for one in (*inputs, name):
        tally = seen.tallies[one]
        if tally.bounds and tally.clipped:
            low, high = tally.bounds
            yield (
                f"{tally.clipped:.2%} of {one}, which reaches {tally.low:.4g} … {tally.high:.4g}, "
                f"lie outside of the file's range {low:.4g} … {high:.4g}"
            )
    right = seen.reference[name]
    values = (seen.own if first.measured else seen.target)[name]
    yield from signs(pair.in_reference_order(name, values, right.shape), right)
    if not first.measured:
        return
    for entry in inputs:
        photo = seen.reference[entry]
        if made_of[entry][1] or photo.shape[1] != 3:
            continue  # not the network's input, or no colours
        swapped = {**seen.reference, entry: np.ascontiguousarray(photo[:, ::-1])}
        given = pair.own_values(swapped, seen.target)[name]
        other = pair.in_reference_order(name, given, right.shape)
        yield from swapped_colours(first.own, other, right)


def _logits(subject: Subject, batches: Sequence[np.ndarray], seen: Seen) -> Logits:
    """How far the logits are off, as the layers gave them and as the session does."""
    with open_sessions(subject.session_spec, subject.folder, subject.precision) as sessions:
        deployed = sessions(batches, lambda done, total: None, len(batches))
    inside = seen.tallies[LOGITS].relative if LOGITS in seen.tallies else math.inf
    return Logits(
        error=finite(inside),
        deployed=finite(relative_to(deployed, seen.logits)),
        flips=int((deployed.argmax(1) != seen.logits.argmax(1)).sum()),
    )


def _layer(
    step: jump.Part,
    mapping: Mappings,
    made_of: tuple[list[Mapped], list[str]],
    tallies: Mapping[str, Tally],
    precision: str,
) -> Layer:
    """A row: its name is that of the node with weights, of those that are one in the target."""
    nodes, inputs = made_of
    tally, read = tallies[step.tensor], [tallies[name] for name in inputs]
    main = next((node for node in reversed(nodes) if node.operator in LAYERS), nodes[-1])
    match = mapping.known[step.tensor]
    rounded = [one for one in (*read, tally) if one.rounds]
    int8, fp16 = precision == INT8 and bool(rounded), precision == FP16
    return Layer(
        layer=main.layer,
        operator=main.operator,
        tensor=step.tensor,
        there=match.name,
        by=match.by,
        fused=tuple(node.layer for node in nodes if node is not main),
        error=finite(step.error),
        sqnr_db=-20 * math.log10(step.error) if 0 < step.error < math.inf else None,
        own=finite(step.own) if step.measured else None,
        input=(min(one.low for one in read), max(one.high for one in read)) if read else None,
        weights=main.weights,
        clipped=max(one.clipped for one in rounded) if int8 else None,
        saturated=max(one.at_ends / one.count for one in rounded) if int8 else None,
        overflow=tally.infinite / tally.count if fp16 else None,
        underflow=tally.small / tally.count if fp16 else None,
    )


def _unseen(mapping: Mappings, layers: Sequence[Layer]) -> tuple[str, ...]:
    """The nodes that no row counts."""
    counted = {name for one in layers for name in (one.layer, *one.fused)}
    nodes = [one.layer for one in mapping.tensors if one.inputs]
    return tuple(dict.fromkeys(name for name in nodes if name not in counted))


def finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
