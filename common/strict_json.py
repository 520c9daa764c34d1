"""JSON and typed values (pydantic's dataclasses): a field that is unknown, missing, null, twice
there or of the wrong kind is an error that names it by its dotted path."""

import functools
import json
import re
from collections.abc import Sequence
from typing import Any, TypeVar

from pydantic import ConfigDict, TypeAdapter, ValidationError

# The config of every typed value: nothing is converted, nothing is left over. What checks a value
# is built where it is first needed, since most commands need few of them.
STRICT = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, defer_build=True)

T = TypeVar("T")


class FormError(ValueError):
    """What is wrong with a JSON text, without the file's name."""


def parse(text: str) -> Any:
    """The value of a JSON text in which no name is there twice and every number is finite."""

    def refuse(word: str) -> None:
        raise FormError(f"{word} is not a number that JSON knows")

    try:
        return json.loads(text, parse_constant=refuse, object_pairs_hook=_object)
    except FormError:
        raise
    except (ValueError, RecursionError):
        raise FormError("not JSON, or cut short") from None


def decode(kind: type[T], value: Any) -> T:
    """A JSON value as a typed one; FormError for the first field that does not fit."""
    try:
        _refuse_null(value, "")
        adapter = _adapter(kind)  # type: ignore[arg-type] # a class is hashable
        return adapter.validate_json(json.dumps(value))
    except ValidationError as error:
        raise FormError(_sentence(error, value)) from None
    except RecursionError:
        raise FormError("it is nested too deeply") from None


def encode(value: Any) -> Any:
    """A typed value as a JSON value, its fields in the order of their definition; an optional
    field that is absent is left out."""
    adapter = _adapter(type(value))  # type: ignore[arg-type] # a class is hashable
    return adapter.dump_python(value, mode="json", exclude_none=True)


@functools.cache
def _adapter(kind: Any) -> TypeAdapter:
    return TypeAdapter(kind)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise FormError(f"{short(twice)} stands there twice")
    return found


def _refuse_null(value: Any, where: str) -> None:
    """A field without a value is left out: null stands in lists only."""
    if isinstance(value, dict):
        for name, inner in value.items():
            if inner is None:
                raise FormError(f"{where}{_name(name)} is null; leave out what is absent")
            _refuse_null(inner, f"{where}{_name(name)}.")


def _sentence(error: ValidationError, value: Any) -> str:
    first = error.errors(include_url=False)[0]
    if first["type"] == "json_invalid":  # what the standard library's reader took
        return "it is nested too deeply, or a text in it is no Unicode"
    way = [part for part in first["loc"] if part != "[key]"]
    if first["type"] == "unexpected_keyword_argument":
        return f"{_path([*way[:-1], short(way[-1])])} is unknown"
    place = way.pop() if way and isinstance(way[-1], int) else None
    if first["type"] == "missing" and place is None:
        return f"{_path(way)} is missing"
    for part in way:
        value = value[part]
    message = re.sub("^(Input|String) should", "it should", first["msg"])
    entry = "" if place is None else f" (entry {place})"
    return f"{_path(way) or 'it'} is {short(value)}: {message}{entry}"


def _path(way: Sequence[str | int]) -> str:
    """The dotted path of a field: "latency.1.runs", "sensitivity[0].layer"."""
    parts = (f"[{part}]" if isinstance(part, int) else f".{_name(part)}" for part in way)
    return "".join(parts).removeprefix(".")


def _name(name: str) -> str:
    """A name for a sentence: terminals obey control characters."""
    return name if name.isprintable() else ascii(name)


def short(value: Any) -> str:
    """A value for a sentence, cut where it is long."""
    text = ascii(value)
    return text if len(text) <= 60 else f"{text[:60]}…"
