"""TensorRT 8.5 to 11, and TensorRT-RTX, whose Python module is the same by another name.

One path for all: tensors by name, `execute_async_v3`, flags only where the version has them.
TensorRT runs in .venv-trt (CPython 3.10), TensorRT-RTX in .venv; both where a GPU is.
"""

import importlib
import json
from pathlib import Path

import numpy as np

from common.errors import StepError

ENGINE = "model.engine"
FACTS = "engine.json"
INPUT, OUTPUT = "x", "logits"


def version(library: str) -> str:
    return importlib.import_module(library).__version__


class Session:
    """Runs `model.engine` of a folder on a GPU {"index", "name", "driver"} by the library (its
    module's name) that built it.

    A batch with a profile of its own runs in that one, any other in the last, which is for
    deployment; a larger one is taken in parts.
    """

    TRANSFERS = "timed"  # copies to the GPU and back

    def __init__(
        self, folder: str, precision: str, threads: int, gpu: dict, library: str = "tensorrt"
    ):
        from runtimes.sessions.cuda import Device

        trt = importlib.import_module(library)
        facts = json.loads(Path(folder, FACTS).read_text())
        here = validity(gpu, library)
        if facts["valid_for"] != here:
            raise StepError(
                f"{folder}/{ENGINE} was built for {facts['valid_for']}, and is not loaded by {here}"
            )
        self._profiles = [tuple(batches) for batches in facts["profiles"]]
        self._largest = max(batches[-1] for batches in self._profiles)
        self._device = Device(gpu["index"])
        self._log = log(trt)
        self._runtime = trt.Runtime(self._log)
        self._engine = self._runtime.deserialize_cuda_engine(Path(folder, ENGINE).read_bytes())
        if self._engine is None:
            raise StepError(f"{folder}/{ENGINE}: {self._log.last_error()}")
        self._context = self._engine.create_execution_context()
        self._profile: int | None = None
        self._buffers: dict = {}
        self._gpu = gpu
        self._library = library
        self._precision = precision
        self._threads = threads

    def run(self, batch: np.ndarray) -> np.ndarray:
        """Logits float32 [N, classes] of a batch float32 [N, 3, S, S]."""
        self._hold(batch)
        self._compute()
        return self._logits()

    def environment(self) -> dict:
        """What ran: `gpu` is the name that the GPU gives itself, the clocks are those now."""
        return {
            "threads": self._threads,
            "gpu": self._gpu["name"],
            "driver": self._gpu["driver"],
            "gpu_clocks_mhz": self._device.clocks_mhz(),
            "arithmetic": self._precision,
            "cuda_graph": False,
            "transfers": self.TRANSFERS,
            "versions": {self._library: version(self._library)},
        }

    def _hold(self, batch: np.ndarray) -> None:
        """Copy a batch to the GPU, in parts that the largest profile takes."""
        size = self._largest
        parts = [batch[start : start + size] for start in range(0, len(batch), size)]
        for number, part in enumerate(parts):
            address = self._buffer(INPUT, number, part[0].nbytes)
            self._device.upload(np.ascontiguousarray(part), address)
        self._sizes = [len(part) for part in parts]
        self._shape = batch.shape[1:]
        self._bound: int | None = None

    def _compute(self) -> None:
        """Begin to compute the logits of what is held."""
        for number in range(len(self._sizes)):
            if number != self._bound:
                self._bind(number)
            if not self._context.execute_async_v3(self._device.stream):
                raise StepError(f"TensorRT did not run the engine: {self._log.last_error()}")

    def _bind(self, number: int) -> None:
        """Make a part that is held the one that is computed next."""
        self._choose(self._sizes[number])
        self._context.set_input_shape(INPUT, (self._sizes[number], *self._shape))
        self._classes = tuple(self._context.get_tensor_shape(OUTPUT))[1]
        widths = {INPUT: 4 * int(np.prod(self._shape)), OUTPUT: 4 * self._classes}
        for name, width in widths.items():
            self._context.set_tensor_address(name, self._buffer(name, number, width))
        self._bound = number

    def _choose(self, batch: int) -> None:
        """Make the profile for batches of that size the active one; for all parts it is the last,
        since to change it the GPU must be waited for.
        """
        own = (batch, batch, batch)
        last = len(self._profiles) - 1
        alone = len(self._sizes) == 1 and own in self._profiles
        index = self._profiles.index(own) if alone else last
        if index != self._profile:
            self._context.set_optimization_profile_async(index, self._device.stream)
            self._device.wait()
            self._profile = index

    def _logits(self) -> np.ndarray:
        """Wait for the logits, and copy them from the GPU."""
        logits = np.empty((sum(self._sizes), self._classes), np.float32)
        start = 0
        for number, size in enumerate(self._sizes):
            part = logits[start : start + size]
            self._device.download(self._buffer(OUTPUT, number, 4 * self._classes), part)
            start += size
        return logits

    def _buffer(self, name: str, number: int, width: int) -> int:
        """The GPU's memory for a part's tensor, for the largest batch of so many bytes an image."""
        if (name, number) not in self._buffers:
            self._buffers[name, number] = self._device.allocate(width * self._largest)
        return self._buffers[name, number]


class Resident(Session):
    """A session that leaves a batch on the GPU: all further runs of it compute, and no more.

    So the time of a run is what published tables mean: the batch in the GPU's memory, its logits
    too at the end.
    """

    TRANSFERS = "not timed"

    _held = None

    def run(self, batch: np.ndarray) -> np.ndarray:
        """The batch's logits; for the batch of the run before, those of the run before."""
        if batch is not self._held:
            self._held, self._answer = batch, super().run(batch)
        else:
            self._compute()
            self._device.wait()
        return self._answer


def validity(gpu: dict, library: str) -> dict:
    """What an engine is good for: one TensorRT, one kind of GPU, one driver."""
    return {library: version(library), "gpu": gpu["name"], "driver": gpu["driver"]}


def log(trt):
    """A logger of that module's kind that keeps the errors."""

    class Log(trt.ILogger):  # type: ignore[name-defined] # of a module that is an argument
        def __init__(self):
            super().__init__()
            self._errors = []

        def log(self, severity, text):
            if severity in (self.Severity.ERROR, self.Severity.INTERNAL_ERROR):
                self._errors.append(text)

        def last_error(self) -> str:
            return self._errors[-1] if self._errors else "it gave no reason"

    return Log()
