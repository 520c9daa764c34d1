"""Files are whole or absent."""

import pytest

from common import files


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "result.json"
    files.write_json(path, {"a": 1})
    with pytest.raises(RuntimeError), files.atomic(path) as stream:
        stream.write("half")
        raise RuntimeError
    assert files.read_json(path) == {"a": 1}
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
