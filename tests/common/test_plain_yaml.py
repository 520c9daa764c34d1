"""YAML of others: read as plain values, or refused in one sentence."""

import time

import pytest

from common.errors import UserError
from common.plain_yaml import read_yaml


def put(folder, text):
    path = folder / "inference.yml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_what_trainings_write_is_read(tmp_path):
    text = (
        "\ufeffMean: !!python/tuple [0.5, 0.5]\n"
        "best: !!python/object/apply:numpy.core.multiarray.scalar [x, !!binary AAAA]\n"
        "labels: &id001 [猫, dog]\nagain: *id001\n"
    )
    assert read_yaml(put(tmp_path, text)) == {
        "Mean": [0.5, 0.5],
        "best": None,
        "labels": ["猫", "dog"],
        "again": ["猫", "dog"],
    }
    assert read_yaml(put(tmp_path, "a: 类".encode("utf-16"))) == {"a": "类"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: !!python/object/apply:os.system ['touch {0}']", "could not determine a constructor"),
        ("a: !!python/name:os.system", "line 1"),
        ("a: !something 1", "!something"),
        ("a: [1, 2", "line 1"),
        ("a: 1\n\tb: 2", "line 2"),
        ("a: 1\n--- \nb: 2", "document"),
        ("[" * 5000, "nested too deeply"),
        ("b: &b {x: 1}\na: {<<: [*b, *b]}", "merge key"),
        ("a: *nothing", "undefined alias"),
        (b"a: 1  # \xb0\xa1", "is no text in UTF-8; save it as that"),
        (bytes(100), "no text in UTF-8"),
        (b"\x89PNG\r\n\x1a\n\0\0", "no text in UTF-8"),
        ("a: !!timestamp x", "no YAML"),
        ("a: " + "9" * 5000, "no YAML"),
        ("a: " + "x" * (1 << 20), "more than 1 MiB"),
    ],
)
def test_malformed_and_malicious_files_are_a_sentence(tmp_path, text, words):
    proof = tmp_path / "ran"
    text = text if isinstance(text, bytes) else text.replace("{0}", str(proof))
    with pytest.raises(UserError) as refused:
        read_yaml(put(tmp_path, text))
    assert "inference.yml" in str(refused.value)
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)
    assert not proof.exists()


def test_aliases_of_aliases_cost_nothing(tmp_path):
    lines = ["a0: &a0 [x, x]"] + [f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 60)]
    started = time.monotonic()
    found = read_yaml(put(tmp_path, "\n".join(lines)))
    assert found["a59"][0] is found["a59"][1]
    assert time.monotonic() - started < 30  # it would take longer than the sun shines


def test_what_is_no_file(tmp_path):
    with pytest.raises(UserError, match="cannot be read"):
        read_yaml(tmp_path / "absent.yml")
    with pytest.raises(UserError, match="cannot be read"):
        read_yaml(tmp_path)
