"""What a target is: how its file is made, and how it runs on this machine."""

import abc
import collections
import concurrent.futures
import contextlib
import queue
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from calib.photos import Calibration
from calib.recipe import METHODS, Recipe
from calib.twins import Grid
from common import machine
from common.console import Progress
from common.errors import UserError
from convert.artifact import Artifact
from convert.to_onnx import to_onnx
from convert.worker import Worker
from data.loader import Crops

NATIVE = "native"
SIMULATED = "simulated"
NONE = "none"


@dataclass(frozen=True)
class Options:
    """What the user may choose for the files of every target.

    For INT8 also the photos to calibrate on, and how their ranges are used (None: as an earlier
    calibration of the model for the target found best, else the default).
    """

    opset: int
    calibration: Calibration | None = None
    recipe: Recipe | None = None

    def measured(self, inference: Artifact) -> tuple[Artifact, Artifact, Crops, Recipe]:
        """What the INT8 files of all targets start from: ONNX file, ranges, photos and recipe."""
        if self.calibration is None:
            raise UserError("int8 needs photos to calibrate on: CALIB=folder")
        onnx = to_onnx(inference, self.opset)
        return onnx, *self.calibration.measure(onnx), self.recipe or Recipe()


@dataclass(frozen=True)
class Plan:
    """How a precision of a target runs here.

    `execution` is "native" (the hardware that the target names), "simulated" (its arithmetic on
    other hardware) or "none"; `reason` says why it is not native. `session` is the class in
    `convert.runtimes` that runs it, in `environment`, made with `options` beside the folder.
    `photos` is how many photos are enough for a runtime that is slow (None: all of them);
    `one_thread` marks a runtime that uses one thread only, so that several work side by side;
    `real` marks a simulation that is the target's own software on other hardware, so that its
    speed is one, though another hardware's.
    """

    execution: str
    session: str = ""
    environment: str = "main"
    reason: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    photos: int | None = None
    one_thread: bool = False
    real: bool = False


class Target(abc.ABC):
    """One row of the table of targets; a subclass a file.

    `published_gpu` is the GPU whose published latencies it is held against ("T4"), if any.
    `on_request` are precisions that are made only for who names them, with the `warning`;
    `methods` are the ways to calibrate INT8, the cheapest first.
    """

    name: str
    summary: str
    precisions: tuple[str, ...]
    steps: tuple[str, ...]
    hardware: str
    published_gpu: str | None = None
    on_request: tuple[str, ...] = ()
    warning: str = ""
    methods: tuple[str, ...] = METHODS

    @abc.abstractmethod
    def build(self, inference: Artifact, precision: str, options: Options) -> Artifact:
        """Make (or find) the file that is deployed on this target."""

    @abc.abstractmethod
    def plan(self, precision: str) -> Plan:
        """How this precision runs on this machine."""

    def timed(self, precision: str) -> Plan:
        """How it runs where its speed is measured: the same, unless `plan` is made for checking."""
        return self.plan(precision)

    def grid(self) -> Grid:
        """The integers of its INT8."""
        return Grid(symmetric=True, weight_limit=127)

    def problem(self) -> str | None:
        """Why its files cannot even be built here, with the command that would mend it."""
        return None

    def established(self, artifact: Artifact) -> str:
        """What making the file has shown of a target that does not run here; "" for nothing."""
        return ""

    def stand_in(self, artifact: Artifact, inference: Artifact, precision: str, options: Options):
        """The artifact to run in place of `artifact` where the plan is a simulation."""
        return artifact


class Runner:
    """A target's file, opened in processes of its own: `logits = run(batches)`.

    Batches are float32 [n, 3, S, S], logits float32 [N, classes]. A runtime that uses one thread
    is opened once per core, and takes as many batches at a time.
    """

    def __init__(self, workers: list[Worker]):
        self._workers = workers

    def __call__(self, batches: Iterable[np.ndarray], progress: Progress, total: int):
        """The logits of all batches, in order; `progress` hears of the photos done."""
        free = queue.SimpleQueue()
        for worker in self._workers:
            free.put(worker)

        def infer(batch: np.ndarray) -> np.ndarray:
            worker = free.get()
            try:
                return worker.use("run", batch=batch)
            finally:
                free.put(worker)

        done = []
        progress(0, total)
        with concurrent.futures.ThreadPoolExecutor(len(self._workers)) as pool:
            for part in _ahead(pool, infer, batches, 2 * len(self._workers)):
                done.append(part)
                progress(sum(map(len, done)), total)
        return np.concatenate(done)

    def environment(self) -> dict[str, Any]:
        """CPU, vector extensions, threads, the arithmetic in use and the runtime's version."""
        found = self._workers[0].use("environment")
        return {"cpu": machine.cpu(), "isa": machine.isa(), **found}


def _ahead(pool, function, items: Iterable, count: int) -> Iterator:
    """Map over items in order, at most `count` of them begun and not yet taken."""
    waiting = collections.deque()
    for item in items:
        waiting.append(pool.submit(function, item))
        if len(waiting) >= count:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


@contextlib.contextmanager
def open_runner(plan: Plan, artifact: Artifact, precision: str) -> Iterator[Runner]:
    """Open an artifact as the plan says. Raises StepError when the runtime dies or refuses."""
    label = f"{plan.session.rpartition('.')[2].partition(':')[0]} running {artifact.folder}"
    with contextlib.ExitStack() as stack:
        workers = []
        for _ in range(machine.threads() if plan.one_thread else 1):
            worker = stack.enter_context(Worker(plan.environment, label))
            worker.open(
                plan.session,
                folder=str(artifact.folder),
                precision=precision,
                threads=machine.threads(),
                **plan.options,
            )
            workers.append(worker)
        yield Runner(workers)
