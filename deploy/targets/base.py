"""What a target is: how its file is made, and how it runs on this machine."""

import abc
import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from common import machine
from convert.artifact import Artifact
from convert.worker import Worker

NATIVE = "native"
SIMULATED = "simulated"
NONE = "none"


@dataclass(frozen=True)
class Options:
    """What the user may choose for the files of every target."""

    opset: int


@dataclass(frozen=True)
class Plan:
    """How a precision of a target runs here.

    `execution` is "native" (the hardware that the target names), "simulated" (its arithmetic on
    other hardware) or "none"; `reason` says why it is not native. `session` is the class in
    `convert.runtimes` that runs it, in `environment`, made with `options` beside the folder.
    `photos` is how many photos are enough for a runtime that is slow (None: all of them).
    """

    execution: str
    session: str = ""
    environment: str = "main"
    reason: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    photos: int | None = None


class Target(abc.ABC):
    """One row of the table of targets; a subclass a file."""

    name: str
    summary: str
    precisions: tuple[str, ...]
    steps: tuple[str, ...]
    hardware: str

    @abc.abstractmethod
    def build(self, inference: Artifact, precision: str, options: Options) -> Artifact:
        """Make (or find) the file that is deployed on this target."""

    @abc.abstractmethod
    def plan(self, precision: str) -> Plan:
        """How this precision runs on this machine."""

    def problem(self) -> str | None:
        """Why its files cannot even be built here, with the command that would mend it."""
        return None

    def stand_in(self, artifact: Artifact, inference: Artifact, precision: str, options: Options):
        """The artifact to run in place of `artifact` where the plan is a simulation."""
        return artifact


class Runner:
    """A target's file, opened in a process of its own: `logits = runner(batch)`.

    Batches are float32 [N, 3, S, S], logits float32 [N, classes].
    """

    def __init__(self, worker: Worker, plan: Plan):
        self._worker = worker
        self._plan = plan

    def __call__(self, batch: np.ndarray) -> np.ndarray:
        return self._worker.use("run", batch=batch)

    def environment(self) -> dict[str, Any]:
        """CPU, vector extensions, threads, the arithmetic in use and the runtime's version."""
        return {"cpu": machine.cpu(), "isa": machine.isa(), **self._worker.use("environment")}


@contextlib.contextmanager
def open_runner(plan: Plan, artifact: Artifact, precision: str) -> Iterator[Runner]:
    """Open an artifact as the plan says. Raises StepError when the runtime dies or refuses."""
    label = f"{plan.session.rpartition('.')[2].partition(':')[0]} running {artifact.folder}"
    with Worker(plan.environment, label) as worker:
        worker.open(
            plan.session,
            folder=str(artifact.folder),
            precision=precision,
            threads=machine.threads(),
            **plan.options,
        )
        yield Runner(worker, plan)
