"""The curves of a training, step by step and epoch by epoch, for VisualDL."""

import contextlib
import io
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from models.training_log import STEPS


class Curves:
    """A folder that `visualdl --logdir` shows; use it as a context manager.

    A training that goes on does so after the first `kept` bytes: steps that it takes again leave
    no second mark.
    """

    def __init__(self, folder: Path, kept: int = 0):
        from visualdl import LogWriter

        self._file = folder / STEPS
        if self._file.exists():
            os.truncate(self._file, min(kept, self._file.stat().st_size))
        with contextlib.redirect_stdout(io.StringIO()):  # it announces a file that is there
            self._writer = LogWriter(str(folder), file_name=STEPS)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._writer.close()

    def mark(self, every: str, number: int, values: Mapping[str, float]) -> None:
        """Add a point to each curve, at a step or an epoch: `every` is the word for which."""
        for name, value in values.items():
            self._writer.add_scalar(f"{every}/{name}", value, number)

    def size(self) -> int:
        """Bytes in the file, with all the points in it."""
        self._writer.flush()
        return self._file.stat().st_size
