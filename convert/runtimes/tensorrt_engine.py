"""TensorRT 8.5 to 11, and TensorRT-RTX, whose Python module is the same by another name.

One path for all: tensors by name, `execute_async_v3`, flags only where the version has them. Runs
in .venv-trt (CPython 3.10), where the GPU is; TensorRT-RTX in .venv, and builds without one.
"""

import importlib
import json
from pathlib import Path

import numpy as np

from common.errors import StepError

ENGINE = "model.engine"
FACTS = "engine.json"
INPUT, OUTPUT = "x", "logits"

_WORKSPACE = 4 << 30  # bytes that a kernel may ask for while it runs; a T4 has 16 GiB


def is_strongly_typed(library: str) -> bool:
    """Whether precision is a property of the ONNX file there, since no flag for it exists."""
    return not hasattr(importlib.import_module(library).BuilderFlag, "FP16")


def version(library: str) -> str:
    return importlib.import_module(library).__version__


class Network:
    """An ONNX file as TensorRT's parser reads it. StepError names the nodes that it refuses."""

    def __init__(self, source: str, library: str):
        self._trt = trt = importlib.import_module(library)
        self._log = _log(trt)
        self._builder = trt.Builder(self._log)
        self._network = self._builder.create_network(_network_flags(trt))
        self._parser = parser = trt.OnnxParser(self._network, self._log)  # it owns weights
        if not parser.parse(Path(source).read_bytes()):
            errors = [parser.get_error(index) for index in range(parser.num_errors)]
            raise StepError(
                f"{library} {trt.__version__} does not parse {'; '.join(map(_sentence, errors))}"
            )

    def build(self, output, precision, profiles, cache=None, architecture=None) -> dict:
        """Write the engine; facts about it. StepError quotes why it cannot be built.

        `profiles` are batches (smallest, best, largest), `cache` is the path of a timing cache,
        read and renewed. `architecture` ("SM75") asks TensorRT-RTX for a GPU that is not here.
        """
        trt = self._trt
        config = self._builder.create_builder_config()
        config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, _WORKSPACE)
        config.clear_flag(trt.BuilderFlag.TF32)  # ten bits of mantissa are not fp32
        if precision != "fp32" and not is_strongly_typed(trt.__name__):
            config.set_flag(getattr(trt.BuilderFlag, precision.upper()))
        if architecture:
            config.num_compute_capabilities = 1
            config.set_compute_capability(getattr(trt.ComputeCapability, architecture), 0)
        shape = tuple(self._network.get_input(0).shape)[1:]
        for batches in profiles:
            profile = self._builder.create_optimization_profile()
            profile.set_shape(INPUT, *((batch, *shape) for batch in batches))
            config.add_optimization_profile(profile)
        if cache:
            _use_cache(config, Path(cache))
        engine = self._builder.build_serialized_network(self._network, config)
        if engine is None:
            raise StepError(f"{trt.__name__} {trt.__version__}: {self._log.last_error()}")
        Path(output).write_bytes(engine)
        if cache:
            _replace(Path(cache), bytes(config.get_timing_cache().serialize()))
        return {"engine_bytes": engine.nbytes, "layers": self._network.num_layers}


def build_here(source, output, precision, profiles, cache, gpu) -> dict:
    """Build `source` for the GPU at hand, and put beside the engine what it is valid for."""
    from convert.runtimes.cuda import Device

    Device(gpu["index"])
    network = Network(source, "tensorrt")
    facts = network.build(output, precision, profiles, cache)
    Path(output).with_name(FACTS).write_text(
        json.dumps({"valid_for": _validity(gpu), "profiles": profiles})
    )
    return facts


class Session:
    """Runs `model.engine` of a folder on a GPU {"index", "name", "driver"}.

    A batch with a profile of its own runs in that one, any other in the last, which is for
    deployment; a larger one is taken in parts.
    """

    TRANSFERS = "timed"  # copies to the GPU and back

    def __init__(self, folder: str, precision: str, threads: int, gpu: dict):
        import tensorrt as trt

        from convert.runtimes.cuda import Device

        facts = json.loads(Path(folder, FACTS).read_text())
        if facts["valid_for"] != _validity(gpu):
            raise StepError(
                f"{folder}/{ENGINE} was built for {facts['valid_for']}, and is not loaded by "
                f"{_validity(gpu)}"
            )
        self._profiles = [tuple(batches) for batches in facts["profiles"]]
        self._largest = max(batches[-1] for batches in self._profiles)
        self._device = Device(gpu["index"])
        self._log = _log(trt)
        self._runtime = trt.Runtime(self._log)
        self._engine = self._runtime.deserialize_cuda_engine(Path(folder, ENGINE).read_bytes())
        if self._engine is None:
            raise StepError(f"{folder}/{ENGINE}: {self._log.last_error()}")
        self._context = self._engine.create_execution_context()
        self._profile = None
        self._buffers = {}
        self._gpu = gpu
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
            "versions": {"tensorrt": version("tensorrt")},
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
        self._bound = None

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


def _validity(gpu: dict) -> dict:
    """What an engine is good for: one TensorRT, one kind of GPU, one driver."""
    return {"tensorrt": version("tensorrt"), "gpu": gpu["name"], "driver": gpu["driver"]}


def _network_flags(trt) -> int:
    """A batch of its own is a flag before 10, and the only way after; types are one from 11 on."""
    kinds = trt.NetworkDefinitionCreationFlag
    if int(trt.__version__.split(".")[0]) < 10 and hasattr(kinds, "EXPLICIT_BATCH"):
        return 1 << int(kinds.EXPLICIT_BATCH)
    if is_strongly_typed(trt.__name__):
        return 1 << int(kinds.STRONGLY_TYPED)
    return 0


def _log(trt):
    """A logger of that module's kind that keeps the errors."""

    class Log(trt.ILogger):
        def __init__(self):
            super().__init__()
            self._errors = []

        def log(self, severity, text):
            if severity in (self.Severity.ERROR, self.Severity.INTERNAL_ERROR):
                self._errors.append(text)

        def last_error(self) -> str:
            return self._errors[-1] if self._errors else "it gave no reason"

    return Log()


def _sentence(error) -> str:
    """A parser's error as words: which node, and why. Before 10 it knows the node's number only."""
    if hasattr(error, "node_name"):
        return f"{error.node_operator()} (node '{error.node_name()}'): {error.desc()}"
    return f"node number {error.node()}: {error.desc()}"


def _use_cache(config, path: Path) -> None:
    """Begin with the kernels' timings that earlier builds took, if this TensorRT takes them."""
    known = config.create_timing_cache(path.read_bytes() if path.exists() else b"")
    if known is None or not config.set_timing_cache(known, False):
        config.set_timing_cache(config.create_timing_cache(b""), False)


def _replace(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.new")
    fresh.write_bytes(content)
    fresh.replace(path)
