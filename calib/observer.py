"""In a child process: run a float ONNX file photo by photo, and count the values of its tensors.

One ONNX Runtime session serves all threads, each of which takes a photo through the network and
through the histograms before it takes the next: no core waits for another, and the memory is
that of the network, one photo's tensors per thread, and the counts, however many photos come.
"""

import concurrent.futures
import ctypes
import hashlib
import math
import queue
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import numpy as np
import onnx
import onnxruntime

from calib import tensors
from calib.histogram import BINS, STATE, Histogram
from calib.lowering import lowerable
from calib.ranges import HISTOGRAMS, RANGES
from common import files
from common.errors import UserError
from data.preprocess import Preprocess
from runtimes.one_thread import one_thread_session


class Observer:
    """The tensors of one ONNX file. `label` says in errors what this is about."""

    def __init__(self, label: str, source: str, scratch: str, preprocess: dict, threads: int):
        self._label = label
        self._preprocess = Preprocess.from_json(preprocess)
        model = onnx.load(source)
        self._names = tensors.observed(model)
        self._aliases = tensors.aliases(model)
        self._producers = tensors.producers(model)
        self._lowerable = [asdict(group) for group in lowerable(model)]
        self._input, self._logits = model.graph.input[0].name, model.graph.output[0].name
        del model  # as large as the session that comes now
        self._outputs = [name for name in self._names if name != self._input]
        added = [name for name in self._outputs if name != self._logits]
        self._session = open_with_outputs(source, added, Path(scratch))
        self._photos = 0
        self._tallies = [_Tally(len(self._names)) for _ in range(threads)]
        self._free: queue.SimpleQueue[_Tally] = queue.SimpleQueue()
        for tally in self._tallies:
            self._free.put(tally)
        self._pool = concurrent.futures.ThreadPoolExecutor(threads)

    def fold(self, crops: np.ndarray) -> None:
        """Take in crops, uint8 [n, S, S, 3]. Raises UserError for values that are not finite."""
        numbers = range(self._photos + 1, self._photos + len(crops) + 1)
        list(self._pool.map(self._fold_one, crops, numbers))
        self._photos += len(crops)

    def _fold_one(self, crop: np.ndarray, number: int) -> None:
        tally = self._free.get()
        try:
            batch = self._preprocess.normalize(crop[None])
            binding = self._session.io_binding()
            binding.bind_cpu_input(self._input, batch)
            for name in self._outputs:
                binding.bind_output(name, "cpu")
            self._session.run_with_iobinding(binding)
            results = dict(zip(self._outputs, binding.get_outputs(), strict=True))
            for name, histogram in zip(self._names, tally.histograms, strict=True):
                histogram.update(batch if name == self._input else _view(results[name]))
                if histogram.non_finite:
                    raise UserError(
                        f"{self._label}: {self._producers.get(name, name)} gives "
                        f"{histogram.non_finite} values that are infinite or not a number on photo "
                        f"{number}; see whether the weights are whole"
                    )
            tally.see_logits(_view(results[self._logits]))
        finally:
            self._free.put(tally)

    def save(self, path: str, key: str) -> None:
        """Keep everything so far, so that a later run may go on from here."""
        total = _Tally.merged(self._tallies)
        kept = {"key": np.array(key), "photos": np.array(self._photos), **total.arrays()}
        with files.atomic(Path(path), "wb") as stream:
            np.savez(stream, digest=np.array(_digest(kept)), **kept)  # type: ignore[arg-type] # none is called allow_pickle

    def resume(self, path: str, key: str) -> int:
        """Go on from what `save` kept under this key; returns how many photos that were."""
        try:
            with np.load(path) as archive:
                kept = dict(archive)
            if str(kept.pop("digest")) == _digest(kept) and str(kept["key"]) == key:
                tally = _Tally.of(kept, len(self._names))
                if kept["photos"] > 0:
                    self._tallies.append(tally)  # in the place of none: threads hold those
                    self._photos = int(kept["photos"])
        except Exception:  # noqa: BLE001 - what damaged archives raise is nearly anything
            return 0
        return self._photos

    def write(self, folder: str) -> dict:
        """Write the two files into a folder; returns facts about them."""
        total = _Tally.merged(self._tallies)
        seen = dict(zip(self._names, total.histograms, strict=True))
        logits = seen[self._logits]
        if logits.minimum == logits.maximum or (self._photos > 1 and total.logits_stand_still):
            raise UserError(
                f"{self._label}: the {self._photos} photos all give the same logits, so their "
                "ranges say nothing; see whether the weights are whole and the photos differ"
            )
        files.write_json(
            Path(folder) / RANGES,
            {
                "schema": 1,
                "photos": self._photos,
                "tensors": {name: _readable(histogram) for name, histogram in seen.items()},
                "aliases": self._aliases,
                "lowerable": self._lowerable,
            },
        )
        counts, states = total.arrays()["counts"], total.arrays()["states"]
        np.savez_compressed(Path(folder) / HISTOGRAMS, counts=counts, states=states)
        constant = [name for name, item in seen.items() if item.minimum == item.maximum]
        return {
            "tensors": len(seen),
            "constant": {name: self._producers.get(name, name) for name in constant},
        }


