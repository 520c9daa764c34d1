"""Calls of a child's object that do not depend on each other: one after the other, or elsewhere."""

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runtimes.worker import Worker


@dataclass(frozen=True)
class Calls:
    """`method` of what `opens` makes of a file, its argument `source`, and `arguments`, once with
    each of the arguments `each`.

    Values are JSON's. A call takes about so many `seconds` here; a child that begins in the middle
    goes through what is before: neighbours belong together. `title` is for people.
    """

    title: str
    opens: Callable
    source: Path
    arguments: Mapping[str, Any]
    method: str
    each: Sequence[Mapping[str, Any]]
    seconds: Sequence[float]


# The place in `each`, and the value, of calls as they come to an end.
Results = Generator[tuple[int, Any], None, None]
Spread = Callable[[Calls], Results]


def in_order(worker: Worker, calls: Calls) -> Results:
    """By a worker that has such an object open already."""
    for row, arguments in enumerate(calls.each):
        yield row, worker.use(calls.method, **arguments)
