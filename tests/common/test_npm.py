"""Archives through npm: a script in npm's place, and once the real one."""

import hashlib
import shutil
import subprocess
from pathlib import Path

import pytest

from common.errors import UserError
from common.npm import npm_archive
from common.paths import cache_root

CONTENT = b"an archive"
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture(autouse=True)
def packages(tmp_path, monkeypatch) -> Path:
    """The folder of archives, in an empty cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return cache_root() / "packages"


@pytest.fixture
def npm(tmp_path, monkeypatch):
    """Puts a shell script in npm's place; returns the file where it notes its arguments."""
    folder, calls = tmp_path / "bin", tmp_path / "calls"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")

    def stand_in(script: str = f"printf '{CONTENT.decode()}' > tinydata-1.0.0.tgz") -> Path:
        (folder / "npm").write_text(f'#!/bin/sh\necho "$@" >> {calls}\n{script}\n')
        (folder / "npm").chmod(0o755)
        return calls

    return stand_in


def complaint(sha256: str = SHA256, **options) -> str:
    with pytest.raises(UserError) as caught:
        npm_archive("tinydata", "1.0.0", sha256, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def left(packages: Path) -> set[str]:
    return {path.name for path in packages.iterdir() if not path.name.endswith(".lock")}


def test_an_archive_is_fetched_by_name_and_once(npm, packages):
    calls = npm()
    for _ in range(2):
        archive = npm_archive("tinydata", "1.0.0", SHA256)
        assert archive == packages / "tinydata-1.0.0.tgz"
        assert archive.read_bytes() == CONTENT
    [arguments] = calls.read_text().splitlines()
    assert arguments.startswith("pack tinydata@1.0.0 ")
    assert "://" not in arguments
    assert left(packages) == {archive.name}


def test_a_damaged_archive_is_fetched_again(npm):
    calls = npm()
    npm_archive("tinydata", "1.0.0", SHA256).write_bytes(b"damaged")
    assert npm_archive("tinydata", "1.0.0", SHA256).read_bytes() == CONTENT
    assert len(calls.read_text().splitlines()) == 2


def test_another_archive_than_expected_is_refused(npm, packages):
    npm()
    said = complaint("0" * 64)
    assert "tinydata-1.0.0.tgz from the npm registry is not the expected file" in said
    assert SHA256 in said
    assert left(packages) == set()


def test_without_npm_the_remedies_are_named_and_the_second_one_works(
    tmp_path, monkeypatch, packages
):
    monkeypatch.setenv("PATH", str(tmp_path))
    said = complaint()
    assert "not on this machine; install Node.js" in said
    assert f"put tinydata-1.0.0.tgz into {packages}" in said
    (packages / "tinydata-1.0.0.tgz").write_bytes(CONTENT)
    assert npm_archive("tinydata", "1.0.0", SHA256).read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("""printf '%s' '{"error": {"summary": "no such\\nhost"}}'; exit 1""", "no such host"),
        ("echo 'npm error one' >&2; echo 'npm error two' >&2; exit 1", "npm error two"),
        ("exit 7", "ended with status 7"),
        ("echo '[]'", "ended with status 0"),
    ],
    ids=["npm's summary", "an npm without one", "a silent end", "no archive"],
)
def test_what_npm_complains_of_is_passed_on(npm, packages, script, words):
    npm(script)
    said = complaint()
    assert "npm cannot fetch tinydata@1.0.0" in said
    assert words in said
    assert "check the network and npm's settings" in said
    assert left(packages) == set()


def test_an_npm_that_does_not_end_is_ended(npm, packages):
    npm("exec sleep 60")
    assert "did not end within 0 s" in complaint(timeout=0.2)
    assert left(packages) == set()


def test_what_a_killed_run_left_is_removed(npm, packages):
    npm()
    half = packages / ".tinydata-1.0.0.tgz.part" / "tinydata-1.0.0.tgz"
    half.parent.mkdir(parents=True)
    half.write_bytes(CONTENT[:3])
    npm_archive("tinydata", "1.0.0", SHA256)
    assert left(packages) == {"tinydata-1.0.0.tgz"}


def test_the_real_npm_without_a_registry(monkeypatch):
    npm = shutil.which("npm")
    if npm is None or subprocess.run([npm, "--version"], capture_output=True).returncode:
        pytest.skip("needs npm")
    monkeypatch.setenv("npm_config_registry", "http://127.0.0.1:9/")
    monkeypatch.setenv("npm_config_fetch_retries", "0")
    assert "ECONNREFUSED" in complaint()
