"""The 17 models: everything that is true of each of them before anyone runs it."""

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from common.errors import UserError, suggest
from data.preprocess import Preprocess

if TYPE_CHECKING:
    from paddle import nn

# Where the authors publish checkpoints. They publish no checksums with them.
_OFFICIAL = "https://paddle-imagenet-models-name.bj.bcebos.com/dygraph/"


@dataclass(frozen=True)
class Accuracy:
    """A published ImageNet-1k validation accuracy (shares of 1) and the page it stands on."""

    top1: float
    top5: float
    page: str


@dataclass(frozen=True)
class ModelSpec:
    """One model: how to build it, feed it, find its weights, and what it is known to reach.

    `parameters` counts trainable values in millions, as published.
    """

    name: str
    family: str
    accuracy: Accuracy
    parameters: float
    preprocess: Preprocess = Preprocess()
    weights_folder: str = ""

    @property
    def weights_url(self) -> str:
        """The official checkpoint's address."""
        return f"{_OFFICIAL}{self.weights_folder}{self.name}_pretrained.pdparams"

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Channels, height and width of one photo as the network takes it."""
        return (3, self.preprocess.crop, self.preprocess.crop)

    def build(self, class_num: int = 1000, **options) -> "nn.Layer":
        """The network in evaluation mode, with fresh weights.

        Takes float32 [N, 3, S, S], gives logits float32 [N, class_num]. `options` are those of
        the family's builder.
        """
        builder = getattr(importlib.import_module(f"models.{self.family}"), self.name)
        network = builder(class_num=class_num, **options)
        network.eval()
        return network


# The pages are the published descriptions of PaddleClas' model zoo. Where the older and the newer
# Twins page disagree, this is the newer, whose figures independent evaluations confirm.
_OTHERS = "Other models"
_RESNEST_REGNET = "ResNeSt and RegNet"
_TWINS = "Twins (later page)"
_DARKNET_PREPROCESS = Preprocess(resize_short=292, crop=256)
_TWINS_PREPROCESS = Preprocess(interpolation="bicubic", library="pillow")


def _twins(name: str, top1: float, top5: float, parameters: float) -> ModelSpec:
    accuracy = Accuracy(top1, top5, _TWINS)
    return ModelSpec(name, "twins", accuracy, parameters, preprocess=_TWINS_PREPROCESS)


def _vgg(name: str, top1: float, top5: float, parameters: float) -> ModelSpec:
    accuracy = Accuracy(top1, top5, _OTHERS)
    return ModelSpec(name, "vgg", accuracy, parameters, weights_folder="legendary_models/")


_SPECS = (
    ModelSpec("AlexNet", "alexnet", Accuracy(0.567, 0.792, _OTHERS), 61.09),
    ModelSpec("SqueezeNet1_0", "squeezenet", Accuracy(0.596, 0.817, _OTHERS), 1.24),
    ModelSpec("SqueezeNet1_1", "squeezenet", Accuracy(0.601, 0.819, _OTHERS), 1.23),
    _vgg("VGG11", 0.693, 0.891, 132.85),
    _vgg("VGG13", 0.700, 0.894, 133.03),
    _vgg("VGG16", 0.720, 0.907, 138.34),
    _vgg("VGG19", 0.726, 0.909, 143.65),
    ModelSpec("DarkNet53", "darknet", Accuracy(0.780, 0.941, _OTHERS), 41.6, _DARKNET_PREPROCESS),
    ModelSpec("ResNeSt50", "resnest", Accuracy(0.8083, 0.9542, _RESNEST_REGNET), 27.5),
    ModelSpec("ResNeSt50_fast_1s1x64d", "resnest", Accuracy(0.8035, 0.9528, _RESNEST_REGNET), 26.3),
    ModelSpec("RegNetX_4GF", "regnet", Accuracy(0.7850, 0.9416, _RESNEST_REGNET), 22.1),
    _twins("pcpvt_small", 0.8115, 0.9567, 24.1),
    _twins("pcpvt_base", 0.8268, 0.9627, 43.8),
    _twins("pcpvt_large", 0.8306, 0.9659, 60.9),
    _twins("alt_gvt_small", 0.8177, 0.9557, 24.0),
    _twins("alt_gvt_base", 0.8315, 0.9629, 56.0),
    _twins("alt_gvt_large", 0.8364, 0.9651, 99.2),
)

MODELS: Mapping[str, ModelSpec] = {spec.name: spec for spec in _SPECS}


def find_model(name: str) -> ModelSpec:
    """The model of that name; an unknown name raises UserError with the closest ones."""
    if name not in MODELS:
        raise UserError(f"unknown model '{name}': {suggest(name, MODELS)}")
    return MODELS[name]
