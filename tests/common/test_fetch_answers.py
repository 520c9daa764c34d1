"""Downloads from servers that answer wrongly: a sentence, and never a file that is none."""

import contextlib
import gzip
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from common import fetch
from common.errors import UserError
from common.paths import cache_root

BODY = b"x" * 1000
OK = b"HTTP/1.1 200 OK\r\n"
REDIRECT = b"HTTP/1.1 302 F\r\nConnection: close\r\nContent-Length: 0\r\nLocation: "
PAGE = b"<!DOCTYPE html><title>Welcome to the hotel</title>"


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(fetch, "FIRST_PAUSE", 0.01)


@pytest.fixture
def answering() -> Iterator[Callable[..., str]]:
    """Start a server that gives these answers, one a connection and the last for ever: its URL."""
    with contextlib.ExitStack() as stack:

        def start(*answers: bytes) -> str:
            server = stack.enter_context(socket.create_server(("127.0.0.1", 0)))

            def serve() -> None:
                for number in range(100):
                    try:
                        connection, _ = server.accept()
                    except OSError:  # closed
                        return
                    with connection, contextlib.suppress(OSError):
                        connection.recv(1 << 16)
                        connection.sendall(answers[min(number, len(answers) - 1)])

            thread = threading.Thread(target=serve, daemon=True)
            thread.start()
            # Wakes the thread, which waits for a connection.
            stack.callback(server.shutdown, socket.SHUT_RDWR)
            return f"http://127.0.0.1:{server.getsockname()[1]}/w/net.pdparams"

        yield start


def sized(body: bytes, length: object, *more: bytes) -> bytes:
    lines = [b"Content-Length: %s\r\n" % str(length).encode(), *more]
    return OK + b"".join(lines) + b"\r\n" + body


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (sized(BODY, "many"), r"a length that is none \(many\)"),
        (sized(BODY, -5), r"a length that is none \(-5\)"),
        (sized(BODY, 2000), "1000 bytes read, 1000 more expected"),
        (sized(BODY, 1000, b"Content-Length: 900\r\n"), "multiple unmatching values"),
        (sized(b"", 0), "an empty file"),
        (OK + b"\r\n", "an empty file"),
        (sized(PAGE, len(PAGE)), "a web page came in place of the file"),
        (OK + b"\r\n\xef\xbb\xbf\n <HTML>" + PAGE, "a web page came in place of the file"),
        (sized(gzip.compress(BODY), 29, b"Content-Encoding: gzip\r\n"), "got 1000 of 29 bytes"),
        (sized(BODY, 1000, b"Content-Encoding: gzip\r\n"), "failed to decode"),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n3e8\r\n" + BODY[:500], "500 more expected"),
        (OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n" + BODY, "zz"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "SSH-2.0"),
        (b"", "closed connection without response"),
        (REDIRECT + b"/w/net.pdparams\r\n\r\n", "30 redirect"),
        (REDIRECT + b"http://[x/\r\n\r\n", "Invalid IPv6"),
        (REDIRECT + b"ftp://x/y\r\n\r\n", "ftp://x/y"),
        (OK + b"X-Many: 1\r\n" * 200 + b"\r\n" + BODY, "more than 100 headers"),
    ],
)
def test_a_wrong_answer_is_one_sentence_and_no_file(answering, tmp_path, answer, words):
    with pytest.raises(UserError, match=words) as error:
        fetch.download(answering(answer), tmp_path / "w", attempts=2)
    assert "net.pdparams" in str(error.value)
    there = {path.name for path in (tmp_path / "w").iterdir()}
    assert there <= {".net.pdparams.lock", "net.pdparams.part", "net.pdparams.part.json"}
    assert not (cache_root() / "known-downloads.json").exists()


@pytest.mark.parametrize(
    "first",
    [
        *(sized(PAGE, len(PAGE)), sized(b"", 0), sized(BODY, "many"), sized(BODY[:300], 1000)),
        *(OK + b"Transfer-Encoding: chunked\r\n\r\n3e8\r\n" + BODY[:500], b"", b"HTTP/1.1 200"),
    ],
)
def test_the_next_run_gets_the_file(answering, tmp_path, first):
    url = answering(first, sized(BODY, 1000))
    with pytest.raises(UserError):
        fetch.download(url, tmp_path / "w", attempts=1)
    assert fetch.download(url, tmp_path / "w", attempts=1).read_bytes() == BODY
    assert {path.name for path in (tmp_path / "w").iterdir()} <= {
        *("net.pdparams", ".net.pdparams.lock")
    }


def test_what_comes_after_the_announced_length_is_not_taken(answering, tmp_path):
    found = fetch.download(answering(sized(BODY + b"more", 1000)), tmp_path)
    assert Path(found).read_bytes() == BODY
