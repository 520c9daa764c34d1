"""Kinds: what holds weights, and what lies beside them."""

import json
import math
import pickle
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.faults.kinds import Kind, Specimen, require
from benchmarks.faults.mutators import JSON, SAFETENSORS, TEXT
from benchmarks.faults.structured import PICKLE
from common.strict_json import encode
from data.contents import Contents
from models import beside, split, training_log
from models.registry import MODELS
from models.weights import Weights, class_count, read_network
from training.run_state import RunState

_MODEL = "SqueezeNet1_1"
_SHA = "ab" * 32
_CLASSES = 4


def kinds() -> list[Kind]:
    return [
        Kind("pdparams", "weights of a model", _pdparams, ("w.pdparams",), PICKLE, _weights, 1500),
        Kind("safetensors", "weights of a model", _safetensors, ("w.safetensors",), SAFETENSORS,
             _weights, 900),
        Kind("checkpoint", "a training's, to go on from", _training, ("checkpoint.pkl",), PICKLE,
             _going_on, 500),
        Kind("config", "recipe or inference.yml beside weights", _configs, ("c.yml",), TEXT,
             _config, 700),
        Kind("split", "split.json beside weights", _splits, ("w.split.json",), JSON, _split, 300),
        Kind("log", "a training's log.csv", _logs, ("log.csv",), TEXT, _log, 200),
    ]  # fmt: skip


def _arrays() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    state = {f"_conv{n}.weight": rng.standard_normal((4, 3, 3, 3), np.float32) for n in range(6)}
    state |= {f"_conv{n}.bias": rng.standard_normal(4, np.float32) for n in range(6)}
    return state


def _pdparams() -> list[Specimen]:
    """As `paddle.save` writes them in protocols 2 to 4, by Python 2, wrapped, and in bfloat16."""
    state = _arrays()
    tensors = {name: (name, value) for name, value in state.items()}
    bookkeeping = {**state, "StructuredToParameterName@@": {name: name for name in state}}
    nested = {"model": {f"module.{name}": one for name, one in state.items()}, "epoch": 3}
    narrow = {name: value.view(np.uint16)[..., 1::2] for name, value in state.items()}
    found = [(state, 4), (bookkeeping, 2), (tensors, 3), (nested, 4), (narrow, 4), (state, 0)]
    return [{"w.pdparams": pickle.dumps(value, protocol)} for value, protocol in found]


def _safetensors() -> list[Specimen]:
    from safetensors.numpy import save

    state = _arrays()
    halves = {name: value.astype(np.float16) for name, value in state.items()}
    mixed = {**state, "n": np.arange(3), "flag": np.array([True]), "empty": np.zeros((0, 2), "f8")}
    return [{"w.safetensors": save(one)} for one in (state, halves, mixed)]


def _weights(folder: Path, good: Specimen) -> bool:
    """The arrays of a file, as `make export` takes them; each is an array of numbers."""
    state = read_network(folder / next(iter(good)))
    require(isinstance(state, dict), "no dict")
    for name, value in state.items():
        require(isinstance(name, str) and isinstance(value, np.ndarray), "an entry is no array")
        require(value.dtype == np.float32 or value.dtype.kind in "iub", f"{value.dtype}")
        require(value.flags.owndata or value.base is not None, "no memory of its own")
        np.isfinite(value).all()  # every byte can be read
    class_count(state)
    return True


def _training() -> list[Specimen]:
    rows = [{"epoch": 1, "loss": 2.5, "top1": 0.25, "lr": 0.1}]
    learner = {"weights": _arrays(), "optimizer": {"step": 7, "velocity": _arrays()}}
    kept = {"identity": {"model": _MODEL, "seed": 0}, "rows": rows, "charted": 9}
    return [{"checkpoint.pkl": pickle.dumps({**kept, "learner": learner}, 4)}]


class _Plan:
    identity = {"model": _MODEL, "seed": 0}  # noqa: RUF012 - all that RunState.read asks of a plan


def _going_on(folder: Path, _: Specimen) -> bool:
    """What `make train RESUME=1` reads; only plain values and arrays come out."""
    state = RunState(folder)
    _require_plain(state.read(_Plan()))  # type: ignore[arg-type]
    _require_plain(state.rows)
    require(isinstance(state.rows, list), "rows are no list")
    require(all(isinstance(row, dict) for row in state.rows), "a row is none")
    if state.rows:
        require(isinstance(state.best_row["top1"], float), "no best row")
    require(isinstance(state.charted, int), "charted is no number")
    return True


