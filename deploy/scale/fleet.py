"""The nodes of a Ray cluster from this side: jobs go there, and what they printed comes back."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from common.console import say, span
from common.errors import UserError
from common.paths import ROOT
from deploy.scale.node import Build, Inputs, toolkit_digest
from runtimes.worker import Worker

_POLL = 2.0  # seconds
_LONGEST_JOIN = 3600.0  # of all nodes together, with what is sent to them


@dataclass(frozen=True)
class Job:
    """A command for a node, by a `name` for people: its words, the resources that it asks Ray for,
    and the artifacts that it starts from, in a build folder of its own (none: in the node's)."""

    name: str
    words: list[str]
    needs: list[str] = field(default_factory=list)
    build: Build = field(default_factory=dict)


@dataclass(frozen=True)
class Ended:
    """How a job ended: `told` is what `deploy.scale.cluster.Cluster.poll` says. `count` and `left`
    say how many have, and when all will, for a line."""

    job: Job
    told: Mapping[str, Any]
    count: str
    left: str

    def say(self, what: str) -> None:
        """A line about it."""
        say(f"  {self.count}  {self.job.name}: {what}{self.left}")

    @property
    def where(self) -> str:
        return f"{self.told['seconds']:.0f} s on {self.told['node']}"

    @property
    def problem(self) -> str | None:
        """Why the command gave nothing; None where it ran, and did not fail by itself."""
        if why := self.told.get("lost"):
            return why
        if self.told["status"] == 0:
            return None
        lines = [one for one in self.told["err"].splitlines() if one.startswith("error: ")]
        ended = f"ended with status {self.told['status']}"
        return lines[-1].removeprefix("error: ") if lines else ended


class Fleet:
    """The nodes that can work, for one command; a context manager.

    A resource that no node offers, or processors that none has free, for `wait` seconds are
    `absent`. UserError where there is no cluster.
    """

    def __init__(self, address: str, wait: float):
        self._address, self.wait = address, wait
        self._known: set[tuple[str, str]] = set()  # what was said of nodes

    def __enter__(self) -> "Fleet":
        self._worker = Worker("ray", "the Ray cluster").__enter__()
        try:
            where = {"address": self._address, "root": str(ROOT), "wait": self.wait}
            self._worker.open("deploy.scale.cluster:Cluster", **where)
        except BaseException as error:
            self._worker.__exit__(type(error), error, error.__traceback__)
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        try:
            if kind is None:
                self._worker.use("close")
        finally:
            self._worker.__exit__(kind, *rest)

    def bring(self, inputs: Inputs) -> None:
        """See which nodes can work, and bring them these inputs. UserError where none can."""
        sheets = self._worker.use(
            "join", _LONGEST_JOIN, toolkit=toolkit_digest(ROOT), inputs=inputs
        )
        for sheet in sheets:
            if "problem" in sheet:
                self._say_new(sheet["name"], f" is left out: {sheet['problem']}")
            else:
                sent = f", {sheet['sent']} inputs sent there" if sheet["sent"] else ""
                self._say_new(sheet["name"], f": {sheet['cpus']:g} processors", sent)
        if all("problem" in sheet for sheet in sheets):
            raise UserError("no node of the cluster can work, for the reasons above")

    def _say_new(self, name: str, what: str, beside: str = "") -> None:
        if beside or (name, what) not in self._known:
            say(f"  node {name}{what}{beside}")
        self._known.add((name, what))

    @property
    def slots(self) -> int:
        """How many jobs run at a time where nobody else is there."""
        return self._worker.use("slots")

    @property
    def cpus(self) -> int:
        """The processors that a job may use."""
        return max(1, int(self._worker.use("cpus")))

    def run(self, jobs: Sequence[Job]) -> Iterator[Ended]:
        """The jobs as they end. What is not done when the caller goes no further is cancelled."""
        started, done = time.monotonic(), 0
        sent = [{"words": one.words, "needs": one.needs, "build": one.build} for one in jobs]
        self._worker.use("submit", jobs=sent)
        try:
            while done < len(jobs):
                for told in self._worker.use("poll", seconds=_POLL):
                    done += 1
                    each, left = (time.monotonic() - started) / done, len(jobs) - done
                    yield Ended(
                        jobs[told["job"]],
                        told,
                        f"{done} of {len(jobs)}",
                        f"; about {span(each * left)} left" if left else "",
                    )
        except GeneratorExit:
            if done < len(jobs):
                self._worker.use("cancel")
            raise
