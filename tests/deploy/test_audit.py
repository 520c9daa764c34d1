"""`python deploy/audit.py`, with a server on this machine that answers as OSV does."""

import dataclasses
import json
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from common.errors import UserError
from deploy import audit
from runtimes.environments import AUDIT, ENVIRONMENTS

HOLE = {
    "id": "GHSA-toy",
    "aliases": ["CVE-2026-1"],
    "summary": "It opens the door\nto everybody.",
    "affected": [
        {
            "package": {"name": "numpy", "ecosystem": "PyPI"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "9.0"}]}],
        }
    ],
}


class _Handler(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append((asked["package"]["name"], asked["version"]))
        status, body = self.server.answer(asked["package"]["name"])
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def osv():
    """A server that knows of nothing; `osv.answer` is a function of a package's name."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        server.asked = []
        server.answer = lambda name: (200, b"{}")
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(scope="session")
def environment(tmp_path_factory):
    """The environment of pip-audit, made anew of its lock file, in a folder of the tests' own."""
    made = dataclasses.replace(AUDIT, folder=str(tmp_path_factory.mktemp("audit") / "environment"))
    try:
        audit.install(made)
    except UserError as error:
        if "not the one that is locked" in str(error):
            raise
        pytest.skip(f"the environment cannot be made here: {error}")
    return made


@pytest.fixture
def ask(environment, tmp_path, monkeypatch, capsys):
    """`ask(port)`: the command about two locks, of two packages and of one; status and output."""
    locks = tmp_path / "requirements"
    locks.mkdir()
    line = "{} --hash=sha256:" + "0" * 64 + "\n"
    (locks / "a.txt").write_text(line.format("numpy==1.26.4") + line.format("pillow==12.0.0"))
    (locks / "b.txt").write_text(line.format("requests==2.34.2"))
    monkeypatch.setattr(audit, "ROOT", tmp_path)
    monkeypatch.setattr(audit, "AUDIT", environment)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)

    def ask(port: int):
        words = ["deploy/audit.py", "--service", f"http://127.0.0.1:{port}/v1/query"]
        monkeypatch.setattr("sys.argv", words)
        return audit.main(), capsys.readouterr()

    return ask


def test_every_locked_version_is_asked_about(ask, osv):
    status, said = ask(osv.server_port)
    assert status == 0, said.err
    assert said.out == "a.txt: 2 packages, nothing known\nb.txt: 1 packages, nothing known\n"
    assert sorted(osv.asked) == [
        *(("numpy", "1.26.4"), ("pillow", "12.0.0"), ("requests", "2.34.2"))
    ]


def test_what_is_known_is_named_and_is_no_pass(ask, osv):
    holes = json.dumps({"vulns": [HOLE]}).encode()
    osv.answer = lambda name: (200, holes if name == "numpy" else b"{}")
    status, said = ask(osv.server_port)
    assert status == 1
    assert "a.txt: 2 packages, 1 known vulnerabilities\n  numpy 1.26.4: " in said.out
    for word in ("GHSA-toy", "CVE-2026-1", "mended in 9.0", "It opens the door to everybody."):
        assert word in said.out
    assert "b.txt: 1 packages, nothing known" in said.out


def closed_port() -> int:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return unused.getsockname()[1]


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (None, "Connection refused"),
        ((503, b""), "503"),
        ((200, b"<html>sign in</html>"), ""),
        ((200, b'{"vulns": 1}'), ""),
    ],
    ids=["nobody there", "in trouble", "a web page", "another form"],
)
def test_a_service_that_cannot_be_asked_is_no_pass(ask, osv, answer, words):
    osv.answer = lambda name: answer
    status, said = ask(osv.server_port if answer else closed_port())
    assert status == 3
    [line] = [line for line in said.err.splitlines() if "cannot be asked" in line]
    assert line.startswith("  OSV cannot be asked about a.txt: ")
    assert words in line
    assert len(line) < 200
    assert "nothing known" not in said.out


def test_one_answer_that_fails_is_no_pass(ask, osv):
    osv.answer = lambda name: (500, b"") if name == "requests" else (200, b"{}")
    status, said = ask(osv.server_port)
    assert status == 3
    assert "OSV cannot be asked about b.txt" in said.err


def test_it_is_among_the_environments():
    assert ENVIRONMENTS["audit"].problem() is None or "make audit" in AUDIT.problem()
