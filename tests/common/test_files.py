"""Files are whole or absent."""

import concurrent.futures
import errno
import os
import subprocess
import sys

import pytest

from common import files
from common.errors import UserError
from common.paths import ROOT


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "result.json"
    files.write_json(path, {"a": 1})
    with pytest.raises(RuntimeError), files.atomic(path) as stream:
        stream.write("half")
        raise RuntimeError
    assert files.read_json(path) == {"a": 1}
    assert list(tmp_path.iterdir()) == [path]


def test_what_a_killed_writer_left_is_taken_by_the_next(tmp_path):
    path = tmp_path / "x.json"
    script = "import os, sys; from pathlib import Path; from common import files\n"
    script += "with files.atomic(Path(sys.argv[1])) as s: s.write('half'); s.flush(); os._exit(1)"
    subprocess.run([sys.executable, "-c", script, str(path)], cwd=ROOT)
    assert len(list(tmp_path.iterdir())) == 1
    files.write_json(path, {"a": 1})
    assert files.read_json(path) == {"a": 1}
    assert list(tmp_path.iterdir()) == [path]


def test_writers_of_one_file_take_turns(tmp_path):
    path = tmp_path / "x.json"
    values = [{str(number): "x" * 10_000} for number in range(40)]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda value: files.write_json(path, value), values))
    assert files.read_json(path) in values
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("content", [None, "", "{", "[" * 100_000])
def test_what_is_no_json_file_reads_as_none(tmp_path, content):
    path = tmp_path / "x.json"
    if content is not None:
        path.write_text(content)
    assert files.read_json(path) is None


def test_the_hash_of_a_value_is_that_of_its_meaning():
    assert files.sha256_of({"a": 1, "b": 2}) == files.sha256_of({"b": 2, "a": 1})
    assert files.sha256_of({"a": 1}) != files.sha256_of({"a": "1"})


def test_a_lock_that_is_called_as_its_folder_stays(tmp_path):
    """Whoever comes meanwhile has to wait at this very file."""
    lock = tmp_path / ".made.lock"
    with files.locked(lock), files.atomic_folder(tmp_path / "made"):
        assert lock.exists()
    assert [path.name for path in tmp_path.iterdir() if path.name.endswith(".old")] == []


def test_a_place_is_tried_before_work_and_left_as_it_was(tmp_path):
    files.require_place(tmp_path / "new" / "folder" / "out.csv")
    assert not list(tmp_path.iterdir())
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(
        UserError, match=r"file/out.csv: no file can be made there \(Not a directory"
    ):
        files.require_place(file / "out.csv")


def test_room_that_lacks_is_found_by_trying(tmp_path, monkeypatch):
    """What a quota leaves is not what is free on the disk."""
    assert files.lack_of_room(tmp_path, 1 << 20) is None
    assert files.lack_of_room(tmp_path, 1 << 60).errno == errno.ENOSPC

    def refused(*_: int) -> None:
        raise OSError(errno.EDQUOT, "used up")

    monkeypatch.setattr(os, "posix_fallocate", refused)
    assert files.lack_of_room(tmp_path, 1 << 20).errno == errno.EDQUOT
    assert list(tmp_path.iterdir()) == []
