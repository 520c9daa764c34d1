"""Which runtimes let one look inside, and opening them."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from convert.export import SESSION as PADDLE
from convert.simulate import ARM_SESSION as ARM_FP16
from convert.to_mnn import SESSION as MNN
from convert.to_ncnn import SESSION as NCNN
from convert.to_onnx import SESSION as ONNX
from convert.to_opencv import SESSION as OPENCV
from convert.to_openvino import SESSION as OPENVINO
from runtimes.inside.base import Tensor, as_in_float
from runtimes.session_pool import SessionSpec
from runtimes.worker import Worker

# The class that looks inside, by the session that runs the same files.
INSIDE = {
    ARM_FP16: ARM_FP16,
    MNN: "runtimes.inside.mnn_cpu:Inside",
    NCNN: "runtimes.inside.ncnn_cpu:Inside",
    ONNX: "runtimes.inside.onnx_runtime:Inside",
    OPENCV: "runtimes.inside.opencv_dnn:Inside",
    OPENVINO: "runtimes.inside.openvino_cpu:Inside",
    PADDLE: "runtimes.inside.paddle_program:Inside",
}

# Those that show wrong things, and why.
BLIND = {
    (MNN, "int8"): "in INT8 MNN reads memory that is not its own where a part of its graph begins "
    "or ends between two layers"
}


class Looked:
    """A file that is opened to be looked into (see `runtimes.inside.base`), in a child process.

    `tensors`, and all names and values, are as in the float network: what the file has lowered (see
    `calib.lowering`) is shown as what it stands for. `in_file` are the tensors as they are there.
    """

    def __init__(self, worker: Worker):
        self._worker = worker
        self.in_file: list[Tensor] = worker.use("tensors")
        self.tensors, self._lowered = as_in_float(self.in_file)
        known = {there: (name, amount) for name, (there, amount) in self._lowered.items()}
        self.ranges: dict[str, tuple[float, float]] = {}
        for there, (low, high) in worker.use("ranges").items():
            name, amount = known.get(there, (there, 0.0))
            self.ranges[name] = low + amount, high + amount

    def values(self, batch: np.ndarray, names: list[str]) -> dict[str, np.ndarray]:
        """Tensors' values for the network's input float32 [1, 3, S, S]; float32, any shape."""
        found = self._worker.use("values", batch=batch, names=[self._there(one) for one in names])
        return self._raised(found, names)

    def own(self, given: dict[str, np.ndarray], names: list[str]) -> dict[str, np.ndarray]:
        """What these tensors become where all the given ones have the given values."""
        amounts = {name: amount for name, (_, amount) in self._lowered.items()}
        found = self._worker.use(
            "own",
            given={
                self._there(name): value - np.float32(amounts[name]) if name in amounts else value
                for name, value in given.items()
            },
            names=[self._there(one) for one in names],
        )
        return self._raised(found, names)

    def _there(self, name: str) -> str:
        return self._lowered[name][0] if name in self._lowered else name

    def _raised(self, found: dict[str, np.ndarray], names: list[str]) -> dict[str, np.ndarray]:
        """Values by the float network's names: what a Relu would have cut off is cut off."""
        values = {name: found[self._there(name)] for name in names if self._there(name) in found}
        for name in values.keys() & self._lowered.keys():
            values[name] = np.maximum(values[name] + np.float32(self._lowered[name][1]), 0)
        return values

    @property
    def peak_mib(self) -> int:
        return self._worker.peak_mib


@contextlib.contextmanager
def look_inside(session_spec: SessionSpec, folder: Path, precision: str) -> Iterator[Looked]:
    """Open a folder's file, which is in a form that `INSIDE` has, in the place of its session."""
    host = session_spec.host
    with Worker(session_spec.environment, f"looking inside of {folder}", host=host) as worker:
        worker.open(
            INSIDE[session_spec.session],
            folder=host.bring(folder),
            precision=precision,
            threads=host.cores,
            **session_spec.options,
        )
        yield Looked(worker)
