"""A model's config.pbtxt, as Triton reads it: protobuf's text format of `ModelConfig`."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

Config = Mapping[str, Any]


class Word(str):
    """A value that stands without quotes: a member of an enumeration."""

    __slots__ = ()


FP32 = Word("TYPE_FP32")
STRING = Word("TYPE_STRING")


def config_text(config: Config) -> str:
    """Fields as protobuf's text format has them: a mapping is a message, a list a repeated field.

    Not for maps, which `parameters` gives as the list of messages that they are.
    """
    return "\n".join(_lines(config, "")) + "\n"


def _lines(config: Config, indent: str) -> Iterator[str]:
    for name, value in config.items():
        for one in value if isinstance(value, list | tuple) else [value]:
            if isinstance(one, Mapping):
                yield f"{indent}{name} {{"
                yield from _lines(one, f"{indent}  ")
                yield f"{indent}}}"
            else:
                yield f"{indent}{name}: {_scalar(one)}"


def _scalar(value: Any) -> str:
    if isinstance(value, bool | int):
        return json.dumps(value)
    return value if isinstance(value, Word) else json.dumps(value, ensure_ascii=False)


def mapped(values: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A map field: one message a key."""
    return [{"key": key, "value": value} for key, value in values.items()]


def parameters(values: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The field of that name; what is no text is there as JSON."""
    texts = {key: one if isinstance(one, str) else json.dumps(one) for key, one in values.items()}
    return mapped({key: {"string_value": text} for key, text in texts.items()})
