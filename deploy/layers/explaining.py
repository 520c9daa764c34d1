"""From a build's file, or one of the user's, to its profile."""

import dataclasses
import math
import time
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from calib.fake_quant import LAYERS
from common.console import Progress, progress
from common.version import VERSION
from convert.artifact import Artifact, Step
from convert.to_onnx import to_onnx
from data.crops import Crops
from deploy.layers import findings, jump
from deploy.layers.inside import look_inside
from deploy.layers.mapping import FLOAT_ONNX, KIND, Mapped, keep, map_reference, map_tensors
from deploy.layers.mapping import Mapping as Mappings
from deploy.layers.measuring import Pair, Tally, measure, relative_to, sources
from deploy.layers.profile import SCHEMA, Layer, Logits, Profile
from deploy.layers.subject import Subject
from deploy.request.values import FP16, INT8
from deploy.targets.base import Options
from deploy.targets.paddle import REFERENCE
from deploy.verdict.result import Data, Host
from runtimes.session_pool import open_sessions

LOGITS = "logits"


def explain(
    graph: Artifact, subject: Subject, options: Options, crops: Crops, rows: Sequence[int]
) -> Profile:
    """The profile of a subject, which was built with these options, on some rows of the photos."""
    started = time.monotonic()
    batches = list(crops.batches(1, graph.preprocess, rows))
    title = f"{graph.name} on {subject.target.name} {subject.precision}"
    onnx = to_onnx(graph, options.opset)
    paddle = map_reference(graph, onnx, batches[0])
    floats = subject.target.float_onnx(graph, subject.precision, options)
    factors = _factors(onnx, floats, batches[0]) if floats.key != onnx.key else {}
    with (
        look_inside(REFERENCE, graph.folder, "fp32") as reference,
        look_inside(subject.session_spec, subject.folder, subject.precision) as target,
        progress(f"looking into {title}", "photos") as update,
    ):
        pair = Pair(reference, target, paddle.known, {}, factors)
        mapping = _mapping(graph, onnx, subject, pair, paddle, batches[0])
        pair = dataclasses.replace(pair, target_names=mapping.compared)
        tallies = measure(pair, mapping, _counted(batches, update))
        made_of = sources(mapping, tallies)
        steps = jump.steps(
            {name: tally.relative for name, tally in tallies.items()},
            {name: tally.own_relative for name, tally in tallies.items()},
            {name: inputs for name, (_, inputs) in made_of.items()},
        )[1:]  # without the network's input
        first = jump.first_jump(steps, subject.precision)
        peak = reference.peak_mib + target.peak_mib
        wanted = [pair.reference_values(photo)[LOGITS] for photo in batches]
    logits = _logits(subject, batches, np.concatenate(wanted), tallies)
    layers = tuple(
        _layer(step, mapping, made_of[step.tensor], tallies, subject.precision) for step in steps
    )
    jumps = next((one for one in layers if first and one.tensor == first.tensor), None)
    return Profile(
        schema=SCHEMA,
        toolkit=VERSION,
        model=graph.model,
        name=graph.name,
        target=subject.target.name,
        precision=subject.precision,
        weights=graph.facts["weights"],
        host=Host(name=subject.session_spec.host.name, isa=tuple(subject.session_spec.host.isa)),
        execution=subject.session_spec.execution,
        files=subject.files,
        own_file=subject.own_file,
        data=Data(
            name=crops.name, images=len(rows), skipped=len(crops.skipped), sha256=crops.sha256
        ),
        layers=layers,
        unmapped=_unseen(mapping, layers),
        first=jumps.layer if jumps else None,
        logits=logits,
        found=findings.found(layers, jumps, logits),
        next=findings.next_step(subject, graph.name, layers, jumps),
        seconds=round(time.monotonic() - started, 2),
        peak_mib=peak,
    )


def _factors(onnx: Artifact, floats: Artifact, photo: np.ndarray) -> dict[str, float]:
    """What range fitting has divided tensors by, powers of two: found by running both files."""
    with (
        look_inside(FLOAT_ONNX, onnx.folder, "fp32") as plain,
        look_inside(FLOAT_ONNX, floats.folder, "fp32") as fitted,
    ):
        names = [one.name for one in fitted.tensors]
        before = plain.values(photo, [one.name for one in plain.tensors if one.name in names])
        after = fitted.values(photo, list(before))
    sizes = {name: (_size(after[name]), _size(value)) for name, value in before.items()}
    return {name: 2.0 ** round(math.log2(a / b)) for name, (a, b) in sizes.items() if a and b}


def _size(values: np.ndarray) -> float:
    return float(np.linalg.norm(values))


def _mapping(
    graph: Artifact,
    onnx: Artifact,
    subject: Subject,
    pair: Pair,
    paddle: Mappings,
    photo: np.ndarray,
) -> Mappings:
    """Where the ONNX file's tensors are in the subject; kept where that is an artifact."""

    def find() -> Mappings:
        references = pair.reference_values(photo)
        there = pair.target.tensors
        others = pair.target.values(photo, [one.name for one in there])
        known_as = {name: (one.name,) for name, one in paddle.known.items()}
        return map_tensors(paddle.tensors, references, others, known_as)

    if subject.key is None:
        return find()
    step = Step(
        name="map_tensors",
        build=graph.build,
        kind=f"{subject.target.name}-{KIND.name}",
        precision=subject.precision,
        inputs={"inference": graph.key, "onnx": onnx.key, "file": subject.key},
        parameters={"session": subject.session_spec.session},
        tools={},
        code=(explain,),
    )
    return keep(step, find)


def _counted(batches: Sequence[np.ndarray], update: Progress) -> Iterator[np.ndarray]:
    for done, photo in enumerate(batches):
        update(done, len(batches))
        yield photo
    update(len(batches), len(batches))


def _logits(
    subject: Subject,
    batches: Sequence[np.ndarray],
    reference: np.ndarray,
    tallies: Mapping[str, Tally],
) -> Logits:
    """How far the logits are off, as the layers gave them and as the session does."""
    with open_sessions(subject.session_spec, subject.folder, subject.precision) as sessions:
        deployed = sessions(batches, lambda done, total: None, len(batches))
    inside = tallies[LOGITS].relative if LOGITS in tallies else math.inf
    return Logits(
        error=finite(inside),
        deployed=finite(relative_to(deployed, reference)),
        flips=int((deployed.argmax(1) != reference.argmax(1)).sum()),
    )


def _layer(
    step: jump.Step,
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
        clipped=max(one.outside / one.count for one in rounded) if int8 else None,
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