def _require_plain(value: Any) -> None:
    if isinstance(value, dict):
        value = [*value.keys(), *value.values()]
    if isinstance(value, list | tuple):
        for one in value:
            _require_plain(one)
        return
    plain = value is None or isinstance(value, bool | int | float | str | bytes | np.ndarray)
    require(plain, f"a {type(value).__name__} came out")


_CLAS = """\
Global:
  class_num: 4
  infer_imgs: docs/images/a.jpg
Arch:
  name: SqueezeNet1_1
  class_num: 4
DataLoader:
  Eval:
    dataset:
      name: ImageNetDataset
      image_root: ./dataset/
      transform_ops:
        - DecodeImage: {to_rgb: True, channel_first: False}
        - ResizeImage: {resize_short: 256}
        - CropImage: {size: 224}
        - NormalizeImage:
            scale: 1.0/255.0
            mean: [0.485, 0.456, 0.406]
            std: [0.229, 0.224, 0.225]
            order: ''
    sampler: {name: DistributedBatchSampler, batch_size: 64, drop_last: False}
Infer:
  PostProcess: {name: Topk, topk: 5, label_list: [one, two, three, "4"]}
"""
_DEPLOYED = """\
Global: {model_name: SqueezeNet1_1}
PreProcess:
  transform_ops:
  - ResizeImage: {resize_short: 256}
  - CropImage: {size: 224}
  - NormalizeImage: {channel_num: 3, mean: [0.485, 0.456, 0.406], order: '',
      scale: 0.00392156862745098, std: [0.229, 0.224, 0.225]}
  - ToCHWImage: null
PostProcess:
  Topk: {topk: 5, label_list: [cat, dog, bird, fish]}
"""


def _configs() -> list[Specimen]:
    return [{"c.yml": text.encode()} for text in (_CLAS, _DEPLOYED)]


def _config(folder: Path, _: Specimen) -> bool:
    """`CONFIG=c.yml` of a checkpoint of four classes."""
    weights = Weights(_MODEL, "file", folder / "w.pdparams", _SHA)
    found = beside.find_beside(MODELS[_MODEL], weights, _CLASSES, str(folder / "c.yml"))
    names = found.names
    require(names is None or len(names) == _CLASSES, "another number of names")
    require(all(name.isprintable() for name in names or ()), "a name is not printable")
    photo = np.full((40, 30, 3), 99, np.uint8)
    if found.preprocess.crop <= 1024:  # a larger one is a network's to refuse
        crop = found.preprocess.crop_photo(photo)
        require(crop.shape == (found.preprocess.crop, found.preprocess.crop, 3), "no crop")
        batch = found.preprocess.normalize(crop[None])
        require(batch.dtype == np.float32 and np.isfinite(batch).all(), "values not finite")
    return True


def _splits() -> list[Specimen]:
    photos = Contents.of([f"{number:064x}" for number in range(9)])
    held = Contents.of([f"{number << 200:064x}" for number in range(1, 4)])
    value = split.Split(
        checkpoint=_SHA, made_by="adapt", data="set", source="/set",
        training=split.Photos.of(photos), held_out=split.Photos.of(held),
        result=split.HeldOutResult.of(2, 3),
    )  # fmt: skip
    return [{"w.split.json": json.dumps(encode(value)).encode()}]


def _split(folder: Path, _: Specimen) -> bool:
    found = split.read_split(folder / "w.split.json")
    require(found is not None, "nothing was read")
    assert found
    require(len(found.training.known) == found.training.photos, "another number of photos")
    str(found.result)
    return True


def _logs() -> list[Specimen]:
    epochs = "".join(f"{number},{2 / number},{0.1 * number},0.01\n" for number in range(1, 9))
    return [{"log.csv": f"epoch,loss,top1,lr\n{epochs}".encode(), **_splits()[0]}]


def _log(folder: Path, _: Specimen) -> bool:
    """What `make report` reads of a training's course."""
    course = training_log.course_of(Weights(_MODEL, "file", folder / "w.pdparams", _SHA))
    for one in course.epochs if course else ():
        require(all(map(math.isfinite, (one.loss, one.top1, one.lr))), "a figure is not finite")
    return course is not None
