"""Record what a TensorRT version's Python module offers, as JSON on standard output.

    python record.py tensorrt > 8.6.0.json
    python record.py tensorrt_rtx > rtx-1.7.1.116.json

Signatures are those that pybind11 writes into every docstring. The module of a version whose
libraries are not at hand can be imported all the same, beside libraries of the same names that
hold empty functions under the names it asks for: nothing is called while it is introspected.
"""

import importlib
import json
import re
import sys

CLASSES = (
    "Builder",
    "IBuilderConfig",
    "ICudaEngine",
    "IExecutionContext",
    "IHostMemory",
    "ILogger",
    "INetworkDefinition",
    "IOptimizationProfile",
    "ITensor",
    "ITimingCache",
    "OnnxParser",
    "ParserError",
    "Runtime",
)
ENUMS = (
    "BuilderFlag",
    "ComputeCapability",  # of TensorRT-RTX
    "DataType",
    "ILogger.Severity",
    "MemoryPoolType",
    "NetworkDefinitionCreationFlag",
    "TensorIOMode",
)


def record(module) -> dict:
    """Version, names, classes with their members, enums with their values."""
    return {
        "version": module.__version__,
        "source": f"introspection of the module {module.__name__} of {module.__version__}",
        "names": sorted(name for name in vars(module) if not name.startswith("_")),
        "classes": {name: members(getattr(module, name)) for name in CLASSES},
        "enums": {
            name: values(module, name) for name in ENUMS if name.partition(".")[0] in vars(module)
        },
    }


def members(kind) -> dict:
    """Each public member, and __init__: a method's signatures, or whether a property can be set."""
    found = {}
    for name in dir(kind):
        member = getattr(kind, name)
        if name.startswith("_") and name != "__init__":
            continue
        if isinstance(member, property):
            found[name] = "writable" if member.fset else "readable"
        elif callable(member):
            found[name] = signatures(name, member.__doc__ or "")
    return found


def signatures(name: str, text: str) -> list:
    """Each overload as [[its parameters, "=" after an optional one], the class that it returns]."""
    found = []
    for line in re.sub(r"<[^>]*>", "0", text).splitlines():  # an enum's member as a default
        match = re.match(rf"(?:\d+\. )?{name}\((.*)\) -> (.*)$", line.strip())
        if match and not match[1].startswith("*args"):
            parameters = re.findall(r"(\w+): [^=,\[]*(?:\[[^\]]*\])?[^=,]*(= )?", match[1])
            words = [name + ("=" if optional else "") for name, optional in parameters]
            found.append([words[1:], match[2].rsplit(".", 1)[-1]])
    return found


def values(module, path: str) -> dict:
    """The names and numbers of an enum, which may be another class's attribute."""
    for word in path.split("."):
        module = getattr(module, word)
    return {name: int(value) for name, value in module.__members__.items()}


def layout(value, depth: int) -> str:
    """JSON with a line for each entry of the first `depth` levels."""
    if not depth or not isinstance(value, dict):
        return json.dumps(value)
    lines = [f"{json.dumps(key)}: {layout(item, depth - 1)}" for key, item in value.items()]
    return "{\n" + ",\n".join(lines) + "\n}"


if __name__ == "__main__":
    print(layout(record(importlib.import_module(sys.argv[1])), 3))
