"""A matrix' cells as commands for other machines, and what they need there."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, field

from calib import kept as calibrations
from common.cli import Parser
from common.errors import UserError
from convert.builds import Chosen, builds, exported, weights_of
from deploy.request.values import Cell, calibrated, cell_name
from deploy.scale.fleet import Job
from deploy.scale.inputs import add, command_words, names_in
from deploy.scale.node import Inputs
from models.weights import Weights
from runtimes.hosts.local import LOCAL
from runtimes.hosts.phone import Phone
from runtimes.hosts.ssh import Ssh

_OWN = ("model", "name", "target", "precision", "weights", "jobs", "ray", "ray_wait", "only")
_SMALL = (".txt", ".json", ".yml", ".yaml", ".csv")  # what may say something of a checkpoint


@dataclass(frozen=True)
class CellJob(Job):
    """One cell of one build."""

    folder: str = ""
    cell: Cell = field(kw_only=True)


def matrix_jobs(
    parser: Parser,
    options: argparse.Namespace,
    chosen_ones: Sequence[Chosen],
    cells: Sequence[Cell],
) -> tuple[list[CellJob], Inputs]:
    """A job for every cell of every build, and the files that they need on a node.

    Paths among a job's words are written as their input's digest. Raises UserError for what only
    this machine has.
    """
    if options.host == Phone.name:
        raise UserError(f"--host {Phone.name} is one at this machine; leave out --ray")
    inputs: Inputs = {}
    words = command_words(parser, options, _OWN, inputs)
    for target, precision in cells:
        words += ["--target", target.name, "--precision", precision]
    jobs = []
    for chosen in chosen_ones:
        weights = weights_of(chosen, options.weights, options.weights_key)
        own = _build_words(chosen, weights, options, inputs)
        own += _calibrated_words(chosen, weights, cells, inputs)
        for cell in cells:
            name = cell_name(cell)
            command = ["deploy/validate.py", *own, *words, "--only", name, "--json"]
            jobs.append(
                CellJob(
                    name=f"{chosen.folder} {name}",
                    words=command,
                    needs=_needs(cell, options.host),
                    folder=chosen.folder,
                    cell=cell,
                )
            )
    return jobs, inputs


def _needs(cell: Cell, host: str) -> list[str]:
    """What a node has to offer: the card that the target names, or the way to a board."""
    if host.startswith(f"{Ssh.name}:"):
        return [host]
    card = cell[0].published_gpu
    return [f"accelerator_type:{card}"] if card and host == LOCAL.name else []


def _build_words(
    chosen: Chosen, weights: Weights, options: argparse.Namespace, inputs: Inputs
) -> list[str]:
    """The words that name a build, and its weights as they are here."""
    words = ["--model", chosen.spec.name]
    if chosen.name:
        words += ["--name", chosen.name]
    if weights.origin != "file":
        return [*words, "--weights", weights.origin]
    folder, name = weights.file.parent, weights.file.name
    beside = [
        path.name for path in sorted(folder.iterdir()) if path.is_file() and path.suffix in _SMALL
    ]
    digest = add(folder, sorted({name, *beside}), inputs)
    return [*words, "--weights", f"{digest}/{name}"]


def _calibrated_words(
    chosen: Chosen, weights: Weights, cells: Sequence[Cell], inputs: Inputs
) -> list[str]:
    """The word for the INT8 files of these weights that are kept here, so that a node judges these
    very files."""
    names = [chosen.name] if chosen.name else list(builds())
    graphs = [graph for name in names if (graph := exported(name))]
    for graph in graphs:
        if graph.model != chosen.spec.name or graph.facts["weights_sha256"] != weights.sha256:
            continue
        folder = calibrations.kept_folder(graph.name, "")
        wanted = {target.name for target, _ in calibrated(cells)}
        there = sorted(wanted & {name for name, _ in calibrations.calibrated(graph)})
        files = [f"{one}/{name}" for one in there for name in names_in(folder / one)]
        return ["--calibrated", add(folder, files, inputs)] if files else []
    return []
