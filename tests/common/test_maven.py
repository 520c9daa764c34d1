"""Archives through mvn: a script in mvn's place, and once the real one."""

import hashlib
import shutil
import subprocess
from pathlib import Path

import pytest

from common import maven
from common.errors import UserError
from common.maven import maven_artifact
from common.paths import cache_root

CONTENT = b"an archive"
SHA256 = hashlib.sha256(CONTENT).hexdigest()
NAME = "tiny-1.0-tests.aar"
# Finds the folder in mvn's arguments, as mvn does.
FETCH = (
    'for word; do case "$word" in -DoutputDirectory=*) cd "${word#*=}";; esac; done; '
    f"printf '{CONTENT.decode()}' > {NAME}"
)


@pytest.fixture(autouse=True)
def packages(tmp_path, monkeypatch) -> Path:
    """The folder of archives, in an empty cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return cache_root() / "packages"


@pytest.fixture
def mvn(tmp_path, monkeypatch):
    """Puts a shell script in mvn's place; returns the file where it notes its arguments."""
    folder, calls = tmp_path / "bin", tmp_path / "calls"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")

    def stand_in(script: str = FETCH) -> Path:
        (folder / "mvn").write_text(f'#!/bin/sh\necho "$@" >> {calls}\n{script}\n')
        (folder / "mvn").chmod(0o755)
        return calls

    return stand_in


def fetched(sha256: str = SHA256, **options) -> Path:
    return maven_artifact("org.tiny", "tiny", "1.0", sha256, "tests", "aar", **options)


def complaint(sha256: str = SHA256, **options) -> str:
    with pytest.raises(UserError) as caught:
        fetched(sha256, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def left(packages: Path) -> set[str]:
    return {path.name for path in packages.iterdir() if not path.name.endswith(".lock")}


def test_an_archive_is_fetched_by_its_coordinates_and_once(mvn, packages):
    calls = mvn()
    for _ in range(2):
        assert fetched() == packages / NAME
        assert fetched().read_bytes() == CONTENT
    [arguments] = calls.read_text().splitlines()
    assert "-Dartifact=org.tiny:tiny:1.0:aar:tests" in arguments
    assert "://" not in arguments
    assert left(packages) == {NAME}


def test_a_damaged_archive_is_fetched_again(mvn):
    calls = mvn()
    fetched().write_bytes(b"damaged")
    assert fetched().read_bytes() == CONTENT
    assert len(calls.read_text().splitlines()) == 2


def test_what_mvn_fetched_before_is_taken_from_its_own_folder(mvn, tmp_path, monkeypatch):
    calls = mvn()
    monkeypatch.setattr(maven, "_REPOSITORY", tmp_path / "repository")
    kept = tmp_path / "repository" / "org" / "tiny" / "tiny" / "1.0" / NAME
    kept.parent.mkdir(parents=True)
    kept.write_bytes(CONTENT)
    assert fetched().read_bytes() == CONTENT
    assert not calls.exists()
    fetched().unlink()
    kept.write_bytes(b"damaged")
    assert fetched().read_bytes() == CONTENT
    assert calls.exists()


def test_another_archive_than_expected_is_refused(mvn, packages):
    mvn()
    said = complaint("0" * 64)
    assert f"{NAME} from the Maven repository is not the expected file" in said
    assert SHA256 in said
    assert left(packages) == set()


def test_without_mvn_the_remedies_are_named_and_the_second_one_works(
    tmp_path, monkeypatch, packages
):
    monkeypatch.setenv("PATH", str(tmp_path))
    said = complaint()
    assert "not on this machine; install Maven" in said
    assert f"put {NAME} into {packages}" in said
    (packages / NAME).write_bytes(CONTENT)
    assert fetched().read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("script", "words"),
    [
        (
            "printf '\\033[1;31m[ERROR] \\033[mFailed to execute goal a:b:c on project x: no such "
            "artifact\\n[ERROR] more\\n'; exit 1",
            ": no such artifact; check",
        ),
        ("exit 7", "ended with status 7"),
        ("true", "ended with status 0"),
    ],
    ids=["mvn's own words", "a silent end", "no archive"],
)
def test_what_mvn_complains_of_is_passed_on(mvn, packages, script, words):
    mvn(script)
    said = complaint()
    assert "mvn cannot fetch org.tiny:tiny:1.0:aar:tests" in said
    assert words in said
    assert "check the network and mvn's settings" in said
    assert left(packages) == set()


def test_an_mvn_that_does_not_end_is_ended(mvn, packages):
    mvn("exec sleep 60")
    assert "did not end within 0 s" in complaint(timeout=0.2)
    assert left(packages) == set()


def test_what_a_killed_run_left_is_removed(mvn, packages):
    mvn()
    half = packages / f".{NAME}.part" / NAME
    half.parent.mkdir(parents=True)
    half.write_bytes(CONTENT[:3])
    fetched()
    assert left(packages) == {NAME}


def test_the_real_mvn_offline(tmp_path):
    mvn = shutil.which("mvn")
    if mvn is None or subprocess.run([mvn, "--version"], capture_output=True).returncode:
        pytest.skip("needs mvn")
    settings = tmp_path / ".mvn" / "maven.config"  # mvn looks for it above its working folder
    settings.parent.mkdir()
    settings.write_text(f"--offline\n-Dmaven.repo.local={tmp_path / 'empty'}\n")
    assert "offline mode" in complaint()
