"""State dicts on disk: names and arrays, read without running anything that the file asks for."""

import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO, ClassVar

import numpy as np

from common import files
from common.errors import UserError

SUFFIXES = (".pdparams", ".safetensors")

# What paddle.save adds to a state dict: a table of its own parameter names.
_BOOKKEEPING = "StructuredToParameterName@@"
# What paddle.save does to parameters of more than 1 GB under pickle's protocols 2 and 3.
_SLICED = "UnpackBigParamInfor@@"


def read_state(path: Path) -> dict[str, np.ndarray]:
    """The names and arrays of a `.pdparams` or `.safetensors` file.

    Floating-point values come as float32, whatever their width in the file; integers as they are.
    Raises UserError, in one line, for a file that is missing, cut short, damaged, malicious, or
    that holds anything but arrays.
    """
    return to_arrays(path, read_entries(path))


def read_entries(path: Path) -> dict[Any, Any]:
    """What such a file holds, as it is: also a dict of dicts, and numbers beside arrays.

    UserError as of `read_state`, but for the last reason.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such weights file")
    if path.suffix == ".pdparams":
        return _read_pdparams(path)
    if path.suffix == ".safetensors":
        return _read_safetensors(path)
    raise UserError(f"{path}: weights are read from {' or '.join(SUFFIXES)} files only")


def is_array(name: Any, value: Any) -> bool:
    """Whether an entry is an array, or a tensor as Paddle saves it: (its own name, its array)."""
    if isinstance(value, tuple) and len(value) == 2:
        value = value[1]
    return isinstance(name, str) and isinstance(value, np.ndarray)


def to_arrays(path: Path, entries: dict[Any, Any]) -> dict[str, np.ndarray]:
    """The arrays of entries, which are emptied; UserError for an entry that is none."""
    state = {}
    for name in list(entries):
        value = entries.pop(name)  # so that the file's bytes go as their copies come
        if not is_array(name, value):
            raise UserError(
                f"{path}: entry {printable(name)!r} is a {type(value).__name__}, not an array; "
                "a plain state dict is expected"
            )
        value = value[1] if isinstance(value, tuple) else value
        # Paddle saves bfloat16 as the uint16 with the same bits, and has no uint16 parameters.
        bfloat16 = path.suffix == ".pdparams" and value.dtype == np.uint16
        state[name] = _widened(value, bfloat16=bfloat16)
    return state


def write_state(path: Path, state: Mapping[str, np.ndarray]) -> None:
    """Write arrays, atomically, in the form that the path's suffix says.

    A `.pdparams` is readable by `paddle.load`. The same arrays in the same order give the same
    bytes. Raises UserError for another suffix.
    """
    state = {name: _canonical(value) for name, value in state.items()}
    if path.suffix == ".pdparams":
        with files.atomic(path, "wb") as stream:
            pickle.dump(state, stream, protocol=4)
    elif path.suffix == ".safetensors":
        from safetensors.numpy import save

        with files.atomic(path, "wb") as stream:
            stream.write(save(state))
    else:
        raise UserError(f"{path}: weights are written as {' or '.join(SUFFIXES)} only")


def _canonical(value: np.ndarray) -> np.ndarray:
    # A pickle notes which arrays share a type object, so equal arrays must all have numpy's own.
    native = value.dtype.newbyteorder("=")
    return np.asarray(value, native, order="C").view(np.dtype(native.char))


def printable(text: Any) -> str:
    """A file's words, as they may stand in a message: one short line without control characters."""
    text = str(text)
    line = "".join(letter if letter.isprintable() else " " for letter in text[:150])
    return line + "…" * (len(text) > 150)


# ---- .pdparams ----


def _read_pdparams(path: Path) -> dict[Any, Any]:
    with path.open("rb") as stream:
        entries = load_arrays(stream, str(path))
    if not isinstance(entries, dict):
        raise UserError(f"{path} holds a {type(entries).__name__}, not a state dict")
    _tidy(path, entries)
    return entries


def _tidy(path: Path, entries: dict[Any, Any]) -> None:
    """Take out what paddle.save put in, on every level."""
    if _SLICED in entries:
        raise UserError(
            f"{path} was saved in slices, which are not read here; "
            "save it again with paddle.save(…, protocol=4)"
        )
    entries.pop(_BOOKKEEPING, None)
    for value in entries.values():
        if isinstance(value, dict):
            _tidy(path, value)


def load_arrays(stream: BinaryIO, source: str) -> Any:
    """Unpickle plain containers of arrays; nothing that the pickle names is imported or run.

    Numbers, strings, tuples, lists and dicts come out as they are, arrays as read-only views in
    the file's own type. `source` names the stream in messages. Raises UserError for anything else.
    """
    unpickler = _ArrayUnpickler(stream, encoding="latin1")  # as Python 2 wrote its byte strings
    try:
        return _plain(unpickler.load())
    except _ForbiddenError as error:
        raise UserError(
            f"{source} is refused: it asks for {printable(error)}, "
            "and a weights file may hold arrays only"
        ) from None
    except Exception as error:  # noqa: BLE001 - what damaged pickles raise is nearly anything
        raise UserError(
            f"{source} is cut short or not a file of weights ({printable(repr(error))})"
        ) from None


