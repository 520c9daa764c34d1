"""What a TensorRT folder made without a GPU says of itself: how its file becomes an engine.

FP16 stays TensorRT's own work. Up to version 10 the builder gives each layer the faster of its
float16 and float32 kernels, all of them made from the float32 values of the file, and a layer that
turns out to be sensitive can be put back (`--layerPrecisions`). A float16 file would take both
away: its weights have lost their digits, and its casts tie every layer to float16. From 11 on there
is no such flag, and `convert.to_tensorrt` writes the float16 file where that version is installed.
"""

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

README = "README.md"

_FLAGS = {"fp16": ("--fp16",), "int8": ("--int8",)}
STORED = {
    "fp32": "model.onnx and the engine hold float32",
    "fp16": "model.onnx holds float32; FP16 is made on the GPU, as TensorRT builds the engine "
    "(--fp16)",
    "int8": "model.onnx holds float32 and its quantization; INT8 is made on the GPU, as TensorRT "
    "builds the engine (--int8)",
}

_README = """# {model} for TensorRT on a {gpu}, {precision}

{stored}.

To build the engine and time it, type in this folder, on a machine that has the {gpu}:

    {line}

It takes batches of {smallest} to {largest}; what trtexec prints is the latency of {best}. The
flags are those of TensorRT 8.5 to 10; `model.onnx` was checked for {checked_for}.

{ahead}

`manifest.json` says what made these files, and their sha256.
"""
_BUILT = (
    "`{file}` is an engine too, built ahead of time for compute capability {capability}, its "
    "floats {floats}. {loaded_by} loads it, and no other version or runtime does. It was built "
    "without a GPU, and never run."
)


def axes(source: str) -> dict[str, Any]:
    """In a child process: the input of an ONNX file, with None for the lengths that it leaves open.

    {"name": "x", "shape": [None, 3, 224, 224]}
    """
    import onnx

    entry = onnx.load(source, load_external_data=False).graph.input[0]
    lengths = entry.type.tensor_type.shape.dim
    return {
        "name": entry.name,
        "shape": [one.dim_value if one.HasField("dim_value") else None for one in lengths],
    }


def trtexec(
    onnx: Path, engine: Path, precision: str, entry: Mapping[str, Any], profile: tuple[int, ...]
) -> str:
    """The line to type where the GPU is.

    `entry` is what `axes` found; `profile` are the smallest, the best and the largest batch, given
    only where the file leaves the batch open.
    """
    words = [f"--onnx={onnx}", f"--saveEngine={engine}", *_FLAGS.get(precision, ())]
    if None in entry["shape"]:
        for bound, batch in zip(("min", "opt", "max"), profile, strict=True):
            lengths = (batch if length is None else length for length in entry["shape"])
            words.append(f"--{bound}Shapes={entry['name']}:{'x'.join(map(str, lengths))}")
    return shlex.join(["trtexec", *words])


def readme(
    model: str, gpu: str, precision: str, line: str, profile: tuple[int, ...], facts: Mapping
) -> str:
    """The page in the folder, in Markdown; `facts` are those of `convert.to_tensorrt`."""
    ahead = facts["ahead_of_time"]
    return _README.format(
        model=model,
        gpu=gpu,
        precision=precision,
        stored=facts["stored"],
        line=line,
        smallest=profile[0],
        best=profile[1],
        largest=profile[2],
        checked_for=facts["checked_for"],
        ahead=(
            f"No engine was built ahead of time: {ahead['not_built']}."
            if "not_built" in ahead
            else _BUILT.format(**ahead)
        ),
    )
