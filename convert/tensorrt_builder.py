"""ONNX to engine with TensorRT 8.5 to 11, and TensorRT-RTX, whose module differs by its name only.

Flags are used only where the version has them. TensorRT runs in .venv-trt (CPython 3.10), where a
GPU is; TensorRT-RTX in .venv, and builds without one.
"""

import importlib
import json
from pathlib import Path

from common.errors import StepError
from runtimes.sessions.tensorrt_engine import FACTS, INPUT, log, validity

_WORKSPACE = 4 << 30  # bytes that a kernel may ask for while it runs; a T4 has 16 GiB


def is_strongly_typed(library: str) -> bool:
    """Whether precision is a property of the ONNX file there, since no flag for it exists."""
    return not hasattr(importlib.import_module(library).BuilderFlag, "FP16")


class Network:
    """An ONNX file as TensorRT's parser reads it. StepError names the nodes that it refuses."""

    def __init__(self, source: str, library: str):
        self.library = trt = importlib.import_module(library)
        self._log = log(trt)
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
        read and renewed. `architecture` ("sm_75") tells TensorRT-RTX, which would build for many
        GPUs, the only one.
        """
        trt = self.library
        config = self._builder.create_builder_config()
        config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, _WORKSPACE)
        config.clear_flag(trt.BuilderFlag.TF32)  # ten bits of mantissa are not fp32
        if precision != "fp32" and not is_strongly_typed(trt.__name__):
            config.set_flag(getattr(trt.BuilderFlag, precision.upper()))
        if architecture:
            config.num_compute_capabilities = 1
            config.set_compute_capability(getattr(trt.ComputeCapability, _member(architecture)), 0)
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


def build_here(source, output, precision, profiles, cache, gpu, library) -> dict:
    """Build `source` for the GPU at hand, and put beside the engine what it is valid for."""
    from runtimes.sessions.cuda import Device

    Device(gpu["index"])
    network = Network(source, library)
    architecture = gpu["architecture"] if hasattr(network.library, "ComputeCapability") else None
    facts = network.build(output, precision, profiles, cache, architecture)
    Path(output).with_name(FACTS).write_text(
        json.dumps({"valid_for": validity(gpu, library), "profiles": profiles})
    )
    return facts


def _member(architecture: str) -> str:
    """ "sm_75" as TensorRT-RTX names it."""
    return architecture.replace("sm_", "SM")


def _network_flags(trt) -> int:
    """A batch of its own is a flag before 10, and the only way after; types are one from 11 on."""
    kinds = trt.NetworkDefinitionCreationFlag
    if int(trt.__version__.split(".")[0]) < 10 and hasattr(kinds, "EXPLICIT_BATCH"):
        return 1 << int(kinds.EXPLICIT_BATCH)
    if is_strongly_typed(trt.__name__):
        return 1 << int(kinds.STRONGLY_TYPED)
    return 0


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
