"""A network's state dict inside of what training frameworks put around it.

Distillation, `paddle.DataParallel` and `torch` put a word before every name ("module.", "_layers.",
"Student.", "backbone."); training loops save a dict of dicts, with the optimizer's state beside.
One network that is wrapped so is found; where there are several, the user says which (a key, the
words that lead to it: `Student`, `state_dict/ema`).
"""

import re
import shlex
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from common.errors import UserError
from models.state import is_array, printable

_DEEPEST = 4  # levels of nesting and prefixes
_FEWEST = 10  # arrays: every network has more, and no block of one that could be taken for it

_PREFIX = re.compile(r"([^.:/]+)[.:/](?=.)")
_OUTERMOST = "."  # the key of the network that has no prefix, where others have one

Shapes = Mapping[str, tuple[int, ...]]


def unwrap(
    path: Path, entries: Mapping[Any, Any], is_network: Callable[[Shapes], bool], key: str = ""
) -> tuple[Mapping[Any, Any], str]:
    """The entries of the one network in a checkpoint, and where they were, as a clause.

    Entries that are one already come back as they are, with "", and so do those in which none is
    found. `is_network` judges by names and shapes, `key` says which of several is meant. UserError
    where several are found and none is named, and where there is none of that name.
    """
    found = dict(_search(entries, is_network, ()))
    if key:
        return _named(path, found, key)
    if len(found) > 1:
        names = [_key(where) for where in found]
        raise UserError(
            f"{path} holds several networks: {' and '.join(names)}; say which is meant: "
            f"WEIGHTS_KEY={shlex.quote(names[-1])}"
        )
    if not found or () in found:
        return entries, ""
    ((where, inside),) = found.items()
    return inside, f"the network in it is {printable('/'.join(where))}"


def _named(
    path: Path, found: Mapping[tuple[str, ...], Mapping[Any, Any]], key: str
) -> tuple[Mapping[Any, Any], str]:
    for where, inside in found.items():
        if _words("/".join(where)) == _words(key):
            return inside, f"its network {_key(where)} is taken"
    there = [_key(where) for where in found if where or len(found) > 1]
    known = f"it holds {' and '.join(there)}" if there else "leave WEIGHTS_KEY out"
    raise UserError(f"{path} holds no network {printable(key)!r}; {known}")


def _key(where: tuple[str, ...]) -> str:
    return printable("/".join(where)) or _OUTERMOST


def _words(key: str) -> list[str]:
    """The words of a key, whose separators may be those of a prefix: `module.Student.`."""
    return [word for word in re.split(r"[.:/]", key) if word]


def _search(
    entries: Mapping[Any, Any], is_network: Callable[[Shapes], bool], where: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], Mapping[Any, Any]]]:
    """The networks in entries, each with the words that lead to it; the outermost only."""
    arrays = {name: value for name, value in entries.items() if is_array(name, value)}
    shapes = {
        name: np.shape(value[1] if isinstance(value, tuple) else value)
        for name, value in arrays.items()
    }
    inner: dict[str, dict[Any, Any]] = {}
    for name, value in arrays.items():
        if parts := _PREFIX.match(name):
            inner.setdefault(parts[1], {})[name[parts.end() :]] = value
    plain = not any(":" in name or "/" in name for name in shapes)
    if plain and len(shapes) >= _FEWEST and is_network(shapes):
        for word, copy in inner.items():
            own = [name for name in arrays if not _is_under(name, word)]
            if len(own) >= _FEWEST and set(own) == set(copy):  # its moving average, beside it
                yield where, {name: arrays[name] for name in own}
                yield (*where, word), copy
                return
        yield where, entries if not where else arrays
        return
    if len(where) == _DEEPEST:
        return
    for name, value in entries.items():
        if isinstance(name, str) and isinstance(value, dict):
            inner.setdefault(name, {}).update(value)
    for word, value in inner.items():
        yield from _search(value, is_network, (*where, word))


def _is_under(name: str, word: str) -> bool:
    parts = _PREFIX.match(name)
    return parts is not None and parts[1] == word
