"""SqueezeNet1_1 with real weights, its ONNX file, and its ranges on a few real photos."""

from dataclasses import dataclass

import pytest

from calib.photos import Calibration
from convert.artifact import Artifact
from convert.export import export
from convert.to_onnx import to_onnx
from data.crops import Crops, load_crops
from data.images import ImageSet
from models.registry import MODELS
from models.weights import find_weights


@dataclass(frozen=True)
class Measured:
    """What INT8 files are made of, and float32 photos [N, 3, S, S] that took no part in it."""

    inference: Artifact
    onnx: Artifact
    ranges: Artifact
    crops: Crops
    others: list


@pytest.fixture(scope="session")
def measured(built, weights, photos):
    spec = MODELS["SqueezeNet1_1"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BUILD_DIR", str(built))
        inference = export(spec, find_weights(spec, str(weights)), 1000, spec.name)
        onnx = to_onnx(inference)
        images = ImageSet.open(photos(60))
        apart = ImageSet("apart", images.paths[::3], images.labels[::3])
        ranges, crops = Calibration(apart).measure(onnx)
        rest = ImageSet("rest", images.paths[1::3], images.labels[1::3])
        judging = load_crops(rest, spec.preprocess)
        yield Measured(inference, onnx, ranges, crops, list(judging.batches(5, spec.preprocess)))
