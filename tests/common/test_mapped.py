"""Arrays that lie in files: the same values as in memory, and little memory."""

import io
from pathlib import Path

import numpy as np
import psutil
import pytest

from common import mapped

ROWS, COLUMNS, PER_PART = 64, 1 << 18, 4  # float32: 64 MiB in all
MIB = 1 << 20


def parts():
    for start in range(0, ROWS, PER_PART):
        yield np.arange(start, start + PER_PART, dtype="f4")[:, None] + np.zeros(COLUMNS, "f4")


@pytest.fixture
def array(build_folder):
    return mapped.gathered(parts())


def test_parts_become_one_array_without_a_name(array, build_folder):
    assert (array.shape, array.dtype) == ((ROWS, COLUMNS), np.float32)
    assert array[:, 7].tolist() == list(range(ROWS))
    assert list(build_folder.iterdir()) == []
    with pytest.raises(ValueError, match="read-only"):
        array[0] = 1


def test_nothing_to_gather(build_folder):
    with pytest.raises(ValueError, match="no part"):
        mapped.gathered(iter(()))


def test_what_was_looked_at_takes_no_memory(build_folder):
    process = psutil.Process()
    mapped.gathered(iter([np.zeros((1, 4), "f4")]))  # numpy and the rest are there
    before = process.memory_info().rss
    array = mapped.gathered(parts())
    assert int(mapped.by_rows(lambda rows: rows.max(axis=1), array).sum()) == 64 * 63 // 2
    kept = mapped.by_rows(lambda a, b: (a == b).all(axis=1), array, np.asarray(array))
    assert kept.all()
    assert process.memory_info().rss - before < 40 * MIB
    assert int(array[:, 0].sum()) == 64 * 63 // 2  # it is there again


@pytest.mark.parametrize("shape", [(3, 5), (0, 5), (2000, 1000)])
def test_a_saved_array_is_what_numpy_saves(shape, tmp_path):
    array = np.random.default_rng(1).normal(size=shape).astype("f4")
    theirs, path = io.BytesIO(), Path(tmp_path, "ours.npy")
    np.save(theirs, array)
    with path.open("wb") as stream:
        mapped.save(stream, array)
    assert path.read_bytes() == theirs.getvalue()


def test_rows_by_themselves_of_none_and_of_many():
    def largest(rows: np.ndarray) -> np.ndarray:
        return rows.argmax(axis=1)

    assert mapped.by_rows(largest, np.zeros((0, 9))).tolist() == []
    many = np.random.default_rng(2).normal(size=(5000, 700))
    assert np.array_equal(mapped.by_rows(largest, many), many.argmax(axis=1))
