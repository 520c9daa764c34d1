"""Photo files → one file of crops, on all cores.

Each photo's crop goes straight to its place in the file, so that no pixels travel between
processes.
"""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from common import machine
from data.decode import BadPhotoError
from data.preprocess import Preprocess

Progress = Callable[[int, int], None]  # photos done, photos in all

# OpenCV decodes without Python's global lock, so threads do as well as processes on a few cores
# and start at once, where a process takes 0.2 s. From this many photos on that no longer shows,
# and processes also scale to many cores, and survive a photo that kills the decoder.
PROCESSES_FROM = 4000
_PER_TASK = 8  # few, since the last tasks leave cores idle; a task's overhead is 0.2 ms


class Bad(NamedTuple):
    """Why a photo cannot be used, and whether that lies in its content and so will last."""

    reason: str
    lasting: bool


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
    *,
    workers: int | None = None,
    progress: Progress | None = None,
) -> dict[int, Bad]:
    """Write the crops of photos, uint8 [N, S, S, 3], into an existing file from byte `offset` on.

    Returns the photos that cannot be used, by their place in `paths`; what the file holds there is
    undefined.
    """
    task = Task([os.fspath(path) for path in paths], preprocess, file, offset)
    workers = workers or machine.threads()
    if len(paths) < PROCESSES_FROM or workers == 1:
        decoder = nullcontext(decode_some)
    else:
        from data.decode_process import DecodeProcesses

        decoder = DecodeProcesses()
    with decoder as decode:
        pool = ThreadPoolExecutor(workers)
        try:
            futures = {
                pool.submit(decode, task.part(start, start + _PER_TASK)): start
                for start in range(0, len(paths), _PER_TASK)
            }
            bad, done = {}, 0
            for future in as_completed(futures):
                start = futures[future]
                bad |= {start + row: why for row, why in future.result().items()}
                done += min(_PER_TASK, len(paths) - start)
                if progress:
                    progress(done, len(paths))
        finally:
            pool.shutdown(cancel_futures=True)
    return dict(sorted(bad.items()))


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
                os.pwrite(stream.fileno(), crop, task.offset + row * task.row_bytes)
    return bad
