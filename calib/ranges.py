"""One pass over the calibration photos: what is the range of every tensor?

The artifact has `ranges.json` (per tensor: extremes, mean, deviation, counts; readable) and
`histograms.npz` (the counts), from which every method finds its ranges for every target.
"""

import dataclasses
import functools
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Self

from common import console, files, machine
from common.errors import UserError, suggest
from convert.artifact import Artifact, Step, produce
from convert.kind import Kind
from convert.to_onnx import FILE
from data.crops import Crops
from data.preprocess import Preprocess
from runtimes.environments import MAIN
from runtimes.worker import Worker

if TYPE_CHECKING:
    from calib.fake_quant import Grid
    from calib.histogram import Histogram
    from calib.methods import Range

RANGES = "ranges.json"
HISTOGRAMS = "histograms.npz"
KIND = Kind("ranges", (RANGES, HISTOGRAMS), shown=RANGES)

_SAVE_EVERY = 10.0  # seconds of work that a killed run may lose
_CALL = 1.0  # seconds that one call into the child should take, for the progress bar's sake
_MOST = 128  # photos in one call


def collect(
    onnx: Artifact, crops: Crops, preprocess: Preprocess, progress: console.Progress
) -> Artifact:
    """The ranges of all tensors of a float ONNX file over these photos, from a run or an earlier.

    Raises UserError where there are no photos or they have another size than the input, where a
    tensor has values that are not finite, or no photo's logits differ from another's.
    """
    side = onnx.facts["input_shape"][-1]
    if not len(crops):
        raise UserError(f"{crops.name}: no calibration photos in this set; give at least one")
    if not crops.array.shape[1] == preprocess.crop == side:
        raise UserError(
            f"{crops.name}: calibration photos are cropped to {crops.array.shape[1]} pixels, but "
            f"{onnx.name} takes {side}; crop them as the model's preprocess says"
        )
    step = Step(
        name="collect",
        build=onnx.build,
        kind=KIND.name,
        precision="fp32",
        inputs={"onnx": onnx.key, "photos": crops.sha256},
        parameters={"preprocess": preprocess.to_json()},
        tools={name: MAIN.version(name) for name in ("onnx", "onnxruntime", "numba")},
        code=(collect,),
    )
    partial = step.folder.with_name(f".{step.precision}.partial.npz")

    def make(folder: Path) -> dict:
        label = f"collect of {onnx.name}"
        with Worker("main", label) as worker:
            worker.open(
                "calib.observer:Observer",
                label=label,
                source=str(onnx.file(FILE)),
                scratch=str(folder),
                preprocess=preprocess.to_json(),
                threads=machine.threads(),
            )
            _fold_all(worker, crops, progress, {"path": str(partial), "key": step.key})
            facts = worker.use("write", folder=str(folder))
            peak_mib = worker.peak_mib
        for name, node in facts["constant"].items():
            console.say(f"  warning: {name}, of {node}, has one value on all photos")
        photos = {"photos": len(crops), "photo_set": crops.name, "photos_sha256": crops.sha256}
        return {**onnx.inherited_facts, **photos, **facts, "peak_mib": peak_mib}

    artifact = produce(step, make, shows=KIND.shown)
    partial.unlink(missing_ok=True)
    return artifact


def _fold_all(worker: Worker, crops: Crops, progress: console.Progress, place: dict) -> None:
    """Send the photos to the child, from where a killed run got to; keep its state at `place`."""
    done = worker.use("resume", **place)
    progress(done, len(crops))
    size, saved = machine.threads(), time.monotonic()
    while done < len(crops):
        started = time.monotonic()
        part = crops.array[done : done + size]
        worker.use("fold", crops=part)
        crops.release()
        done += len(part)
        progress(done, len(crops))
        now = time.monotonic()
        size = max(machine.threads(), min(int(len(part) * _CALL / (now - started)), _MOST))
        if now - saved >= _SAVE_EVERY and done < len(crops):
            worker.use("save", **place)
            saved = time.monotonic()


@dataclasses.dataclass(frozen=True)
class Ranges:
    """The ranges in an artifact of `collect`.

    `tensors` has the observed tensors' entries of `ranges.json`, `aliases` the other tensors',
    each as the names of the observed ones that it shares its range with (see `calib.tensors`), and
    `lowerable` the fields of what `calib.lowering` finds.
    """

    tensors: Mapping[str, Mapping]
    aliases: Mapping[str, tuple[str, ...]]
    lowerable: Sequence[Mapping[str, Sequence[str]]]
    folder: Path

    @classmethod
    def load(cls, artifact: Artifact) -> Self:
        content = files.read_json(artifact.file(RANGES))
        return cls(content["tensors"], content["aliases"], content["lowerable"], artifact.folder)

    @property
    def names(self) -> list[str]:
        """Every tensor that has a range."""
        return [*self.tensors, *self.aliases]

    def histogram(self, name: str) -> "Histogram":
        """The values that decide a tensor's range. An unknown name: KeyError with suggestions."""
        from calib.histogram import Histogram

        if name in self.tensors:
            return self._histograms[name]
        if name in self.aliases:
            return Histogram.merged(self._histograms[source] for source in self.aliases[name])
        raise KeyError(f"no range of a tensor '{name}': {suggest(name, self.names)}")

    def range_of(
        self, name: str, method: str, *, symmetric: bool, levels: int | None = None
    ) -> "Range":
        """The (low, high) of a tensor by one of the `calib.methods`, zero included."""
        from calib.methods import METHODS

        return METHODS[method](self.histogram(name), symmetric, levels)

    def all_of(self, method: str, *, symmetric: bool) -> dict[str, "Range"]:
        """What `range_of` gives of every tensor, by name."""
        return {name: self.range_of(name, method, symmetric=symmetric) for name in self.names}

    def for_grid(
        self, method: str, grid: "Grid", keep_float: Sequence[str] = ()
    ) -> dict[str, "Range"]:
        """The same for a target's integers: those that it lowers (see `calib.lowering`) where these
        layers stay in float begin at zero."""
        found = self.all_of(method, symmetric=grid.symmetric)
        lowered = self.lowered(keep_float) if grid.lowest is not None else ()
        return found | {name: self.range_of(name, method, symmetric=False) for name in lowered}

    def lowered(self, keep_float: Sequence[str]) -> list[str]:
        """The tensors that are lowered where these layers stay in float."""
        return [
            name
            for group in self.lowerable
            if not set(keep_float).issuperset(group["layers"])
            for name in group["read"]
        ]

    @functools.cached_property
    def _histograms(self) -> dict[str, "Histogram"]:
        import numpy as np

        from calib.histogram import Histogram

        with np.load(self.folder / HISTOGRAMS) as arrays:
            rows = zip(self.tensors, arrays["counts"], arrays["states"], strict=True)
            return {name: Histogram(counts, state) for name, counts, state in rows}
