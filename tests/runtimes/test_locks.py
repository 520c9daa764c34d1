"""Lock files, and registries whose files are not those that are locked."""

import hashlib
import io
import shutil
import sys
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from common.errors import UserError
from common.paths import ROOT
from runtimes import environments, install, wheels
from runtimes.environments import ENVIRONMENTS, Environment
from runtimes.locks import check_lock

LOCKS = sorted(set((ROOT / "requirements").glob("*.txt")) - {ROOT / "requirements/arm-debian.txt"})
WHEEL = "toy-1.0-py3-none-any.whl"
HASH = f"--hash=sha256:{'0' * 64}"


# ---- the files ----


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_every_line_has_a_version_and_hashes_and_no_address(lock):
    check_lock(lock)
    text = lock.read_text()
    assert "://" not in text
    assert text.count("==") >= 1
    assert lock.with_suffix(".in").is_file()


def test_every_environment_is_made_of_a_checked_file():
    made = ENVIRONMENTS.values()
    used = {path for one in made for path in (one.lock_path, one.no_deps_lock_path)}
    assert {*used, wheels.LOCK} - {None} == set(LOCKS)


@pytest.mark.parametrize(
    "line",
    [
        "toy==1.0",
        f"toy>=1.0 {HASH}",
        f"toy {HASH}",
        "toy==1.0 --hash=md5:0123456789abcdef0123456789abcdef",
        f"toy==1.0 {HASH[:-1]}",
        f"toy==1.0 {HASH} --hash=sha256:",
        f"toy @ https://example.com/toy.whl {HASH}",
        "https://example.com/toy.whl",
        "./toy.whl",
        "-e .",
        "-r other.txt",
        "--index-url https://example.com/simple",
        "--extra-index-url=https://example.com/simple",
        "--find-links /tmp",
        "--trusted-host example.com",
    ],
)
def test_a_line_that_an_installer_would_take_on_trust(tmp_path, line):
    lock = tmp_path / "toy.txt"
    lock.write_text(f"# toys\nball==2.0 ; python_version < '3.9' \\\n    {HASH}\n    # via toy\n")
    check_lock(lock)
    lock.write_text(f"{lock.read_text()}{line}\n")
    with pytest.raises(UserError) as caught:
        check_lock(lock)
    assert f"{lock} has a line that is no version with its sha256: {line[:40]}" in str(caught.value)
    assert "\n" not in str(caught.value)


# ---- what comes ----


def wheel(text: str) -> bytes:
    """A package whose module is this text."""
    content = io.BytesIO()
    info = "toy-1.0.dist-info"
    with zipfile.ZipFile(content, "w") as archive:
        for name, data in {
            "toy.py": text,
            f"{info}/METADATA": "Metadata-Version: 2.1\nName: toy\nVersion: 1.0\n",
            f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
            f"{info}/RECORD": f"toy.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n",
        }.items():
            archive.writestr(zipfile.ZipInfo(name), data)
    return content.getvalue()


TRUE = wheel("right = True\n")
WRONG = {
    "other bytes": (wheel("right = None\n"), None),
    "cut short": (TRUE[:-7], None),
    "cut on the way": (TRUE[:-7], len(TRUE)),
    "more after its end": (TRUE + bytes(9), None),
}
assert len(WRONG["other bytes"][0]) == len(TRUE)


