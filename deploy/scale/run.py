"""A matrix on a Ray cluster: from jobs to results, with what is kept of a run that was ended."""

import functools
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from common import files
from common.cli import Exit
from common.console import say, span
from common.errors import UserError
from common.paths import ROOT, build_root
from common.strict_json import FormError, decode, encode, parse
from deploy.request.values import INT8, Cell
from deploy.scale.jobs import Job
from deploy.scale.node import Inputs, toolkit_digest
from deploy.verdict import result
from deploy.verdict.result import Result
from deploy.verdict.tables import verdict
from runtimes.hosts.base import Host
from runtimes.worker import Worker

_JOURNAL = "matrix-on-ray.json"
_POLL = 2.0  # seconds
_LONGEST_JOIN = 3600.0  # of all nodes together, with what is sent to them


@dataclass
class Outcomes:
    """What a run came to: a build's results, why cells have none, and why builds are broken."""

    results: dict[str, list[Result]] = field(default_factory=dict)
    absent: dict[tuple[str, Cell], str] = field(default_factory=dict)
    broken: dict[str, str] = field(default_factory=dict)


def on_cluster(
    jobs: Sequence[Job], inputs: Inputs, host: Host, address: str, wait: float
) -> Outcomes:
    """Run the jobs, whose targets run on `host`, on the cluster at this address.

    What an earlier run of the same jobs finished before it was ended is taken from there. A
    resource that no node offers for `wait` seconds leaves its cells without a result. Raises
    UserError where there is no cluster, or none of its nodes can work.
    """
    toolkit = toolkit_digest(ROOT)
    journal = _Journal(files.sha256_of([toolkit, [job.words for job in jobs], sorted(inputs)]))
    found = Outcomes({job.build: [] for job in jobs})
    left = []
    for job in jobs:
        if (earlier := journal.found(job)) is None:
            left.append(job)
        else:
            found.results[job.build] += earlier
    if len(left) < len(jobs):
        say(f"  {len(jobs) - len(left)} of {len(jobs)} cells were done before this run was ended")
    if left:
        with Worker("ray", "the Ray cluster") as worker:
            where = {"address": address, "root": str(ROOT), "wait": wait}
            worker.open("deploy.scale.cluster:Cluster", **where)
            _join(worker, toolkit, inputs)
            worker.use("submit", jobs=[{"words": job.words, "needs": job.needs} for job in left])
            _Run(worker, left, journal, found, host, wait).finish()
            worker.use("close")
    order = {(job.build, job.cell[0].name, job.cell[1]): place for place, job in enumerate(jobs)}
    found.results = {
        build: sorted(row, key=functools.partial(_place, order, build))
        for build, row in found.results.items()
    }
    journal.remove()
    return found


def _place(order: Mapping[tuple[str, str, str], int], build: str, one: Result) -> int:
    return order[build, one.target, one.precision]


def _join(worker: Worker, toolkit: str, inputs: Inputs) -> None:
    """See which nodes can work, and say so."""
    sheets = worker.use("join", _LONGEST_JOIN, toolkit=toolkit, inputs=inputs)
    for sheet in sheets:
        if "problem" in sheet:
            say(f"  node {sheet['name']} is left out: {sheet['problem']}")
        else:
            sent = f", {sheet['sent']} inputs sent there" if sheet["sent"] else ""
            say(f"  node {sheet['name']}: {sheet['cpus']:g} processors{sent}")
    if all("problem" in sheet for sheet in sheets):
        raise UserError("no node of the cluster can work, for the reasons above")


class _Run:
    """Jobs that a cluster works on."""

    def __init__(
        self,
        worker: Worker,
        jobs: Sequence[Job],
        journal: "_Journal",
        to: Outcomes,
        host: Host,
        wait: float,
    ):
        self._worker, self._jobs, self._journal, self._to = worker, jobs, journal, to
        self._host, self._wait = host, wait
        self._done, self._started = 0, time.monotonic()

    def finish(self) -> None:
        while self._done < len(self._jobs):
            for event in self._worker.use("poll", seconds=_POLL):
                self._done += 1
                job = self._jobs[event["job"]]
                said = self._take(job, event)
                say(f"  {self._done} of {len(self._jobs)}  {job.name}: {said}{self._time_left()}")

    def _time_left(self) -> str:
        left = len(self._jobs) - self._done
        took = time.monotonic() - self._started
        return f"; about {span(took / self._done * left)} left" if left else ""

    def _take(self, job: Job, event: Mapping[str, Any]) -> str:
        """Take in how a job ended; what to say of it."""
        if "absent" in event:
            reason = f"no node offered {event['absent']} within {self._wait:g} s"
            self._to.absent[job.build, job.cell] = reason
            return f"unavailable: {reason}"
        if "lost" in event:
            self._to.broken[job.build] = f"{job.name}: {event['lost']}"
            return f"lost: {event['lost']}"
        where = f"{event['seconds']:.0f} s on {event['node']}"
        try:
            results = [decode(Result, parse(line)) for line in event["out"].splitlines()]
        except FormError as error:
            self._to.broken[job.build] = f"{job.name}: what it printed is no result: {error}"
            return f"no result ({where})"
        if not results and event["status"] not in (Exit.OK, Exit.UNDECIDED):
            lines = [one for one in event["err"].splitlines() if one.startswith("error: ")]
            ended = f"ended with status {event['status']}"
            reason = lines[-1].removeprefix("error: ") if lines else ended
            self._to.broken[job.build] = f"{job.name}: {reason}"
            return f"broken ({where}): {reason}"
        for one in results:
            self._keep(job, one)
        self._to.results[job.build] += results
        self._journal.add(job, results)
        said = ", ".join(map(verdict, results)) or "nothing to judge here"
        return f"{said}, {where}"

    def _keep(self, job: Job, one: Result) -> None:
        target, precision = job.cell
        result.write(one, target.session_spec_on(self._host, precision).host.label)
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

    def found(self, job: Job) -> list[Result] | None:
        """The results of a job that is done; None where it is not."""
        try:
            return [decode(Result, one) for one in self._cells[job.name]]
        except (KeyError, FormError):
            return None

    def add(self, job: Job, results: Sequence[Result]) -> None:
        self._cells[job.name] = [encode(one) for one in results]
        files.write_json(self._path, {"run": self._key, "cells": self._cells})

    def remove(self) -> None:
        self._path.unlink(missing_ok=True)
