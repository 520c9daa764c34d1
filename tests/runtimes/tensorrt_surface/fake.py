"""A stand-in for a TensorRT version: its recorded surface, and nothing beyond it.

A class, member, parameter or flag that the version lacks raises, as it would there. What is there
works on the CPU: the "engine" is the ONNX file with the settings it was built with, and runs in
ONNX Runtime, in memory that the stand-in for the driver (`driver.c`) lends.
"""

import ctypes
import enum
import json
import math
import pickle
import types
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
RTX = "rtx-1.7.1.116"
VERSIONS = sorted({path.stem for path in HERE.glob("*.json")} - {RTX})


def module(version: str) -> types.ModuleType:
    """The module `tensorrt`, or `tensorrt_rtx`, of a recorded version."""
    surface = json.loads((HERE / f"{version}.json").read_text())
    made = types.ModuleType("tensorrt_rtx" if version == RTX else "tensorrt")
    made.__version__ = surface["version"]
    enums = {path: enum.IntEnum(path, values) for path, values in surface["enums"].items()}
    for path, values in enums.items():
        setattr(made, path, values)
    for name, members in surface["classes"].items():
        setattr(made, name, _limited(name, members, made))
    made.ILogger.Severity = enums["ILogger.Severity"]
    return made


def _limited(name: str, members: dict, made: types.ModuleType) -> type:
    """The class of that name, which does what is below as far as the version has it."""
    behaviour = globals().get(f"_{name}", object)

    def refuse_to_read(self, member):
        raise AttributeError(f"TensorRT {made.__version__} has no {name}.{member}")

    def refuse_to_write(self, member, value):
        # A subclass in Python may have attributes of its own.
        if type(self) is kind and member != "facts" and members.get(member) != "writable":
            raise AttributeError(f"in TensorRT {made.__version__} {name}.{member} cannot be set")
        object.__setattr__(self, member, value)

    contents = {
        member: _method(f"{name}.{member}", signatures, getattr(behaviour, member, None))
        for member, signatures in members.items()
        if isinstance(signatures, list) and signatures
    }
    contents |= {
        member: getattr(behaviour, member)
        for member, kind in members.items()
        if isinstance(kind, str) and hasattr(behaviour, member)
    }
    contents |= {
        "trt": made,
        "__getattr__": refuse_to_read,
        "__setattr__": refuse_to_write,
    }
    kind = type(name, (bytes,) if name == "IHostMemory" else (), contents)
    return kind


def _method(label: str, signatures: list, act):
    def method(self, *arguments, **named):
        if not any(_fits(parameters, arguments, named) for parameters, _ in signatures):
            raise TypeError(f"{label} takes {signatures}, not {arguments} and {named}")
        return act(self, *arguments, **named) if act else None

    return method


def _fits(parameters: list[str], arguments: tuple, named: dict) -> bool:
    names = [word.rstrip("=") for word in parameters]
    given = {*names[: len(arguments)], *named}
    needed = {word for word in parameters if not word.endswith("=")}
    return len(arguments) <= len(names) and set(named) <= set(names) and needed <= given


def _make(trt: types.ModuleType, name: str, *content, **facts):
    """An object of a class that only the library makes."""
    kind = getattr(trt, name)
    made = kind.__new__(kind, *content)
    made.facts = types.SimpleNamespace(**facts)
    return made


# ---- what the members do ----


class _Builder:
    def __init__(self, logger):
        self.facts = types.SimpleNamespace(log=logger)

    def create_network(self, flags=0):
        known = {kind.name for kind in self.trt.NetworkDefinitionCreationFlag if flags >> kind & 1}
        return _make(self.trt, "INetworkDefinition", flags=known)

    def create_builder_config(self):
        return _make(self.trt, "IBuilderConfig", flags={"TF32"}, profiles=[], gpus=[])

    def create_optimization_profile(self):
        return _make(self.trt, "IOptimizationProfile", batches=None)

    def build_serialized_network(self, network, config):
        engine = {
            "onnx": network.facts.content,
            "network": network.facts.flags,
            "flags": config.facts.flags,
            "profiles": config.facts.profiles,
            "gpus": config.facts.gpus,
        }
        return _make(self.trt, "IHostMemory", pickle.dumps(engine))