def _digest(arrays: Mapping[str, np.ndarray]) -> str:
    """The SHA-256 of arrays and their names: an archive's own check sums are those of its parts."""
    found = hashlib.sha256()
    for name, array in sorted(arrays.items()):
        found.update(f"{name} {array.dtype} {array.shape} ".encode())
        found.update(np.ascontiguousarray(array).data)
    return found.hexdigest()


class _Tally:
    """What one thread has counted: a histogram per tensor, and the bounds of each logit."""

    def __init__(self, size: int):
        self.histograms = [Histogram() for _ in range(size)]
        self.lowest, self.highest = np.array(math.inf, "f4"), np.array(-math.inf, "f4")

    @classmethod
    def merged(cls, tallies: list["_Tally"]) -> "_Tally":
        total = cls(0)
        parts = zip(*(tally.histograms for tally in tallies), strict=True)
        total.histograms = [Histogram.merged(part) for part in parts]
        for tally in tallies:
            total._widen(tally.lowest, tally.highest)
        return total

    def see_logits(self, logits: np.ndarray) -> None:
        """Take in a photo's logits, float32 [classes]."""
        self._widen(logits.copy(), logits.copy())

    def _widen(self, lowest: np.ndarray, highest: np.ndarray) -> None:
        self.lowest = np.minimum(self.lowest, lowest)
        self.highest = np.maximum(self.highest, highest)

    @property
    def logits_stand_still(self) -> bool:
        """Whether each class has had the same logit on every photo."""
        return bool((self.lowest == self.highest).all())

    def arrays(self) -> dict[str, np.ndarray]:
        return {
            "counts": np.array([item.counts for item in self.histograms]).reshape(-1, BINS),
            "states": np.array([item.state for item in self.histograms]).reshape(-1, STATE),
            "lowest": self.lowest,
            "highest": self.highest,
        }

    @classmethod
    def of(cls, arrays: Mapping[str, np.ndarray], size: int) -> "_Tally":
        """The reverse of `arrays`; ValueError where they are not those of so many tensors."""
        counts, states = arrays["counts"], arrays["states"]
        lowest, highest = arrays["lowest"], arrays["highest"]
        empty = Histogram()
        kinds = [(one.dtype, one.shape) for one in (counts, states, lowest, highest)]
        logits = lowest.shape if lowest.ndim == 1 else ()
        if kinds != [
            (empty.counts.dtype, (size, BINS)),
            (empty.state.dtype, (size, STATE)),
            *[(np.dtype("f4"), logits)] * 2,
        ]:
            raise ValueError(f"not the tallies of {size} tensors: {kinds}")
        found = cls(0)
        rows = zip(counts, states, strict=True)
        found.histograms = [Histogram(*(one.copy() for one in row)) for row in rows]
        found.lowest, found.highest = lowest, highest
        return found


def open_with_outputs(source: str, added: list[str], scratch: Path) -> onnxruntime.InferenceSession:
    """A session of the file with these tensors as outputs too; a thread runs on its own core.

    Serialised messages that follow each other are one message, lists appended: so outputs are
    added without taking hundreds of megabytes of weights apart and together again.
    """
    more = onnx.ModelProto()
    more.graph.output.extend(
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in added
    )
    path = scratch / "observed.onnx"
    try:
        with Path(source).open("rb") as original, path.open("wb") as stream:
            while chunk := original.read(1 << 22):
                stream.write(chunk)
            stream.write(more.SerializeToString())
        return one_thread_session(path)
    finally:
        path.unlink(missing_ok=True)


def _view(value: onnxruntime.OrtValue) -> np.ndarray:
    """The floats of a result, float32 [n], where they lie; valid as long as the result."""
    count = math.prod(value.shape())
    return np.ctypeslib.as_array((ctypes.c_float * count).from_address(value.data_ptr()))


def _readable(histogram: Histogram) -> dict:
    """A tensor's entry in `ranges.json`. Means are rounded: their last digits depend on order."""
    return {
        "min": histogram.minimum,
        "max": histogram.maximum,
        "mean": float(f"{histogram.mean:.6g}"),
        "std": float(f"{histogram.std:.6g}"),
        "count": histogram.count,
        "zeros": histogram.zeros,
        "non_finite": histogram.non_finite,
    }
