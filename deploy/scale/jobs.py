"""A matrix' cells as commands for other machines, and what they need there."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from common.cli import Parser
from common.console import shown
from common.errors import UserError
from convert.builds import Chosen, weights_of
from data.images import BUILT_IN
from deploy.request.values import Cell, cell_name
from deploy.scale.node import Inputs, digest_of
from runtimes.hosts.local import LOCAL
from runtimes.hosts.phone import Phone
from runtimes.hosts.ssh import Ssh

_OWN = ("model", "name", "target", "precision", "weights", "jobs", "ray", "ray_wait", "only")
_SOURCES = ("data", "more", "calib", "config")
_SMALL = (".txt", ".json", ".yml", ".yaml", ".csv")  # what may say something of a checkpoint


@dataclass(frozen=True)
class Job:
    """One cell of one build: the command's words, and the resources that it asks Ray for."""

    build: str
    cell: Cell
    words: list[str]
    needs: list[str]

    @property
    def name(self) -> str:
        return f"{self.build} {cell_name(self.cell)}"


def matrix_jobs(
    parser: Parser, options: argparse.Namespace, builds: Sequence[Chosen], cells: Sequence[Cell]
) -> tuple[list[Job], Inputs]:
    """A job for every cell of every build, and the files that they need on a node.

    Paths among a job's words are written as their input's digest. Raises UserError for what only
    this machine has.
    """
    if options.host == Phone.name:
        raise UserError(f"--host {Phone.name} is one at this machine; leave out --ray")
    inputs: Inputs = {}
    common = argparse.Namespace(**vars(options))
    for name in _SOURCES:
        word = getattr(options, name)
        if word and word not in (*BUILT_IN, "none"):
            setattr(common, name, _input(Path(word), inputs))
    words = parser.words(common, _OWN)
    for target, precision in cells:
        words += ["--target", target.name, "--precision", precision]
    jobs = []
    for chosen in builds:
        own = _build_words(chosen, options, inputs)
        for cell in cells:
            only = ["--only", cell_name(cell), "--json"]
            command = ["deploy/validate.py", *own, *words, *only]
            jobs.append(Job(chosen.folder, cell, command, _needs(cell, options.host)))
    return jobs, inputs


def _needs(cell: Cell, host: str) -> list[str]:
    """What a node has to offer: the card that the target names, or the way to a board."""
    if host.startswith(f"{Ssh.name}:"):
        return [host]
    card = cell[0].published_gpu
    return [f"accelerator_type:{card}"] if card and host == LOCAL.name else []


def _build_words(chosen: Chosen, options: argparse.Namespace, inputs: Inputs) -> list[str]:
    """The words that name a build, and its weights as they are here."""
    weights = weights_of(chosen, options.weights, options.weights_key)
    words = ["--model", chosen.spec.name]
    if chosen.name:
        words += ["--name", chosen.name]
    if weights.origin != "file":
        return [*words, "--weights", weights.origin]
    folder, name = weights.file.parent, weights.file.name
    beside = [
        path.name for path in sorted(folder.iterdir()) if path.is_file() and path.suffix in _SMALL
    ]
    digest = _add(folder, sorted({name, *beside}), inputs)
    return [*words, "--weights", f"{digest}/{name}"]


def _input(path: Path, inputs: Inputs) -> str:
    """A path of the user's for a job: a folder, or a file, with its folder where it is a list."""
    if path.is_dir():
        return _add(path, [one.relative_to(path).as_posix() for one in _files(path)], inputs)
    if not path.exists():
        return str(path)  # the command says so
    names = [path.name]
    if path.suffix in (".txt", ".csv", ".tsv", ".lst", ".list"):
        names = [one.relative_to(path.parent).as_posix() for one in _files(path.parent)]
    return f"{_add(path.parent, names, inputs)}/{path.name}"


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _add(folder: Path, names: list[str], inputs: Inputs) -> str:
    digest = digest_of(folder, names)
    if digest is None:
        raise UserError(f"a file in {shown(folder)} cannot be read")
    inputs[digest] = (str(folder), names)
    return digest
