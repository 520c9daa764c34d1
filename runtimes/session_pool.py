"""A file, opened in child processes of its own: how it is to run, and running it."""

import collections
import concurrent.futures
import contextlib
import queue
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from common.console import Progress
from common.mapped import gathered
from runtimes.hosts.base import Host
from runtimes.hosts.local import LOCAL
from runtimes.worker import Worker

Execution = Literal["native", "emulated", "served", "simulated", "none"]
NATIVE: Execution = "native"
EMULATED: Execution = "emulated"
SERVED: Execution = "served"
SIMULATED: Execution = "simulated"
NONE: Execution = "none"


@dataclass(frozen=True)
class SessionSpec:
    """How a precision of a target runs.

    `execution` is "native" (the hardware that the target names), "emulated" (its instructions,
    executed by another processor), "served" (what is in production, on hardware that nobody tells),
    "simulated" (its arithmetic on other hardware) or "none";
    `reason` says why it is not native. `host` is where its processes run. `session` is the class in
    `runtimes.sessions` that runs it, in `environment`, made with `options` beside the folder.
    `photos` is how many photos are enough for a runtime that is slow (None: all of them), and
    `batch` how many it is given at once;
    `one_thread` marks a runtime that uses one thread only, so that several work side by side;
    `real` marks a simulation that is the target's own software on other hardware, so that its
    speed is one, though another hardware's.
    """

    execution: Execution
    session: str = ""
    environment: str = "main"
    reason: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    photos: int | None = None
    batch: int = 10
    one_thread: bool = False
    real: bool = False
    host: Host = LOCAL


class SessionPool:
    """A target's file, opened in processes of its own: `logits = run(batches)`.

    Batches are float32 [n, 3, S, S], or paths of photos where a server prepares them itself; logits
    are float32 [N, classes]. A runtime that uses one thread is opened once per core, and takes as
    many batches at a time.
    """

    def __init__(self, workers: list[Worker]):
        self._workers = workers

    def __call__(self, batches: Iterable[np.ndarray | list[str]], progress: Progress, total: int):
        """The logits of all batches, in order, mapped from a file; `progress` hears of the photos
        done."""
        free: queue.SimpleQueue[Worker] = queue.SimpleQueue()
        for worker in self._workers:
            free.put(worker)

        def infer(batch: np.ndarray | list[str]) -> np.ndarray:
            worker = free.get()
            try:
                return worker.use("run", batch=batch)
            finally:
                free.put(worker)

        progress(0, total)
        pool = concurrent.futures.ThreadPoolExecutor(len(self._workers))

        def logits() -> Iterator[np.ndarray]:
            done = 0
            for part in _ahead(pool, infer, batches, 2 * len(self._workers)):
                yield part
                done += len(part)
                progress(done, total)

        try:
            return gathered(logits())
        finally:
            # Interrupted, it waits for no batch, which takes minutes where QEMU executes it: what
            # the workers are at ends with them.
            pool.shutdown(wait=False, cancel_futures=True)

    def environment(self) -> dict[str, Any]:
        """CPU, threads, the arithmetic in use and the runtime's version."""
        return {"cpu": self._workers[0].host.model, **self._workers[0].use("environment")}


def _ahead(pool, function, items: Iterable, count: int) -> Iterator:
    """Map over items in order, at most `count` of them begun and not yet taken."""
    waiting: collections.deque[concurrent.futures.Future] = collections.deque()
    for item in items:
        waiting.append(pool.submit(function, item))
        if len(waiting) >= count:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


@contextlib.contextmanager
def open_sessions(session_spec: SessionSpec, folder: Path, precision: str) -> Iterator[SessionPool]:
    """Open a folder's file as specified. Raises StepError when the runtime dies or refuses."""
    label = f"{session_spec.session.rpartition('.')[2].partition(':')[0]} running {folder}"
    host = session_spec.host
    count, threads = (host.cores, 1) if session_spec.one_thread else (1, host.cores)
    with contextlib.ExitStack() as stack:
        workers = []
        for _ in range(count):
            worker = stack.enter_context(Worker(session_spec.environment, label, host=host))
            worker.open(
                session_spec.session,
                folder=host.bring(folder),
                precision=precision,
                threads=threads,
                **session_spec.options,
            )
            workers.append(worker)
        yield SessionPool(workers)
