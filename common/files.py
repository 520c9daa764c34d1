"""Files that are either whole or absent: hashes, stamps, atomic writing, locks."""

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import shutil
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from common.errors import UserError

_TRIAL = 64 << 20  # bytes


def sha256(path: Path) -> str:
    """The SHA-256 of a file's bytes, as hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def stamp(path: str | Path) -> list[int]:
    """What changes whenever a file's bytes do: size, times of change (ns), inode."""
    status = os.stat(path)  # noqa: PTH116 (Path is slow for 50,000 of them)
    # The change time as well: unlike the modification time no tool can set it back.
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]


def sha256_of(value: Any) -> str:
    """The SHA-256 of a JSON value, independent of the order of its keys."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


@contextlib.contextmanager
def atomic(path: Path, mode: str = "w") -> Iterator:
    """Open a file for writing that takes its name only once it is whole and on disk.

    A failure, or a kill, leaves the old file (or none) under that name. What a kill leaves beside
    it the next writer takes; a second writer waits for the first.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.new")
    with os.fdopen(_taken(temporary), mode) as stream:
        try:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
            temporary.chmod(0o644)
            temporary.replace(path)
        except BaseException as error:
            with contextlib.suppress(OSError):
                temporary.unlink()
            if isinstance(error, OSError) and error.errno and error.filename is None:
                error.filename = str(path)  # what a write to a full disk does not say
            raise


def _taken(path: Path) -> int:
    """A handle of a file that is empty and locked, and is still called so."""
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            with contextlib.suppress(FileNotFoundError):  # its writer has given it its name
                if os.path.samestat(os.fstat(handle), path.stat()):
                    os.ftruncate(handle, 0)
                    return handle
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)


@contextlib.contextmanager
def atomic_folder(folder: Path) -> Iterator[Path]:
    """A new folder, to be filled, that takes its name only once the block ends well.

    The caller holds a lock. What an earlier run left behind when it was killed is removed; its
    processes may still be writing there, but not under another name.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    for leftover in folder.parent.glob(f".{folder.name}.*/"):  # a folder: the lock is a file
        shutil.rmtree(leftover.rename(f"{leftover}.old"), ignore_errors=True)
    scratch = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}.")).resolve()
    try:
        yield scratch
        if folder.exists():
            shutil.rmtree(folder)
        scratch.chmod(0o755)
        scratch.replace(folder)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def require_place(path: Path) -> None:
    """Raise UserError where no file can be made at a path, before the work that fills it; folders
    above it that are missing are made with the file."""
    above = next(folder for folder in path.parents if folder.exists())
    try:
        with tempfile.TemporaryFile(dir=above):
            pass
    except OSError as error:
        raise UserError(
            f"{path}: no file can be made there ({error.strerror}); name another place"
        ) from None


def place(source: Path, destination: Path) -> None:
    """The same file under another name; without a second copy where the disk allows it."""
    try:
        os.link(source, destination)
    except OSError:
        shutil.copyfile(source, destination)


def lack_of_room(folder: Path, least: int) -> OSError | None:
    """Why a folder does not take so many bytes; None where it does, as far as can be told.

    What is free on its disk can be asked. What a quota leaves only shows where it is tried, which
    is done with 64 MiB at most.
    """
    lacks = errno.ENOSPC if shutil.disk_usage(folder).free < least else 0
    try:
        with tempfile.TemporaryFile(dir=folder) as trial:
            os.posix_fallocate(trial.fileno(), 0, min(least, _TRIAL))
    except OSError as error:
        lacks = lacks or (error.errno if error.errno in (errno.ENOSPC, errno.EDQUOT) else 0)
    return OSError(lacks, os.strerror(lacks), str(folder)) if lacks else None


def disk_bytes(path: Path) -> int:
    """What a file takes on its disk; a link takes what it takes itself."""
    return 512 * path.lstat().st_blocks  # POSIX' unit, whatever the disk's is


def write_at(handle: int, data: bytes | memoryview, offset: int) -> None:
    """Write all of some bytes into an open file from an offset on.

    A disk that gets full takes the beginning of a write without a word; the rest then raises.
    """
    left = memoryview(data).cast("B")
    while left:
        written = os.pwrite(handle, left, offset)
        left, offset = left[written:], offset + written


def write_json(path: Path, value: Any) -> None:
    """Write a JSON file atomically, indented, with a final line break."""
    with atomic(path) as stream:
        stream.write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def read_json(path: Path) -> Any:
    """The value of a JSON file, or None where the file is absent or not JSON."""
    try:
        return json.loads(path.read_text())
    except (FileNotFoundError, NotADirectoryError, ValueError, RecursionError):
        return None


def archived(archive: tarfile.TarFile, member: str | tarfile.TarInfo) -> IO[bytes]:
    """A regular file in an archive, opened; KeyError where there is none of that name."""
    stream = archive.extractfile(member)
    if stream is None:
        raise KeyError(f"{member} is no file in the archive")
    return stream


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock file: a second process that wants it waits."""
    import filelock  # here, so that commands which lock nothing start faster

    path.parent.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(path):
        yield
