"""What nodes need of this machine's files: each a folder and names in it, known by content."""

import argparse
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from common.cli import Parser
from common.console import shown
from common.errors import UserError
from data.images import BUILT_IN
from deploy.scale.node import Inputs, digest_of

_SOURCES = ("data", "more", "calib", "config")
_LISTS = (".txt", ".csv", ".tsv", ".lst", ".list")


def command_words(
    parser: Parser, options: argparse.Namespace, without: Sequence[str], inputs: Inputs
) -> list[str]:
    """The words that give a command these options on a node, but those in `without`; what they name
    here is written as an input."""
    common = argparse.Namespace(**vars(options))
    for name in _SOURCES:
        word = getattr(options, name, None)
        if word and name not in without and word not in (*BUILT_IN, "none"):
            setattr(common, name, input_of(Path(word), inputs))
    return parser.words(common, without)


def input_of(path: Path, inputs: Inputs) -> str:
    """A path of the user's for a job: a folder, or a file, with its folder where it is a list."""
    if path.is_dir():
        return add(path, names_in(path), inputs)
    if not path.exists():
        return str(path)  # the command says so
    names = names_in(path.parent) if path.suffix in _LISTS else [path.name]
    return f"{add(path.parent, names, inputs)}/{path.name}"


def names_in(folder: Path) -> list[str]:
    """All files below a folder; links to folders are followed, as photos are looked for."""
    return sorted(path.relative_to(folder).as_posix() for path in _below(folder, ()))


def _below(folder: Path, above: tuple[str, ...]) -> Iterator[Path]:
    real = os.path.realpath(folder)
    if real in above or not folder.is_dir():  # a link to a folder that it is in
        return
    for path in folder.iterdir():
        if path.is_file():
            yield path
        elif path.is_dir():
            yield from _below(path, (*above, real))


def add(folder: Path, names: Sequence[str], inputs: Inputs) -> str:
    """Make some of a folder's files an input; its digest."""
    digest = digest_of(folder, list(names))
    if digest is None:
        raise UserError(f"a file in {shown(folder)} cannot be read")
    inputs[digest] = (str(folder), list(names))
    return digest
