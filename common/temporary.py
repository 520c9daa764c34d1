"""Temporary folders that go with what made them, however that ends.

A process that is killed cannot remove its own. So a file beside a folder is locked as long as the
folder is in use, and the next command removes those that are not.
"""

import contextlib
import fcntl
import functools
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

_PREFIX = "portage-"
_HELD = ".held"


@contextlib.contextmanager
def temporary_folder(root: Path | None = None) -> Iterator[Path]:
    """A new folder in `root`, by default the one for temporary files, until the block ends.

    Files beside it that begin with its name, as a child's own shared memory may be called, go, too.
    """
    root = root or Path(tempfile.gettempdir())
    sweep(root)
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=root))
    try:
        hidden = folder.with_name(f".{folder.name}{_HELD}")
        with hidden.open("w") as holder:
            fcntl.flock(holder, fcntl.LOCK_EX)
            hidden.rename(folder.with_name(f"{folder.name}{_HELD}"))  # never there and not locked
            yield folder
    finally:
        _remove(folder)


@functools.cache
def sweep(root: Path) -> None:
    """Remove what killed processes left in `root`, once in a process's life."""
    for held in root.glob(f"{_PREFIX}*{_HELD}"):
        if not is_held(held):
            _remove(held.with_suffix(""))


def is_held(path: Path) -> bool:
    """Whether a path is a folder of `temporary_folder` that is in use, or the file beside it."""
    held = path if path.suffix == _HELD else path.with_name(f"{path.name}{_HELD}")
    try:
        with held.open("r") as holder:
            fcntl.flock(holder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def _remove(folder: Path) -> None:
    """The folder first: what is interrupted here is found again by the file beside it."""
    shutil.rmtree(folder, ignore_errors=True)
    for beside in folder.parent.glob(f"{folder.name}?*"):
        with contextlib.suppress(OSError):
            beside.unlink()
