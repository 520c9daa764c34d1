"""Fixtures that several folders use."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from common.paths import ROOT

SHARED = ROOT.parent / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """Real photos, weights and expected logits that live beside the project, not in it."""
    if not SHARED.is_dir():
        pytest.skip(f"needs {SHARED.name}/ beside the project: real photos and weights")
    return SHARED


@pytest.fixture(scope="session", autouse=True)
def cache_of_the_tests_own(tmp_path_factory):
    """No test reads or fills the user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def weights(shared):
    """A folder with real weights of SqueezeNet1_0 and SqueezeNet1_1."""
    return shared / "data" / "weights"


@pytest.fixture(scope="session")
def photos(shared, tmp_path_factory):
    """Make a list-file folder with some of the real photos: `photos(20)`."""
    lines = (shared / "data" / "val_list.txt").read_text().splitlines()

    def choose(count: int):
        folder = tmp_path_factory.mktemp(f"photos{count}-")
        (folder / "images").symlink_to(shared / "data" / "images")
        chosen = lines[:: len(lines) // count][:count]
        (folder / "val_list.txt").write_text("\n".join(chosen) + "\n")
        return folder

    return choose


@pytest.fixture(scope="session")
def built(tmp_path_factory) -> Path:
    """A build folder that several tests may fill and read, but not break."""
    return tmp_path_factory.mktemp("build")


@pytest.fixture
def build_folder(tmp_path, monkeypatch) -> Path:
    """An empty build folder of the test's own."""
    folder = tmp_path / "build"
    monkeypatch.setenv("BUILD_DIR", str(folder))
    return folder


class SmallDisk:
    """A folder that becomes a file system of its own while a shell script runs."""

    def __init__(self, path: Path):
        self.path = path
        path.mkdir()

    def run(self, size: str, script: str) -> subprocess.CompletedProcess:
        """Run a script in a mount namespace; the build folder is on the disk of this size."""
        done = subprocess.run(
            [
                *("unshare", "--mount", "--map-root-user", "sh", "-c"),
                f"mount -t tmpfs -o size={size} tmpfs {self.path} || exit 77\n{script}",
            ],
            capture_output=True,
            text=True,
            timeout=300,
            env=os.environ | {"BUILD_DIR": str(self.path / "build")},
        )
        if "unshare:" in done.stderr or "mount:" in done.stderr:
            pytest.skip(f"no mount namespaces here: {done.stderr.strip()}")
        return done


@pytest.fixture
def small_disk(tmp_path) -> SmallDisk:
    return SmallDisk(tmp_path / "disk")


@pytest.fixture
def command(tmp_path):
    """Run a command of the toolkit as a user does: `command("deploy/validate.py", "--json")`.

    The build and weights folders are the test's own unless `BUILD_DIR=` or `WEIGHTS_DIR=` is given.
    """

    def run(
        script: str, *arguments: object, limit: float = 300, **environment: object
    ) -> subprocess.CompletedProcess:
        own = {"BUILD_DIR": tmp_path / "build", "WEIGHTS_DIR": tmp_path / "weights"}
        settings = {**own, **environment}
        return subprocess.run(
            [sys.executable, ROOT / script, *map(str, arguments)],
            capture_output=True,
            text=True,
            timeout=limit,
            cwd=tmp_path,
            env=os.environ | {name: str(value) for name, value in settings.items()},
        )

    return run


def assert_refused(done: subprocess.CompletedProcess, *words: str) -> None:
    """The command ended as for a user's mistake: status 2, one line that has these words."""
    assert done.returncode == 2, done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1, done.stderr
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in lines[0]
