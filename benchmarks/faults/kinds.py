"""What is damaged: of each kind of file how good ones are made, how they are read, what is right.

A reader is the public function that a command reads such a file with. Where a format has a
checksum of its content (packages, artifacts) only the same content is right; where it has none,
what comes back has to have the form that the function promises.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.faults.mutators import Mutator

# The files of a folder, by their paths in it.
Specimen = Mapping[str, bytes]


class WrongError(Exception):
    """A reader gave something that is not right; the text says what."""


@dataclass(frozen=True)
class Kind:
    """A kind of file.

    `make` gives good specimens, each for one of the names in `damaged` at least. `read` reads a
    folder that a specimen was written into, given the good one too, and raises WrongError for what
    is not right; anything else that it raises is a refusal, or a fault. It returns False where the
    file was put aside without an error (as an artifact that is made again), else True. `wanted` is
    how many a whole campaign tries; `native` marks runtimes that are not Python, in children of
    their own; `batch` is how many are tried between two looks at the clock; `reader` is what the
    table calls the reader.
    """

    name: str
    reader: str
    make: Callable[[], list[Specimen]]
    damaged: tuple[str, ...]
    mutators: tuple[Mutator, ...]
    read: Callable[[Path, Specimen], bool]
    wanted: int
    native: bool = False
    batch: int = 200


def require(truth: object, what: str) -> None:
    """WrongError with these words unless it holds."""
    if not truth:
        raise WrongError(what)


def written(folder: Path, specimen: Mapping[str, Any]) -> Path:
    """Write a specimen's files into a folder."""
    for name, data in specimen.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder
