"""A matrix on a Ray cluster: from jobs to results, with what is kept of a run that was ended."""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from common import files
from common.cli import Exit
from common.console import say
from common.paths import ROOT, build_root
from common.strict_json import FormError, decode, encode, parse
from deploy.request.values import INT8, Cell
from deploy.scale.fleet import Ended, Fleet
from deploy.scale.jobs import CellJob
from deploy.scale.node import Inputs, toolkit_digest
from deploy.verdict import result
from deploy.verdict.result import Result
from deploy.verdict.tables import verdict
from runtimes.hosts.base import Host

_JOURNAL = "matrix-on-ray.json"


@dataclass
class Outcomes:
    """What a run came to: a build's results, why cells have none, and why builds are broken."""

    results: dict[str, list[Result]] = field(default_factory=dict)
    absent: dict[tuple[str, Cell], str] = field(default_factory=dict)
    broken: dict[str, str] = field(default_factory=dict)


def on_cluster(
    jobs: Sequence[CellJob], inputs: Inputs, host: Host, address: str, wait: float
) -> Outcomes:
    """Run the jobs, whose targets run on `host`, on the cluster at this address.

    What an earlier run of the same jobs finished before it was ended is taken from there. A
    resource that no node offers for `wait` seconds leaves its cells without a result. Raises
    UserError where there is no cluster, or none of its nodes can work.
    """
    toolkit = toolkit_digest(ROOT)
    journal = _Journal(files.sha256_of([toolkit, [job.words for job in jobs], sorted(inputs)]))
    found = Outcomes({job.folder: [] for job in jobs})
    left = []
    for job in jobs:
        if (earlier := journal.found(job)) is None:
            left.append(job)
        else:
            found.results[job.folder] += earlier
    if len(left) < len(jobs):
        say(f"  {len(jobs) - len(left)} of {len(jobs)} cells were done before this run was ended")
    if left:
        with Fleet(address, wait) as fleet:
            fleet.bring(inputs)
            for ended in fleet.run(left):
                ended.say(_take(ended, journal, found, host, wait))
    order = {(job.folder, job.cell[0].name, job.cell[1]): place for place, job in enumerate(jobs)}
    found.results = {
        build: sorted(row, key=functools.partial(_place, order, build))
        for build, row in found.results.items()
    }
    journal.remove()
    return found


def _place(order: Mapping[tuple[str, str, str], int], build: str, one: Result) -> int:
    return order[build, one.target, one.precision]


def _take(ended: Ended, journal: "_Journal", to: Outcomes, host: Host, wait: float) -> str:
    """Take in how a job ended; what to say of it."""
    job, told = ended.job, ended.told
    assert isinstance(job, CellJob)
    if "absent" in told:
        reason = f"{told['absent']} within {wait:g} s"
        to.absent[job.folder, job.cell] = reason
        return f"unavailable: {reason}"
    if "lost" in told:
        to.broken[job.folder] = f"{job.name}: {told['lost']}"
        return f"lost: {told['lost']}"
    try:
        results = [decode(Result, parse(line)) for line in told["out"].splitlines()]
    except FormError as error:
        to.broken[job.folder] = f"{job.name}: what it printed is no result: {error}"
        return f"no result ({ended.where})"
    if not results and told["status"] not in (Exit.OK, Exit.UNDECIDED):
        to.broken[job.folder] = f"{job.name}: {ended.problem}"
        return f"broken ({ended.where}): {ended.problem}"
    for one in results:
        _keep(job, one, host)
    to.results[job.folder] += results
    journal.add(job, results)
    said = ", ".join(map(verdict, results)) or "nothing to judge here"
    return f"{said}, {ended.where}"


def _keep(job: CellJob, one: Result, host: Host) -> None:
    target, precision = job.cell
    result.write(one, target.session_spec_on(host, precision).host.label)
    here = target.present_digests(one.name, precision) if precision == INT8 else None
    if here and one.files and here != one.files:
        say(
            f"  warning: {job.name} was judged by another INT8 file than the one in "
            f"{build_root() / one.name}; calibrate here, and share the folder"
        )


class _Journal:
    """The results of a run that is not finished: a driver that was killed goes on from there."""

    def __init__(self, key: str):
        self._key = key
        self._path: Path = build_root() / _JOURNAL
        there = files.read_json(self._path)
        ours = isinstance(there, dict) and there.get("run") == key
        self._cells: dict[str, list] = there["cells"] if ours else {}

    def found(self, job: CellJob) -> list[Result] | None:
        """The results of a job that is done; None where it is not."""
        try:
            return [decode(Result, one) for one in self._cells[job.name]]
        except (KeyError, FormError):
            return None

    def add(self, job: CellJob, results: Sequence[Result]) -> None:
        self._cells[job.name] = [encode(one) for one in results]
        files.write_json(self._path, {"run": self._key, "cells": self._cells})

    def remove(self) -> None:
        self._path.unlink(missing_ok=True)
