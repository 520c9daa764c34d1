"""Fixtures that several folders use."""

import contextlib
import functools
import http.server
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from common.errors import UserError
from common.paths import ROOT
from data.demo import demo_photos
from models.demo_weights import MODEL, make_demo_weights
from models.registry import MODELS
from models.state import write_state
from models.weights import random_state
from runtimes.paddle_lite_arm import library
from tests.runtimes import stand_in

# A shell has what it starts in the background ignore Ctrl-C, and so would all that tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Real photos, weights and expected logits may lie beside the project; a user's clone has none, and
# its tests run on the demo's photos and weights.
SHARED = ROOT.parent / "shared"
needs_shared = pytest.mark.skipif(
    not SHARED.is_dir(), reason=f"needs {SHARED.name}/ beside the project, which no clone brings"
)


@contextlib.contextmanager
def skipped_without_a_registry() -> Iterator[None]:
    """Skip, with the fetch's own words, where no package registry answers; else let errors be."""
    try:
        yield
    except UserError as error:
        if "check the network" not in str(error):
            raise
        pytest.skip(f"the package registry cannot be reached: {error}")


@pytest.fixture(scope="session", autouse=True)
def cache_of_the_tests_own(tmp_path_factory):
    """No test reads or fills the user's cache, except for pip's of what it fetched before."""
    users = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PIP_CACHE_DIR", os.environ.get("PIP_CACHE_DIR") or str(users / "pip"))
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def weights(tmp_path_factory) -> Path:
    """A folder with weights of SqueezeNet1_0 and SqueezeNet1_1.

    The latter's are real. The former's are random in a clone: a test that needs real ones is
    marked `needs_shared`.
    """
    if SHARED.is_dir():
        return SHARED / "data" / "weights"
    folder = tmp_path_factory.mktemp("weights")
    with skipped_without_a_registry():
        demo = make_demo_weights()
    # Out of the cache, where every test would find it.
    demo.rename(folder / f"{MODEL}_pretrained.pdparams")
    sibling = MODELS["SqueezeNet1_0"].build().state_dict()
    random = random_state({name: value.shape for name, value in sibling.items()})
    write_state(folder / "SqueezeNet1_0_pretrained.pdparams", random)
    return folder


@pytest.fixture(scope="session")
def photos(tmp_path_factory) -> Callable[[int], Path]:
    """Make a list-file folder with some of the real photos: `photos(20)`.

    The demo has 70, and 70 is what a clone gets where more are asked for.
    """
    if SHARED.is_dir():
        home = SHARED / "data" / "images"
        lines = (SHARED / "data" / "val_list.txt").read_text().splitlines()
    else:
        with skipped_without_a_registry():
            paths, labels = demo_photos()
        home = paths[0].parent
        pairs = zip(paths, labels, strict=True)
        lines = [f"images/{path.name} {label}" for path, label in pairs]

    def choose(count: int) -> Path:
        folder = tmp_path_factory.mktemp(f"photos{count}-")
        (folder / "images").symlink_to(home)
        chosen = lines[:: max(1, len(lines) // count)][:count]
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


@pytest.fixture(scope="session")
def paddle_lite(tmp_path_factory) -> Path:
    """A folder like one of Paddle Lite's for ARM Linux, with a stand-in for its library."""
    if problem := stand_in.problem():
        pytest.skip(problem)
    return stand_in.build(tmp_path_factory.mktemp("paddle-lite") / "inference_lite_lib")


@pytest.fixture
def releases(tmp_path, monkeypatch) -> Iterator[tuple[Path, list[str]]]:
    """A folder that a server in the place of Paddle Lite's releases offers, and the paths asked
    for."""
    asked: list[str] = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            asked.append(self.path)

    folder = tmp_path / "releases"
    folder.mkdir()
    handler = functools.partial(Handler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setattr(library, "RELEASE", f"http://127.0.0.1:{server.server_port}")
        yield folder, asked
        server.shutdown()


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


def run_command(
    folder: Path, script: str, *arguments: object, limit: float = 300, **environment: object
) -> subprocess.CompletedProcess:
    """Run a command of the toolkit in a folder, which has its build and its weights, too."""
    own = {"BUILD_DIR": folder / "build", "WEIGHTS_DIR": folder / "weights"}
    settings = {**own, **environment}
    return subprocess.run(
        [sys.executable, ROOT / script, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=limit,
        cwd=folder,
        env=os.environ | {name: str(value) for name, value in settings.items()},
    )


@pytest.fixture
def command(tmp_path):
    """Run a command of the toolkit as a user does: `command("deploy/validate.py", "--json")`.

    The build and weights folders are the test's own unless `BUILD_DIR=` or `WEIGHTS_DIR=` is given.
    """
    return functools.partial(run_command, tmp_path)


@pytest.fixture(scope="session")
def session_command(tmp_path_factory):
    """`command`, for what several tests share."""
    return functools.partial(run_command, tmp_path_factory.mktemp("commands"))


def assert_refused(done: subprocess.CompletedProcess, *words: str) -> None:
    """The command ended as for a user's mistake: status 2, one line that has these words."""
    assert done.returncode == 2, done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1, done.stderr
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in lines[0]
