"""Photo files → one file of crops, on all cores.

Each photo's crop goes straight to its place in the file, so that no pixels travel between
processes.
"""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from common import machine
from common.errors import UserError
from common.files import write_at
from data.decode import BadPhotoError
from data.preprocess import Preprocess
from runtimes.worker import DeadWorkerError, Worker

Progress = Callable[[int, int], None]  # photos done, photos in all

# OpenCV decodes without Python's global lock, so threads do as well as processes on a few cores
# and start at once, where a process takes 0.2 s. From this many photos on that no longer shows,
# and processes also scale to many cores, and survive a photo that kills the decoder.
PROCESSES_FROM = 4000
PER_TASK = 8  # few, since the last tasks leave cores idle; a task's overhead is 0.2 ms


_LABEL = "processes that decode photos do not start"


class Bad(NamedTuple):
    """Why a photo cannot be used, and whether that lies in its content and so will last."""

    reason: str
    lasting: bool


Decoded = dict[int, dict[int, Bad]]  # by a task's first photo: its bad photos, by their place


@dataclass(frozen=True)
class Task:
    """Photos whose crops go into a file from the byte `offset` on, one after the other."""

    paths: Sequence[str]
    preprocess: Preprocess
    file: Path
    offset: int

    @property
    def row_bytes(self) -> int:
        return self.preprocess.crop * self.preprocess.crop * 3

    def part(self, start: int, stop: int) -> "Task":
        """The task for some of the photos."""
        offset = self.offset + start * self.row_bytes
        return replace(self, paths=self.paths[start:stop], offset=offset)


def decode_many(
    paths: Sequence[Path],
    preprocess: Preprocess,
    file: Path,
    offset: int,
    known: Mapping[int, Mapping[int, Bad]] | None = None,
    *,
    workers: int | None = None,
    progress: Progress | None = None,
    note: Callable[[int, dict[int, Bad]], None] | None = None,
) -> dict[int, Bad]:
    """Write the crops of photos, uint8 [N, S, S, 3], into an existing file from byte `offset` on.

    `known` are the tasks (`Decoded`) that an earlier run has written there, and `note` is told of
    each one that is finished now. Returns the photos that cannot be used, by their place in
    `paths`; what the file holds there is undefined.
    """
    # Absolute, since the workers have a working folder of their own.
    task = Task([str(path.absolute()) for path in paths], preprocess, file.absolute(), offset)
    workers = workers or machine.threads()
    if len(paths) < PROCESSES_FROM or workers == 1:
        decoder: AbstractContextManager[Callable] = nullcontext(decode_some)
    else:
        decoder = _Workers()
    with decoder as decode:
        pool = ThreadPoolExecutor(workers)
        known = known or {}
        bad = {start + row: why for start, one in known.items() for row, why in one.items()}
        starts = [start for start in range(0, len(paths), PER_TASK) if start not in known]
        done = sum(min(PER_TASK, len(paths) - start) for start in known)
        if progress and done:
            progress(done, len(paths))  # so that the time left is not told by what was done before
        try:
            tasks = ((start, task.part(start, start + PER_TASK)) for start in starts)
            for start, found in _completed(pool, decode, tasks, 4 * workers):
                bad |= {start + row: why for row, why in found.items()}
                done += min(PER_TASK, len(paths) - start)
                if note:
                    note(start, found)
                if progress:
                    progress(done, len(paths))
        finally:
            pool.shutdown(cancel_futures=True)
    return dict(sorted(bad.items()))


def _completed(
    pool: ThreadPoolExecutor, decode: Callable, tasks: Iterable[tuple[int, Task]], count: int
) -> Iterator[tuple[int, dict[int, Bad]]]:
    """Each task's first photo and bad photos, in the order of their ends; at most `count` tasks
    wait, however many there are."""
    waiting: dict[Future, int] = {}
    for start, task in tasks:
        waiting[pool.submit(decode, task)] = start
        while len(waiting) >= count:
            yield from _ended(waiting)
    while waiting:
        yield from _ended(waiting)


def _ended(waiting: dict[Future, int]) -> Iterator[tuple[int, dict[int, Bad]]]:
    done = wait(waiting, return_when=FIRST_COMPLETED).done
    for future in [one for one in waiting if one in done]:
        yield waiting.pop(future), future.result()


def decode_some(task: Task) -> dict[int, Bad]:
    """Decode a task's photos; returns the bad ones by their place in the task."""
    bad = {}
    with task.file.open("r+b", buffering=0) as stream:
        for row, path in enumerate(task.paths):
            try:
                with open(path, "rb", buffering=0) as photo:  # noqa: PTH123
                    data = photo.read()
                crop = task.preprocess.crop_photo(task.preprocess.decode(data))
            except BadPhotoError as error:
                bad[row] = Bad(str(error), lasting=True)
            except OSError as error:
                bad[row] = Bad((error.strerror or str(error)).lower(), lasting=False)
            except MemoryError:
                bad[row] = Bad("too large for this machine's memory", lasting=False)
            else:
                write_at(stream.fileno(), crop.data, task.offset + row * task.row_bytes)
    return bad


_KILLER = Bad(
    "its decoding was killed: damaged in a way that crashes the decoder, or too large",
    lasting=False,
)


class _Workers:
    """`decode_some` in child processes, one for each thread that calls.

    A photo that kills its process becomes a bad photo like any other.
    """

    def __init__(self) -> None:
        self._mine = threading.local()
        self._all = ExitStack()

    def __enter__(self) -> Callable[[Task], dict[int, Bad]]:
        return self._decode

    def __exit__(self, *_: object) -> None:
        self._all.close()

    def _decode(self, task: Task) -> dict[int, Bad]:
        try:
            return self._worker().call(decode_some, task=task)
        except DeadWorkerError:
            self._mine.worker = None
        if len(task.paths) == 1:
            return {0: _KILLER}
        # One of them did it; the others have a right to be decoded.
        alone = [self._decode(task.part(row, row + 1)) for row in range(len(task.paths))]
        return {row: bad[0] for row, bad in enumerate(alone) if bad}

    def _worker(self) -> Worker:
        if getattr(self._mine, "worker", None) is None:
            try:
                self._mine.worker = self._start()
            except DeadWorkerError:  # somebody killed it before it was ready
                try:
                    self._mine.worker = self._start()
                except DeadWorkerError as error:
                    raise UserError(f"{error}; run: make setup") from None
        return self._mine.worker

    def _start(self) -> Worker:
        worker = self._all.enter_context(Worker("main", _LABEL))
        worker.call(_settle)
        return worker


def _settle() -> None:
    """In a child process, before its first task: there is a process per core already."""
    import cv2

    cv2.setNumThreads(1)
