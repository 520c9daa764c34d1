import errno
import hashlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from common import fetch
from common.errors import UserError
from common.hashes import cached_sha256
from common.paths import ROOT, cache_root

CONTENT = bytes(range(256)) * 2000  # 512,000 bytes: several blocks
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@dataclass
class Behaviour:
    """What the server does; `requests` are the Range headers that it met, in order."""

    content: bytes = CONTENT
    etag: str | None = '"one"'
    ranges: bool = True
    length: bool = True
    statuses: list[int] = field(default_factory=list)  # answered first, one per request
    drop_after: list[int] = field(default_factory=list)  # bytes sent before hanging up
    extra_length: int = 0
    pause: float = 0.0  # seconds between blocks
    requests: list[str | None] = field(default_factory=list)
    url: str = ""


class _Handler(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_GET(self):
        does: Behaviour = self.server.behaviour
        wanted = self.headers.get("Range")
        does.requests.append(wanted)
        if does.statuses and (status := does.statuses.pop(0)) != 200:
            self.send_error(status)
            return
        start = 0
        if does.ranges and wanted and self.headers.get("If-Range") in (None, does.etag):
            start = int(re.fullmatch(r"bytes=(\d+)-", wanted)[1])
            self.send_response(206)
            whole = len(does.content)
            self.send_header("Content-Range", f"bytes {start}-{whole - 1}/{whole}")
        else:
            self.send_response(200)
        if does.etag:
            self.send_header("ETag", does.etag)
        body = does.content[start:]
        if does.length:
            self.send_header("Content-Length", str(len(body) + does.extra_length))
        self.end_headers()
        if does.drop_after:
            body = body[: does.drop_after.pop(0)]
        for position in range(0, len(body), 1 << 16):
            try:
                self.wfile.write(body[position : position + (1 << 16)])
            except OSError:
                return
            time.sleep(does.pause)


@pytest.fixture
def server():
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as httpd:
        httpd.behaviour = Behaviour()
        httpd.behaviour.url = f"http://127.0.0.1:{httpd.server_port}/folder/net.pdparams"
        thread = threading.Thread(target=httpd.serve_forever, args=(0.05,))
        thread.start()
        yield httpd.behaviour
        httpd.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(fetch, "FIRST_PAUSE", 0.01)


@pytest.fixture
def into(tmp_path):
    return tmp_path / "weights"


def one_line(error) -> str:
    text = str(error.value)
    assert "\n" not in text
    return text


def leftovers(into: Path) -> set[str]:
    return {path.name for path in into.iterdir() if not path.name.endswith(".lock")}


# ---- download ----


def test_a_file_arrives_whole_under_its_own_name_and_is_reported_on_the_way(server, into):
    seen = []
    path = fetch.download(server.url, into, progress=lambda *step: seen.append(step))
    assert path == into / "net.pdparams"
    assert path.read_bytes() == CONTENT
    assert leftovers(into) == {"net.pdparams"}
    assert len(seen) > 2
    assert seen[-1] == (len(CONTENT), len(CONTENT))


def test_what_is_there_is_not_fetched_again(server, into):
    fetch.download(server.url, into)
    fetch.download(server.url, into)
    assert len(server.requests) == 1
    assert fetch.downloaded(server.url, into) == into / "net.pdparams"


def test_a_broken_connection_is_continued_where_it_broke(server, into):
    server.drop_after = [200_000, 100_000]
    assert fetch.download(server.url, into).read_bytes() == CONTENT
    first, *others = server.requests
    assert first is None
    starts = [int(re.search(r"\d+", header)[0]) for header in others]
    assert 0 < starts[0] < starts[1]


def test_a_server_without_ranges_is_asked_for_the_whole_again(server, into):
    server.ranges = False
    server.drop_after = [200_000]
    assert fetch.download(server.url, into).read_bytes() == CONTENT


def test_a_length_that_the_server_does_not_say_is_no_obstacle(server, into):
    server.length = False
    totals = []
    path = fetch.download(server.url, into, progress=lambda done, total: totals.append(total))
    assert path.read_bytes() == CONTENT
    assert set(totals) == {None}


@pytest.mark.parametrize("etag", ['"two"', None])
def test_parts_of_two_versions_are_never_joined(server, into, etag):
    server.etag = server.etag if etag else None
    server.drop_after = [200_000]
    with pytest.raises(UserError, match="are kept, run again to go on"):
        fetch.download(server.url, into, attempts=1)
    server.content, server.etag = b"another" * 50_000, etag
    assert fetch.download(server.url, into).read_bytes() == server.content


def test_a_part_of_another_url_is_not_continued(server, into):
    server.drop_after = [200_000]
    with pytest.raises(UserError):
        fetch.download(server.url, into, attempts=1)
    other = server.url.replace("folder", "elsewhere")
    assert fetch.download(other, into).read_bytes() == CONTENT
    assert server.requests == [None, None]


def test_a_part_that_is_longer_than_the_file_is_thrown_away(server, into):
    server.etag = None
    server.drop_after = [200_000]
    with pytest.raises(UserError):
        fetch.download(server.url, into, attempts=1)
    with (into / "net.pdparams.part").open("ab") as part:
        part.write(bytes(len(CONTENT)))
    server.statuses = [416]
    assert fetch.download(server.url, into).read_bytes() == CONTENT


@pytest.mark.parametrize("status", [500, 503, 429])
def test_a_server_in_trouble_is_asked_again(server, into, status):
    server.statuses = [status, status]
    assert fetch.download(server.url, into).read_bytes() == CONTENT
    assert len(server.requests) == 3


def test_the_pauses_between_attempts_double(server, into, monkeypatch):
    pauses = []
    monkeypatch.setattr(fetch.time, "sleep", pauses.append)
    server.statuses = [500] * 4
    fetch.download(server.url, into)
    assert [pause for pause in pauses if pause] == [0.01, 0.02, 0.04, 0.08]


def test_a_server_that_stays_in_trouble_is_given_up_with_one_line(server, into):
    server.statuses = [500] * 9
    with pytest.raises(UserError) as error:
        fetch.download(server.url, into, attempts=3)
    assert "HTTP 500 (attempts: 3)" in one_line(error)
    assert f"by hand and save it as {into / 'net.pdparams'}" in one_line(error)
    assert len(server.requests) == 3


@pytest.mark.parametrize(("status", "words"), [(404, "no such file"), (403, "refuses")])
def test_a_refusal_is_final(server, into, status, words):
    server.statuses = [status]
    with pytest.raises(UserError, match=rf"{words} \(HTTP {status}\)") as error:
        fetch.download(server.url, into)
    one_line(error)
    assert len(server.requests) == 1


def test_a_file_that_stays_shorter_than_announced_never_takes_its_name(server, into):
    server.extra_length = 1000
    server.ranges = False
    with pytest.raises(UserError, match=r"attempts: 2") as error:
        fetch.download(server.url, into, attempts=2)
    one_line(error)
    assert not (into / "net.pdparams").exists()
    assert not (cache_root() / "known-downloads.json").exists()


def test_a_silent_server_is_given_up_after_the_timeout(server, into):
    server.pause = 0.6
    with pytest.raises(UserError, match="timed out"):
        fetch.download(server.url, into, timeout=0.2, attempts=1)


def test_a_slow_server_is_no_error(server, into):
    server.pause = 0.1
    assert fetch.download(server.url, into, timeout=0.5).read_bytes() == CONTENT


def test_no_network_is_said_at_once_with_the_place_for_the_file(into, monkeypatch):
    def unknown(*_, **__):
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(
        UserError, match=r"no network, or no such host as nowhere\.invalid"
    ) as error:
        fetch.download("http://nowhere.invalid/net.pdparams", into)
    assert str(into / "net.pdparams") in one_line(error)


def test_a_closed_port_is_one_line_without_addresses_of_objects(into):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/net.pdparams"
    with pytest.raises(UserError, match="Connection refused") as error:
        fetch.download(url, into, attempts=2)
    assert "object at" not in one_line(error)


@pytest.mark.parametrize("url", ["net.pdparams", "ftp://127.0.0.1/net.pdparams", "http:///x"])
def test_what_is_no_web_address_is_refused(into, url):
    with pytest.raises(UserError, match="cannot fetch"):
        fetch.download(url, into)


def test_a_url_without_a_file_name_is_refused(into):
    with pytest.raises(UserError, match="names no file"):
        fetch.download("http://127.0.0.1/", into)


def test_certificates_that_are_not_there_are_named(into, monkeypatch):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/no/such/bundle.pem")
    with pytest.raises(UserError, match=r"cannot fetch https://.*/no/such/bundle\.pem"):
        fetch.download("https://localhost:9/net.pdparams", into)


def test_a_full_disk_is_said_and_keeps_the_part(server, into, monkeypatch):
    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(UserError, match="no space left on the disk"):
            fetch.download(server.url, into)
    assert fetch.download(server.url, into).read_bytes() == CONTENT


# ---- trust on first use ----


def known_downloads() -> dict:
    return json.loads((cache_root() / "known-downloads.json").read_text())


def test_the_first_download_is_recorded(server, into):
    fetch.download(server.url, into)
    record = known_downloads()[server.url]
    assert record["sha256"] == SHA256
    assert record["size"] == len(CONTENT)
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", record["date"])


def test_another_file_under_the_same_url_is_set_aside_until_the_entry_is_removed(server, into):
    fetch.download(server.url, into).unlink()
    server.content = CONTENT[::-1]
    with pytest.raises(UserError) as error:
        fetch.download(server.url, into)
    text = one_line(error)
    assert SHA256 in text
    assert hashlib.sha256(server.content).hexdigest() in text
    assert "remove the entry" in text
    assert str(cache_root() / "known-downloads.json") in text
    assert leftovers(into) == {"net.pdparams.refused"}
    assert (into / "net.pdparams.refused").read_bytes() == server.content
    (cache_root() / "known-downloads.json").write_text("{}")
    assert fetch.download(server.url, into).read_bytes() == server.content


def test_a_file_that_changed_on_disk_is_set_aside(server, into):
    path = fetch.download(server.url, into)
    path.write_bytes(b"damaged")
    with pytest.raises(UserError, match="not the expected file"):
        fetch.downloaded(server.url, into)
    assert fetch.downloaded(server.url, into) is None


def test_a_file_saved_by_hand_is_taken_and_recorded(server, into):
    into.mkdir()
    (into / "net.pdparams").write_bytes(CONTENT)
    assert fetch.download(server.url, into).read_bytes() == CONTENT
    assert server.requests == []
    assert known_downloads()[server.url]["sha256"] == SHA256


def test_a_published_hash_is_enforced(server, into):
    with pytest.raises(UserError, match="published sha256"):
        fetch.download(server.url, into, sha256="0" * 64)
    assert not (cache_root() / "known-downloads.json").exists()
    assert fetch.download(server.url, into, sha256=SHA256).read_bytes() == CONTENT


def test_a_damaged_record_is_not_taken_for_an_empty_one(server, into):
    fetch.download(server.url, into)
    (cache_root() / "known-downloads.json").write_text("{cut")
    with pytest.raises(UserError, match="is damaged"):
        fetch.download(server.url, into)


def test_a_whole_download_survives_a_damaged_record(server, into):
    fetch.download(server.url, into).unlink()
    record = cache_root() / "known-downloads.json"
    record.write_text("{cut")
    with pytest.raises(UserError, match="is damaged"):
        fetch.download(server.url, into)
    record.unlink()
    assert fetch.download(server.url, into).read_bytes() == CONTENT
    assert len(server.requests) == 2
    assert leftovers(into) == {"net.pdparams"}


# ---- several processes ----

DOWNLOAD = "import sys; from pathlib import Path; from common.fetch import download; "
DOWNLOAD += "print(download(sys.argv[1], Path(sys.argv[2])))"


def start_download(url: str, into: Path) -> subprocess.Popen:
    command = [sys.executable, "-c", DOWNLOAD, url, str(into)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def test_of_two_processes_one_downloads_and_the_other_finds_the_file(server, into):
    server.pause = 0.1
    processes = [start_download(server.url, into) for _ in range(2)]
    answers = {process.communicate(timeout=30)[0].strip() for process in processes}
    assert answers == {str(into / "net.pdparams")}
    assert (into / "net.pdparams").read_bytes() == CONTENT
    assert len(server.requests) == 1


def test_a_killed_download_is_continued(server, into):
    server.pause = 0.2
    process = start_download(server.url, into)
    part = into / "net.pdparams.part"
    deadline = time.monotonic() + 20
    while not (part.exists() and part.stat().st_size) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=10)
    assert not (into / "net.pdparams").exists()
    server.pause = 0
    assert fetch.download(server.url, into).read_bytes() == CONTENT
    assert server.requests[1] is not None


# ---- hashes ----


def settled(path: Path, monkeypatch) -> Path:
    monkeypatch.setattr("common.hashes.SETTLED_NS", 0)
    time.sleep(0.01)
    return path


def test_an_unchanged_file_is_hashed_once(tmp_path, monkeypatch):
    path = tmp_path / "big"
    path.write_bytes(CONTENT)
    assert cached_sha256(settled(path, monkeypatch)) == SHA256
    monkeypatch.setattr("common.files.sha256", lambda _: pytest.fail("read again"))
    assert cached_sha256(path) == SHA256


def test_a_changed_file_is_hashed_again_even_under_its_old_time_and_size(tmp_path, monkeypatch):
    path = tmp_path / "big"
    path.write_bytes(CONTENT)
    cached_sha256(settled(path, monkeypatch))
    before = path.stat()
    path.write_bytes(CONTENT[::-1])
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert cached_sha256(path) == hashlib.sha256(CONTENT[::-1]).hexdigest()


def test_a_file_still_warm_is_not_noted(tmp_path):
    path = tmp_path / "big"
    path.write_bytes(CONTENT)
    cached_sha256(path)
    assert not (cache_root() / "hashes").exists()


def test_a_cache_that_cannot_be_written_costs_time_only(tmp_path, monkeypatch):
    path = tmp_path / "big"
    path.write_bytes(CONTENT)
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert cached_sha256(settled(path, monkeypatch)) == SHA256