class _Handler(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        body, length = b"not here", None
        page = self.path.rstrip("/").endswith("/toy")
        if page:
            body = f'<a href="/{WHEEL}">{WHEEL}</a>'.encode()
        elif self.path == f"/{WHEEL}":
            body, length = self.server.serves
        self.send_response(200 if page or self.path == f"/{WHEEL}" else 404)
        self.send_header("Content-Type", "text/html" if page else "application/octet-stream")
        self.send_header("Content-Length", str(length or len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)


@pytest.fixture
def registry(monkeypatch):
    """A registry on this machine that has one package: `registry.serves` is its bytes, and the
    length that it says (None: the right one)."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        server.serves = (TRUE, None)
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        index = f"http://127.0.0.1:{server.server_port}/simple/"
        for name in ("PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL", "UV_FIND_LINKS", "UV_INDEX"):
            monkeypatch.delenv(name, raising=False)
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
        monkeypatch.setenv("PIP_INDEX_URL", index)
        monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")
        monkeypatch.setenv("PIP_RETRIES", "0")
        monkeypatch.setenv("UV_NO_CONFIG", "1")
        monkeypatch.setenv("UV_DEFAULT_INDEX", index)
        monkeypatch.setenv("UV_NO_CACHE", "1")
        monkeypatch.setenv("UV_HTTP_RETRIES", "0")
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def lock(tmp_path, monkeypatch) -> Path:
    """A lock file of the package as it should be, in a project of its own."""
    (tmp_path / "requirements").mkdir()
    path = tmp_path / "requirements" / "toy.txt"
    path.write_text(f"toy==1.0 \\\n    --hash=sha256:{hashlib.sha256(TRUE).hexdigest()}\n")
    monkeypatch.setattr(environments, "ROOT", tmp_path)
    monkeypatch.setattr(wheels, "LOCK", path)
    return path


def toy() -> Environment:
    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    return Environment("toy", ".venv-toy", (here,), "toy.txt", {"toy": "testing"}, required=False)


@pytest.fixture
def without_uv(monkeypatch):
    """pip installs, where both could."""
    monkeypatch.setattr(install.shutil, "which", lambda name: None)


def assert_refused(caught, kind: str) -> None:
    """One sentence; where a whole file came it has the file's own hash. (uv unpacks while it reads,
    and meets an end that comes too soon first.)"""
    said = str(caught.value)
    assert "\n" not in said
    content, length = WRONG[kind]
    if length is None and "unexpected end of file" not in said:
        assert "toy==1.0 is not the one that is locked" in said
        assert hashlib.sha256(content).hexdigest() in said
        assert "nothing of it was installed" in said


def refuse_to_install(lock: Path, registry, kind: str) -> None:
    registry.serves = WRONG[kind]
    with pytest.raises(UserError) as caught:
        install.install(toy())
    assert_refused(caught, kind)
    assert [entry.name for entry in lock.parents[1].iterdir()] == ["requirements"]


@pytest.mark.parametrize("kind", WRONG)
def test_uv_installs_nothing_that_is_not_locked(lock, registry, kind):
    if shutil.which("uv") is None:
        pytest.skip("needs uv, which is not on this machine")
    refuse_to_install(lock, registry, kind)


@pytest.mark.parametrize("kind", ["other bytes", "cut on the way"])
def test_pip_installs_nothing_that_is_not_locked(lock, registry, without_uv, kind):
    refuse_to_install(lock, registry, kind)


def test_pip_installs_what_is_locked(lock, registry, without_uv):
    assert install.install(toy())
    assert toy().version("toy") == "1.0"


def test_a_folder_in_the_registrys_place_is_trusted_no_more(
    lock, registry, without_uv, monkeypatch, tmp_path_factory
):
    shelf = tmp_path_factory.mktemp("shelf")
    (shelf / WHEEL).write_bytes(WRONG["other bytes"][0])
    monkeypatch.setenv("PIP_FIND_LINKS", str(shelf))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    refuse_to_install(lock, registry, "other bytes")


def test_a_lock_without_a_hash_installs_nothing(lock, registry):
    lock.write_text("toy==1.0\n")
    with pytest.raises(UserError, match=r"toy\.txt has a line that is no version with its sha256"):
        install.install(toy())
    assert not toy().path.exists()


@pytest.mark.parametrize("kind", WRONG)
def test_wheels_for_arm_are_those_that_are_locked(lock, registry, tmp_path, kind):
    registry.serves = WRONG[kind]
    into = tmp_path / "wheels"
    with pytest.raises(UserError, match=r"pip cannot fetch the wheels of toy\.txt") as caught:
        wheels.fetch(into, "aarch64", "3.11", 35)
    assert_refused(caught, kind)
    assert not into.exists() or not list(into.iterdir())


def test_wheels_for_arm_that_are_locked_are_fetched(lock, registry, tmp_path):
    wheels.fetch(tmp_path / "wheels", "aarch64", "3.11", 35)
    assert (tmp_path / "wheels" / WHEEL).read_bytes() == TRUE
    lock.write_text("toy==1.0\n")
    with pytest.raises(UserError, match="no version with its sha256"):
        wheels.fetch(tmp_path / "more", "aarch64", "3.11", 35)
