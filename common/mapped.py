"""Arrays that lie in files: as many rows as there are, and few of them in memory at a time."""

import mmap
import tempfile
from collections.abc import Callable, Iterable, Iterator
from typing import IO, TYPE_CHECKING

from common.paths import build_root

if TYPE_CHECKING:
    import numpy as np

_CHUNK = 1 << 20  # values that are looked at together


def gathered(parts: Iterable["np.ndarray"]) -> "np.ndarray":
    """Parts [n, …] of an array, as they come, as one array [N, …], which is mapped, read only.

    It lies in a file without a name, in the build folder, and is gone with the array. ValueError
    where there is no part.
    """
    import numpy as np

    build_root().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=build_root()) as stream:
        rows, last = 0, None
        for part in parts:
            rows, last = rows + len(part), part
            stream.write(np.ascontiguousarray(part).data)
        if last is None:
            raise ValueError("there is no part to gather")
        stream.flush()
        return np.memmap(stream, last.dtype, "r", shape=(rows, *last.shape[1:]))


def save(stream: IO[bytes], array: "np.ndarray") -> None:
    """Write an array as an .npy file.

    What `numpy.save` raises on a full disk does not say that it is full.
    """
    import numpy as np

    about = {"descr": np.lib.format.dtype_to_descr(array.dtype), "fortran_order": False}
    np.lib.format.write_array_header_1_0(stream, {**about, "shape": array.shape})
    for (part,) in chunks(array):
        stream.write(np.ascontiguousarray(part).data)


def chunks(*arrays: "np.ndarray") -> Iterator[tuple["np.ndarray", ...]]:
    """Some rows after the others of arrays [N, …] of one length, a million values of
    the first at a time; what was looked at is let go of."""
    step = max(1, _CHUNK // max(1, arrays[0][:1].size))
    for start in range(0, len(arrays[0]), step):
        yield tuple(one[start : start + step] for one in arrays)
        for one in arrays:
            release(one)


def by_rows(function: Callable[..., "np.ndarray"], *arrays: "np.ndarray") -> "np.ndarray":
    """What a function that looks at rows by themselves makes of arrays [N, …]: one value a row."""
    import numpy as np

    found = [function(*part) for part in chunks(*arrays)]
    return np.concatenate(found or [function(*arrays)])


def release(array: "np.ndarray") -> None:
    """Let go of what was read of a mapped array: mapped pages count as this process's memory."""
    at: object = array
    while at is not None:
        if isinstance(at, mmap.mmap):
            at.madvise(mmap.MADV_DONTNEED)
            return
        at = getattr(at, "_mmap", None) or getattr(at, "base", None)