class _INetworkDefinition:
    num_layers = property(lambda self: 1)

    def get_input(self, index):
        return _make(self.trt, "ITensor", shape=(-1, *_input_shape(self.facts.content)))


class _ITensor:
    shape = property(lambda self: self.facts.shape)


class _IHostMemory:
    nbytes = property(len)


class _IBuilderConfig:
    def set_memory_pool_limit(self, pool, pool_size):
        assert pool in self.trt.MemoryPoolType

    def set_flag(self, flag):
        self.facts.flags.add(flag.name)

    def clear_flag(self, flag):
        self.facts.flags.discard(flag.name)

    def set_compute_capability(self, compute_capability, index):
        assert index < self.num_compute_capabilities
        self.facts.gpus.append(compute_capability.name)
        return True

    def add_optimization_profile(self, profile):
        self.facts.profiles.append(profile.facts.batches)

    def create_timing_cache(self, serialized_timing_cache):
        return _make(self.trt, "ITimingCache", content=serialized_timing_cache or b"timings")

    def set_timing_cache(self, cache, ignore_mismatch):
        self.facts.cache = cache
        return True

    def get_timing_cache(self):
        return self.facts.cache


class _ITimingCache:
    def serialize(self):
        return _make(self.trt, "IHostMemory", self.facts.content)


class _IOptimizationProfile:
    def set_shape(self, input, min, opt, max):
        assert input == "x" and min[1:] == opt[1:] == max[1:]
        self.facts.batches = (min[0], opt[0], max[0])


class _OnnxParser:
    num_errors = property(lambda self: len(self.facts.errors))

    def __init__(self, network, logger):
        self.facts = types.SimpleNamespace(network=network, errors=[])

    def parse(self, model, path=None):
        import onnx

        self.facts.network.facts.content = model
        nodes = onnx.load_from_string(model).graph.node
        self.facts.errors = [index for index, node in enumerate(nodes) if node.op_type == "Det"]
        return not self.facts.errors

    def get_error(self, index):
        return _make(self.trt, "ParserError", node=self.facts.errors[index])


class _ParserError:
    def node(self):
        return self.facts.node

    def node_name(self):
        return f"Det.{self.facts.node}"

    def node_operator(self):
        return "Det"

    def desc(self):
        return "no importer"


class _Runtime:
    def __init__(self, logger):
        pass

    def deserialize_cuda_engine(self, serialized_engine):
        return _make(self.trt, "ICudaEngine", **pickle.loads(serialized_engine))


class _ICudaEngine:
    def create_execution_context(self, strategy=None):
        import onnxruntime

        session = onnxruntime.InferenceSession(self.facts.onnx)
        return _make(
            self.trt, "IExecutionContext", engine=self.facts, session=session, addresses={}, index=0
        )


class _IExecutionContext:
    def set_optimization_profile_async(self, profile_index, stream_handle):
        self.facts.index = profile_index
        return True

    def set_input_shape(self, name, shape):
        smallest, _, largest = self.facts.engine.profiles[self.facts.index]
        self.facts.shape = tuple(shape)
        assert name == "x" and smallest <= shape[0] <= largest, "not in the active profile"
        return True

    def get_tensor_shape(self, name):
        return (self.facts.shape[0], self.facts.session.get_outputs()[0].shape[1])

    def set_tensor_address(self, name, memory):
        self.facts.addresses[name] = memory
        return True

    def execute_async_v3(self, stream_handle):
        given = _memory(self.facts.addresses["x"], self.facts.shape)
        logits = self.facts.session.run(["logits"], {"x": given})[0]
        _memory(self.facts.addresses["logits"], logits.shape)[:] = logits
        return True


def _memory(address: int, shape: tuple) -> np.ndarray:
    """What lies at an address, float32, as an array."""
    return np.ctypeslib.as_array((ctypes.c_float * math.prod(shape)).from_address(address)).reshape(
        shape
    )


def _input_shape(content: bytes) -> tuple[int, ...]:
    import onnx

    dimensions = onnx.load_from_string(content).graph.input[0].type.tensor_type.shape.dim
    return tuple(one.dim_value for one in dimensions)[1:]
