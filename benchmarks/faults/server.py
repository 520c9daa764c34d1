"""A server of ours that requests are sent to: `make serve`, started once for many of them."""

import contextlib
import json
import re
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import psutil

from benchmarks.faults.judging import MEMORY
from benchmarks.faults.kinds import WrongError
from benchmarks.faults.native import MODEL
from common.cli import Exit
from common.errors import StepError
from common.paths import ROOT

_SOON, _LATE = 0.4, 20.0  # seconds for an answer; and until the connection has to end
_SHAPE = (1, 3, 224, 224)
_ADDRESSES = re.compile(r"REST http://([\d.]+):(\d+) +gRPC (\S+)")
# The command, which ends with the process that started it.
_BEGIN = f"""
import os, signal, sys
sys.path[:0] = [{str(ROOT)!r}]
from common.process import end_with_parent
end_with_parent(signal.SIGTERM)
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""

TENSOR = np.random.default_rng(0).standard_normal(_SHAPE, np.float32)


def inference(entry: dict, size: int, **wanted: object) -> bytes:
    """The JSON of a request whose one input follows it as bytes."""
    entry = entry | {"parameters": {"binary_data_size": size}}
    output = {"name": "logits", "parameters": wanted or {"binary_data": True}}
    return json.dumps({"id": "1", "inputs": [entry], "outputs": [output]}).encode()


def posted(model: str, head: bytes | str, size: int | str) -> bytes:
    """The lines before a request's JSON, `head` bytes long, of `size` bytes with what follows."""
    length = head if isinstance(head, str) else len(head)
    return (
        f"POST /v2/models/{model}/infer HTTP/1.1\r\nHost: localhost\r\n"
        f"Content-Type: application/octet-stream\r\nInference-Header-Content-Length: {length}\r\n"
        f"Content-Length: {size}\r\nConnection: close\r\n\r\n"
    ).encode()


GOOD_HEAD = inference({"name": "x", "datatype": "FP32", "shape": _SHAPE}, TENSOR.nbytes)


class Server:
    """The command, running until `end`, or the end of the process that started it."""

    def __init__(self, build: Path, settings: Mapping[str, str]) -> None:
        self._child = subprocess.Popen(
            [sys.executable, "-c", _BEGIN, ROOT / "deploy" / "serve.py", "--model", MODEL,
             "--port", "0"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={**settings, "BUILD_DIR": str(build)},
        )  # fmt: skip
        assert self._child.stdout and self._child.stderr
        said = ""
        for line in self._child.stdout:
            said += line
            if line.startswith("ready"):
                break
        found = _ADDRESSES.search(said)
        if not found:
            raise StepError(f"no server to send requests to: {self._child.stderr.read()[-300:]}")
        self.rest, self.grpc = (found[1], int(found[2])), found[3]
        self._first = self._answered()

    def ask(self, request: bytes) -> bytes:
        """All that comes back for these bytes; where nothing does soon, the client's half of the
        connection ends. TimeoutError where the server's does not."""
        with socket.create_connection(self.rest, timeout=_LATE) as connection:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it has heard enough
                connection.sendall(request)
            answer = b""
            try:
                connection.settimeout(_SOON)
                while data := connection.recv(1 << 20):
                    answer += data
                    if _is_whole(answer):
                        break
            except TimeoutError:
                connection.settimeout(_LATE)
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_WR)
                while data := connection.recv(1 << 20):
                    answer += data
            except ConnectionResetError:
                pass
        return answer

    def processes(self) -> list[psutil.Process]:
        """The command's, the server's and those of its models."""
        with contextlib.suppress(psutil.Error):
            one = psutil.Process(self._child.pid)
            return [one, *one.children(recursive=True)]
        return []

    def require_sound(self, before: dict[int, int]) -> None:
        """It answers a good request as ever, and took little memory; MemoryError, else StepError
        with its own sentence where it has ended."""
        taken = sum(_memory(pid, "VmHWM") - rss for pid, rss in before.items())
        answer = b""
        with contextlib.suppress(OSError):
            answer = self._answered()
        if not answer:
            self._raise_end()
        if answer != self._first:
            raise WrongError("a good request is answered differently")
        if taken > MEMORY:
            raise MemoryError(f"the server took {taken >> 20} MiB")

    def memory(self) -> dict[int, int]:
        """What each process has now, its peak counted anew."""
        found = {}
        for one in self.processes():
            with contextlib.suppress(OSError):
                Path(f"/proc/{one.pid}/clear_refs").write_text("5")
                found[one.pid] = _memory(one.pid, "VmRSS")
        return found

    def end(self) -> None:
        """Kill it: all that it started ends with it."""
        self._child.kill()
        self._child.communicate()

    def _answered(self) -> bytes:
        return self.ask(posted(MODEL, GOOD_HEAD, len(GOOD_HEAD) + TENSOR.nbytes) + GOOD_HEAD
                        + TENSOR.tobytes())  # fmt: skip

    def _raise_end(self) -> None:
        """What the command says when its server has ended: one sentence and status 1, or it is a
        fault."""
        try:
            _, said = self._child.communicate(timeout=_LATE)
        except subprocess.TimeoutExpired:
            raise WrongError("it takes no connections, and goes on") from None
        errors = [line for line in said.splitlines() if line.startswith("error: ")]
        if self._child.returncode != Exit.BROKEN or len(errors) != 1 or "Traceback" in said:
            raise WrongError(f"it ended with status {self._child.returncode}: {said[-200:]}")
        raise StepError(errors[0].removeprefix("error: "))


def _is_whole(answer: bytes) -> bool:
    """Whether an HTTP answer has the length that it says."""
    lines, found, body = answer.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)^content-length: *(\d+)\r?$", lines, re.M)
    return bool(found and length and len(body) >= int(length[1]))


def _memory(pid: int, field: str) -> int:
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith(f"{field}:"):
                return int(line.split()[1]) << 10
    return 0
