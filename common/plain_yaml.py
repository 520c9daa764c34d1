"""YAML that others wrote, as plain values: nothing that a file asks for is built or run."""

import functools
from pathlib import Path
from typing import Any

from common.console import shown
from common.errors import UserError

_LARGEST = 1 << 20  # bytes; the lists of classes in such files have some ten thousand
_TAG = "tag:yaml.org,2002:"


@functools.cache
def _loader() -> type:
    """PyYAML's safe loader without merge keys, which a few lines can make grow without bound."""
    import yaml

    class Loader(yaml.SafeLoader):
        def flatten_mapping(self, node: yaml.MappingNode) -> None:
            for key, _ in node.value:
                if key.tag == f"{_TAG}merge":
                    raise yaml.constructor.ConstructorError(
                        None, None, "a merge key ('<<') is not read here", key.start_mark
                    )

    # What PyYAML itself writes for tuples, and for numpy's numbers: those are a training's figures.
    Loader.add_constructor(
        f"{_TAG}python/tuple", lambda loader, node: loader.construct_sequence(node, deep=True)
    )
    Loader.add_multi_constructor(f"{_TAG}python/object/apply:numpy.", lambda *_: None)
    return Loader


def read_yaml(path: Path) -> Any:
    """The value in a YAML file: dicts, lists, numbers, strings and the like.

    Raises UserError, in one line, for a file that is missing, too large, no YAML, damaged or
    malicious.
    """
    import yaml

    try:
        with path.open("rb") as stream:
            data = stream.read(_LARGEST + 1)
    except OSError as error:
        raise UserError(f"{shown(path)} cannot be read: {error.strerror}") from None
    if len(data) > _LARGEST:
        raise UserError(f"{shown(path)} has more than {_LARGEST >> 20} MiB, too much for a config")
    try:
        return yaml.load(data, _loader())
    except yaml.MarkedYAMLError as error:
        line = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
        raise UserError(f"{shown(path)}: {line}{_shortened(error.problem)}") from None
    except (yaml.reader.ReaderError, UnicodeDecodeError):
        raise UserError(f"{shown(path)} is no text in UTF-8; save it as that") from None
    except RecursionError:
        raise UserError(f"{shown(path)} is nested too deeply to be a config") from None
    except Exception as error:  # noqa: BLE001 - what damaged scalars raise is nearly anything
        raise UserError(f"{shown(path)} is no YAML: {_shortened(error)}") from None


def _shortened(problem: object) -> str:
    words = " ".join(str(problem).split())
    return words if len(words) < 120 else f"{words[:120]}…"
