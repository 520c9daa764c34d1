"""A look before FP16 files are made: which values would leave float16's range?

Weights are read; activations are looked at on the synthetic images that steps are checked with, or,
where a calibration has measured the model, on its photos. What only photos show otherwise, the
simulation of FP16 finds (`convert.simulate`).
"""

from pathlib import Path

from calib.ranges import KIND, RANGES
from common import files
from convert import step_check
from convert.artifact import Artifact, load
from convert.to_onnx import FILE
from runtimes.worker import Worker

LIMIT = 65504.0  # float16's largest value


def beyond_fp16(onnx: Artifact) -> list[tuple[str, float]]:
    """What of an ONNX file float16 cannot hold: its name, and its largest magnitude.

    Kernels that sum or transform in float16 overflow earlier (`convert.range_fitting`).
    """
    with Worker("main", f"looking for overflows in {onnx.name}") as worker:
        return worker.call(
            find,
            source=str(onnx.file(FILE)),
            photos=step_check.images(tuple(onnx.facts["input_shape"])),
            sizes=photo_sizes(onnx),
        )


def photo_sizes(onnx: Artifact) -> dict[str, float]:
    """The largest magnitude of each tensor on the photos that a calibration measured, if any."""
    ranges = load(KIND.folder(onnx.name))
    if ranges is None or ranges.manifest["inputs"]["onnx"] != onnx.key:
        return {}
    entries = files.read_json(ranges.file(RANGES))["tensors"]
    return {name: max(-entry["min"], entry["max"]) for name, entry in entries.items()}


def find(source: str, photos, sizes: dict[str, float]) -> list[tuple[str, float]]:
    """In a child process: the weights, and the layers, in the order of the graph."""
    import numpy as np
    import onnx

    from calib import tensors
    from calib.observer import open_with_outputs

    model = onnx.load(source)
    found = [
        (f"the weights '{tensor.name}'", float(np.abs(onnx.numpy_helper.to_array(tensor)).max()))
        for tensor in model.graph.initializer
        if tensor.data_type == onnx.TensorProto.FLOAT and np.prod(tensor.dims)
    ]
    makers, entry = tensors.producers(model), model.graph.input[0].name
    logits = model.graph.output[0].name
    names = [name for name in tensors.observed(model) if name != entry]
    if not sizes:
        added = [name for name in names if name != logits]
        session = open_with_outputs(source, added, Path(source).parent)
        results = [session.run(names, {entry: photo[None]}) for photo in photos]
        sizes = {
            name: max(float(np.abs(values).max()) for values in row)
            for name, row in zip(names, zip(*results, strict=True), strict=True)
        }
    found += [(makers[name], sizes[name]) for name in names]
    return [(what, size) for what, size in found if not size <= LIMIT]
