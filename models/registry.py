"""The models: everything that is true of each of them before anyone runs it."""

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from common.errors import UserError, suggest
from data.preprocess import Preprocess
from models import published

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

    What it is known to reach stands in the tables of `models.published`, and only there.
    """

    name: str
    family: str
    preprocess: Preprocess = Preprocess()
    weights_folder: str = ""

    @property
    def accuracy(self) -> Accuracy | None:
        """None where no page gives it."""
        top1, top5 = (published.size_or_accuracy(self.name, name) for name in ("top1", "top5"))
        if top1 is None or top5 is None:
            return None
        return Accuracy(top1.value, top5.value, top1.document.title)

    @property
    def parameters(self) -> float | None:
        """Trainable values in millions, as published; None where no page gives them."""
        found = published.size_or_accuracy(self.name, "parameters")
        return found.value if found else None

    @property
    def weights_url(self) -> str:
        """The official checkpoint's address."""
        return f"{_OFFICIAL}{self.weights_folder}{self.name}_pretrained.pdparams"

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Channels, height and width of one photo as the network takes it."""
        return (3, self.preprocess.crop, self.preprocess.crop)

    @property
    def builder(self) -> str:
        """What makes the network, as "module:function"."""
        return f"models.{self.family}:{self.name}"

    def build(self, class_num: int = 1000, **options) -> "nn.Layer":
        """The network in evaluation mode, with fresh weights.

        Takes float32 [N, 3, S, S], gives logits float32 [N, class_num]. `options` are those of
        the family's builder.
        """
        module, _, function = self.builder.partition(":")
        network = getattr(importlib.import_module(module), function)(class_num=class_num, **options)
        network.eval()
        return network


_DARKNET = Preprocess(resize_short=292, crop=256)
_TWINS = Preprocess(interpolation="bicubic", library="pillow")
_LEGENDARY = "legendary_models/"

_SPECS = (
    ModelSpec("AlexNet", "alexnet"),
    ModelSpec("SqueezeNet1_0", "squeezenet"),
    ModelSpec("SqueezeNet1_1", "squeezenet"),
    ModelSpec("VGG11", "vgg", weights_folder=_LEGENDARY),
    ModelSpec("VGG13", "vgg", weights_folder=_LEGENDARY),
    ModelSpec("VGG16", "vgg", weights_folder=_LEGENDARY),
    ModelSpec("VGG19", "vgg", weights_folder=_LEGENDARY),
    ModelSpec("DarkNet53", "darknet", _DARKNET),
    ModelSpec("ResNeSt50", "resnest"),
    ModelSpec("ResNeSt50_fast_1s1x64d", "resnest"),
    ModelSpec("RegNetX_4GF", "regnet"),
    ModelSpec("pcpvt_small", "twins", _TWINS),
    ModelSpec("pcpvt_base", "twins", _TWINS),
    ModelSpec("pcpvt_large", "twins", _TWINS),
    ModelSpec("alt_gvt_small", "twins", _TWINS),
    ModelSpec("alt_gvt_base", "twins", _TWINS),
    ModelSpec("alt_gvt_large", "twins", _TWINS),
)

MODELS: Mapping[str, ModelSpec] = {spec.name: spec for spec in _SPECS}


def find_model(name: str) -> ModelSpec:
    """The model of that name; an unknown name raises UserError with the closest ones."""
    if name not in MODELS:
        raise UserError(f"unknown model '{name}': {suggest(name, MODELS)}")
    return MODELS[name]