class _ForbiddenError(Exception):
    pass


class _DType:
    """Stands for numpy.dtype: plain numbers only."""

    def __init__(self, code: str, *_flags):
        if not re.fullmatch(r"[iu][1248]|f[248]|b1", code):
            raise _ForbiddenError(f"arrays of type {code}")
        self.value = np.dtype(code)

    def __setstate__(self, state):
        self.value = self.value.newbyteorder(state[1])


class _Array:
    """Stands for numpy.ndarray: bytes, a plain type and a shape.

    numpy's own unpickling trusts the file's flags and pointers; this does not come near it.
    """

    def __init__(self, *_placeholder):
        self.value = None

    def __setstate__(self, state):
        shape, dtype, fortran, raw = state[-4:]
        if isinstance(raw, str):  # pickled by Python 2
            raw = raw.encode("latin1")
        flat = np.frombuffer(raw, dtype.value)
        self.value = flat.reshape(shape, order="F" if fortran else "C")


def _scalar(dtype: _DType, raw: bytes) -> _Array:
    array = _Array()
    array.__setstate__(((), dtype, False, raw))
    return array


def _encode(text: str, codec: str) -> bytes:
    """How protocol 2 writes bytes; other codecs could do more than that."""
    if codec != "latin1":
        raise _ForbiddenError(f"the codec {codec}")
    return text.encode(codec)


_ADMITTED = {
    "numpy.ndarray": _Array,
    "numpy.dtype": _DType,
    "collections.OrderedDict": dict,
    "builtins.tuple": tuple,
    "__builtin__.tuple": tuple,
    "_codecs.encode": _encode,
}
for _module in ("numpy.core.multiarray", "numpy._core.multiarray"):  # numpy 1 and 2
    _ADMITTED[f"{_module}._reconstruct"] = _Array
    _ADMITTED[f"{_module}.scalar"] = _scalar


# The unpickler in Python, not the one in C: a few damaged bytes make that one fill gigabytes with
# its table of seen objects. A file has few instructions and large data, so it is as fast.
class _ArrayUnpickler(pickle._Unpickler):
    # Not protocol 5's byte arrays: they take their memory before there are bytes to fill it.
    dispatch: ClassVar = {
        code: load
        for code, load in pickle._Unpickler.dispatch.items()
        if code != pickle.BYTEARRAY8[0]
    }

    def find_class(self, module: str, name: str) -> Any:
        try:
            return _ADMITTED[f"{module}.{name}"]
        except KeyError:
            raise _ForbiddenError(f"{module}.{name}") from None


def _plain(value: Any) -> Any:
    """The unpickled value with arrays in place of their stand-ins."""
    if isinstance(value, _Array) and value.value is not None:
        return value.value
    if isinstance(value, dict):
        return {_plain(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_plain(item) for item in value)
    if value is None or isinstance(value, bool | int | float | str | bytes):
        return value
    raise _ForbiddenError(f"a bare {type(value).__name__.strip('_').lower()}")


# ---- .safetensors ----

# The specification's type names; values are little-endian.
_SAFETENSORS_TYPES = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "BOOL": "?",
    "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "i1",
    "U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "u1",
}  # fmt: skip


def _read_safetensors(path: Path) -> dict[str, np.ndarray]:
    # Not safetensors.numpy, which knows bfloat16 only where another package has taught numpy.
    from safetensors import SafetensorError, deserialize

    try:
        tensors = deserialize(path.read_bytes())
    except SafetensorError as error:
        raise UserError(
            f"{path} is cut short or not a .safetensors file ({printable(error)})"
        ) from None
    state = {}
    for name, tensor in tensors:
        if tensor["dtype"] not in _SAFETENSORS_TYPES:
            raise UserError(f"{path}: values of type {tensor['dtype']} are not read here")
        flat = np.frombuffer(tensor["data"], _SAFETENSORS_TYPES[tensor["dtype"]])
        state[name] = _widened(flat.reshape(tensor["shape"]), bfloat16=tensor["dtype"] == "BF16")
    return state


def _widened(values: np.ndarray, bfloat16: bool) -> np.ndarray:
    """A copy of one's own: floats as float32, integers in this machine's byte order."""
    if bfloat16:  # the upper half of a float32
        return (values.astype(np.uint32) << 16).view(np.float32)
    if values.dtype.kind == "f":
        return values.astype(np.float32, order="C")
    return values.astype(values.dtype.newbyteorder("="), order="C")
