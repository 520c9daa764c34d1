"""Which tensor of another representation is which of the reference's: one artifact for each.

The reference is Paddle's graph. A user knows its layers by the toolkit's ONNX file, whose names
KEEP_FLOAT takes, so that these are the names here: of tensors, and of the nodes that make them. A
tensor is found by running both on a few photos (`deploy.layers.matching`); what is in no
other representation, as what a runtime fuses, is counted and named.
"""

from collections.abc import Callable, Sequence
from collections.abc import Mapping as Map
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from common import files
from convert.artifact import Artifact, Step, produce
from convert.kind import Kind
from convert.to_onnx import SESSION as ONNX
from deploy.layers.inside import look_inside
from deploy.layers.matching import EXACT, Match, match
from deploy.targets.paddle import REFERENCE
from runtimes.session_pool import NATIVE, SessionSpec

FILE = "mapping.json"
KIND = Kind("mapping", (FILE,), shown=FILE)
_MOVES = ("Reshape", "Transpose", "Flatten", "Squeeze", "Unsqueeze", "Identity")
FLOAT_ONNX = SessionSpec(NATIVE, ONNX)


@dataclass(frozen=True)
class Mapped:
    """A tensor of the reference's in another representation.

    `tensor` is its name in the toolkit's ONNX file, `layer` and `operator` the node that makes it
    there, `inputs` the tensors of the ONNX file which that reads, `weights` the least and the
    largest of its weights. `found` is where it is in the other representation, None where it is
    not.
    """

    tensor: str
    layer: str
    operator: str
    inputs: tuple[str, ...]
    weights: tuple[float, float] | None = None
    found: Match | None = None


@dataclass(frozen=True)
class Mapping:
    """The reference's tensors in order of execution, and where each is in a representation."""

    tensors: tuple[Mapped, ...]

    @property
    def known(self) -> dict[str, Match]:
        """Those that were found, by their name in the ONNX file."""
        return {one.tensor: one.found for one in self.tensors if one.found}

    @property
    def compared(self) -> dict[str, Match]:
        """Those of them that are worth a look. What only a Relu reads is cut off at zero in the
        same kernel, so that what lies below may be anything; and what only moves values errs as
        what it moves, or shows in what reads it."""
        known = self.known
        makers = {one.tensor: one.operator for one in self.tensors}
        readers: dict[str, list[Mapped]] = {}
        for one in self.tensors:
            for name in one.inputs:
                readers.setdefault(name, []).append(one)
        return {
            name: found
            for name, found in known.items()
            if (makers[name] not in _MOVES or not readers.get(name))
            and [(one.operator, one.tensor in known) for one in readers.get(name, ())]
            != [("Relu", True)]
        }

    @property
    def unmapped(self) -> tuple[str, ...]:
        """Those that were not, by the name of the layer that makes them."""
        return tuple(one.layer for one in self.tensors if not one.found)


def map_tensors(
    tensors: Sequence[Mapped],
    references: Map[str, np.ndarray],
    others: Map[str, np.ndarray],
    known_as: Map[str, Sequence[str]],
    near: float,
) -> Mapping:
    """The mapping of the ONNX file's tensors, by the values that they and others have on photos.

    `known_as` says by which other names than its own a tensor may be known there. Values are the
    same below the relative error `near`. The ends are each other's, whatever their names.
    """
    names = {one.tensor: (one.tensor, *known_as.get(one.tensor, ())) for one in tensors}
    for end, there in zip((tensors[0], tensors[-1]), _ends(others), strict=True):
        names[end.tensor] += (there,)
    found = match(references, others, names, near)
    return Mapping(tuple(replace(one, found=found.get(one.tensor)) for one in tensors))


def _ends(tensors: Map[str, np.ndarray]) -> tuple[str, str]:
    first, *_, last = tensors
    return first, last


def map_reference(inference: Artifact, onnx: Artifact, photo: np.ndarray) -> Mapping:
    """The ONNX file's tensors in the inference graph that it was made of, kept as an artifact.

    `photo` is the network's input, float32 [1, 3, S, S]. Which photo it is does not matter.
    """

    def find() -> Mapping:
        with look_inside(FLOAT_ONNX, onnx.folder, "fp32") as ours:
            references = ours.values(photo, [one.name for one in ours.tensors])
            tensors = [
                Mapped(one.name, one.layer, one.operator, one.inputs, one.weights)
                for one in ours.tensors
            ]
        with look_inside(REFERENCE, inference.folder, "fp32") as paddle:
            others = paddle.values(photo, [one.name for one in paddle.tensors])
        return map_tensors(tensors, references, others, {}, EXACT)

    step = Step(
        name="map_tensors",
        build=onnx.build,
        kind=KIND.name,
        precision=onnx.manifest["precision"],
        inputs={"inference": inference.key, "onnx": onnx.key},
        parameters={},
        tools={},
        code=(map_reference,),
    )
    return keep(step, find)


def keep(step: Step, find: Callable[[], Mapping]) -> Mapping:
    """The mapping that a step finds, as its artifact's `mapping.json`, or that it found before."""

    def make(folder: Path) -> dict:
        mapping = find()
        files.write_json(folder / FILE, [asdict(one) for one in mapping.tensors])
        return {
            "tensors": len(mapping.tensors),
            "mapped": len(mapping.known),
            "unmapped": list(mapping.unmapped),
        }

    return _read(produce(step, make, shows=KIND.shown))


def _read(artifact: Artifact) -> Mapping:
    return Mapping(tuple(_mapped(**row) for row in files.read_json(artifact.file(FILE))))


def _mapped(inputs: list, weights: list | None, found: dict | None, **row: str) -> Mapped:
    """A row of `mapping.json`, in which tuples are lists."""
    there = Match(found["name"], found["by"], _tuple(found["axes"])) if found else None
    return Mapped(**row, inputs=tuple(inputs), weights=_tuple(weights), found=there)


def _tuple(values: list | None) -> tuple | None:
    return None if values is None else tuple(values)
