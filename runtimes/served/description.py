"""What a server says of a model, as far as photos and logits are concerned.

A description is JSON: `model`, `version`, `platform` and `server`, `server_version` as the server
calls them; `input` (name, datatype, shape), what it `takes`, how many photos at a time (`batch`;
`fixed` where neither more nor fewer), and the `output` that holds the logits.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from common.errors import UserError

TENSORS = "tensors"  # the network's input, float32 [N, 3, S, S]: the client prepares photos
PHOTOS = "photos"  # the bytes of photo files: the server prepares them
AT_ONCE = 8  # photos, where the server sets no limit

_FLOATS = ("FP32", "FP16", "FP64")


# A server says more than is asked of it, and gRPC's JSON has its numbers as texts.
_OPEN = ConfigDict(extra="ignore", defer_build=True)


@dataclass(frozen=True, kw_only=True, config=_OPEN)
class _Tensor:
    name: str
    datatype: str | None = None
    shape: tuple[int, ...] | None = None


@dataclass(frozen=True, kw_only=True, config=_OPEN)
class _Model:
    name: str
    versions: tuple[str, ...] | None = None
    platform: str | None = None
    inputs: tuple[_Tensor, ...] | None = None
    outputs: tuple[_Tensor, ...] | None = None


@dataclass(frozen=True, kw_only=True, config=_OPEN)
class _Server:
    name: str | None = None
    version: str | None = None
    extensions: tuple[str, ...] | None = None


@dataclass(frozen=True, kw_only=True, config=_OPEN)
class _Config:
    max_batch_size: int | None = None


def describe(
    url: str,
    server: Mapping[str, Any],
    model: Mapping[str, Any],
    config: Mapping[str, Any],
    classes: int,
    side: int,
) -> dict[str, Any]:
    """The description of a model that gives so many classes, of photos of side × side pixels.

    `server` and `model` are the protocol's metadata, `config` Triton's own or empty. UserError
    where this is no such model.
    """
    said = _read(_Model, model, url)
    about = _read(_Server, server, url)
    limit = max(0, _read(_Config, config, url).max_batch_size or 0)
    name = said.name
    inputs: Sequence[_Tensor] = said.inputs or ()
    if len(inputs) != 1:
        listed = ", ".join(one.name for one in inputs) or "none"
        raise UserError(
            f"model '{name}' at {url} has {len(inputs)} inputs ({listed}), and a classifier of "
            "photos has one: name another with SERVED_NAME="
        )
    [entry] = inputs
    shape, datatype = list(entry.shape or ()), entry.datatype or ""
    where = f"input '{entry.name}' of model '{name}' at {url}"
    takes = _takes(where, datatype, shape, side)
    fixed = shape[0] > 0 and not limit
    return {
        "url": url,
        "server": about.name or "unknown",
        "server_version": about.version or None,
        "binary": "binary_tensor_data" in (about.extensions or ()),
        "model": name,
        "version": said.versions[-1] if said.versions else None,
        "platform": said.platform or None,
        "input": {"name": entry.name, "datatype": datatype, "shape": shape},
        "takes": takes,
        "batch": shape[0] if fixed else min(limit or AT_ONCE, AT_ONCE),
        "fixed": fixed,
        "output": _output(name, url, said.outputs or (), classes),
        "classes": classes,
    }


def _read(kind: type, value: Any, url: str) -> Any:
    """A part of what a server says, as a value; UserError where it is not in KServe v2's form."""
    try:
        return TypeAdapter(kind).validate_python(value)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"])) or "it"
        raise UserError(
            f"{url} does not speak KServe v2: in what it says of a model {place} is wrong "
            f"({first['msg'][:100]})"
        ) from None


def _takes(where: str, datatype: str, shape: Sequence[int], side: int) -> str:
    """TENSORS or PHOTOS, by an input's type and shape."""
    said = f"{datatype} {list(shape)}"
    if datatype == "BYTES":
        if len(shape) not in (1, 2) or any(size not in (1, -1) for size in shape[1:]):
            raise UserError(f"{where} is {said}: photo files need BYTES [N] or [N, 1]")
        return PHOTOS
    wanted = f"FP32 [N, 3, {side}, {side}]"
    if len(shape) == 4 and shape[3] == 3 and shape[1] != 3:
        raise UserError(
            f"{where} is {said}, channels last: this model has them first, {wanted}; serve it so"
        )
    fits = len(shape) == 4 and all(
        size in (-1, right) for size, right in zip(shape[1:], (3, side, side), strict=True)
    )
    if datatype != "FP32" or not fits:
        raise UserError(
            f"{where} is {said}, and this model takes {wanted}, or photo files as BYTES [N, 1]: "
            "name another model with SERVED_NAME=, or serve this one"
        )
    return TENSORS


def _output(name: str, url: str, outputs: Sequence[_Tensor], classes: int) -> str:
    """The name of the output that holds logits of so many classes."""
    found, said = [], []
    for one in outputs:
        shape = list(one.shape or ())
        said.append(f"'{one.name}' {one.datatype} {shape}")
        sizes = [size for size in shape[1:] if size != 1]
        # A server may leave it open (-1): then the answers will tell.
        if one.datatype in _FLOATS and (sizes in ([classes], [-1]) or not shape):
            found.append((sizes == [classes], one.name))
    certain = [output for sure, output in found if sure] or [output for _, output in found]
    if len(certain) == 1:
        return certain[0]
    if certain:
        raise UserError(
            f"model '{name}' at {url} has several outputs of {classes} classes "
            f"({', '.join(said)}): serve one that has the logits alone"
        )
    raise UserError(
        f"no output of model '{name}' at {url} has the {classes} classes of this checkpoint "
        f"({', '.join(said) or 'it has none'}): is it another's? SERVED_NAME= names a model there, "
        "MODEL= or NAME= what it was made from"
    )
