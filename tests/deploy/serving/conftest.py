"""A server that runs here, and what asks it."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from common.paths import ROOT
from runtimes.environments import SERVE

MODEL = "SqueezeNet1_1"
needs_server = pytest.mark.skipif(bool(SERVE.problem()), reason=str(SERVE.problem()))


@dataclass
class Server:
    """`make serve`, running: what it said until it was ready, and where it is."""

    process: subprocess.Popen
    said: str
    rest: str
    grpc: str
    metrics: str

    def get(self, path: str) -> dict:
        with urllib.request.urlopen(f"{self.rest}{path}", timeout=30) as answer:
            return json.loads(answer.read() or "{}")

    def infer(self, model: str, name: str, value: np.ndarray, output: str, **wanted) -> dict:
        """Ask over REST, the input as bytes behind the JSON; the output's JSON, with its "array"
        where it has one."""
        data = value.tobytes() if value.dtype != object else b"".join(map(_counted, value.flat))
        kind = {"float32": "FP32", "object": "BYTES"}[str(value.dtype)]
        entry = {"name": name, "shape": list(value.shape), "datatype": kind}
        entry["parameters"] = {"binary_data_size": len(data)}
        wanted = wanted or {"binary_data": True}
        asked = {"inputs": [entry], "outputs": [{"name": output, "parameters": wanted}]}
        head = json.dumps(asked).encode()
        request = urllib.request.Request(f"{self.rest}/v2/models/{model}/infer", head + data)
        request.add_header("Inference-Header-Content-Length", str(len(head)))
        with urllib.request.urlopen(request, timeout=60) as answer:
            length = answer.headers.get("Inference-Header-Content-Length")
            body = answer.read()
        end = int(length) if length else len(body)
        found = json.loads(body[:end])["outputs"][0]
        if end < len(body):
            found["array"] = np.frombuffer(body[end:], np.float32).reshape(found["shape"])
        return found

    def end(self, number: int = signal.SIGINT) -> tuple[int, str]:
        """Send it a signal; its status, and what it still said."""
        self.process.send_signal(number)
        return self.process.wait(90), self.process.stderr.read()


def _counted(data: bytes) -> bytes:
    return len(data).to_bytes(4, "little") + data


@contextlib.contextmanager
def serving(build: Path, *words: object) -> Iterator[Server]:
    """Run the command until the block ends; it has its ports from the system."""
    process = subprocess.Popen(
        [sys.executable, ROOT / "deploy" / "serve.py", "--port", "0", *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"BUILD_DIR": str(build)},
    )
    try:
        said = ""
        for line in process.stdout:
            said += line
            if line.startswith("ready"):
                break
        else:
            raise AssertionError(said + process.stderr.read())
        rest, grpc, metrics = re.search(r"REST (\S+) +gRPC (\S+) +metrics (\S+)", said).groups()
        yield Server(process, said, rest, grpc, metrics)
    finally:
        process.terminate()
        process.wait(30)
        process.stdout.close()
        process.stderr.close()


def children(pid: int) -> list[int]:
    """A process's children, theirs, and so on."""
    text = " ".join(one.read_text() for one in Path(f"/proc/{pid}/task").glob("*/children"))
    return [one for child in map(int, text.split()) for one in (child, *children(child))]


def command_line(pid: int) -> str:
    """How a process was started; "" where it is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


def wait_until(true, seconds: float = 20) -> bool:
    end = time.monotonic() + seconds
    while not true() and time.monotonic() < end:
        time.sleep(0.05)
    return true()
