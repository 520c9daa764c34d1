"""A server that speaks KServe v2 over HTTP and is good, or bad, as a test wants.

Its logits of a photo tell which photo it was: the first value of its input, then its successors.
"""

import contextlib
import http.server
import json
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

CLASSES = 4
SIDE = 2
NAME = "toy"
_HEADER = "Inference-Header-Content-Length"


@dataclass
class Played:
    """What it says of itself, and what it does: `plan` has, for the coming inferences, None (right
    away), seconds to wait, an HTTP status, or a change of the answer."""

    datatype: str = "FP32"
    shape: tuple[int, ...] = (-1, 3, SIDE, SIDE)
    outputs: tuple[tuple[str, tuple[int, ...]], ...] = (("logits", (-1, CLASSES)),)
    inputs: int = 1
    extensions: tuple[str, ...] = ("binary_tensor_data",)
    most: int | None = None
    token: str | None = None
    plan: list = field(default_factory=list)
    port: int = 0
    batches: list[int] = field(default_factory=list)
    version: str = "1"
    connections: list[socket.socket] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def metadata(self) -> dict:
        one = {"datatype": self.datatype, "shape": list(self.shape)}
        return {
            "name": NAME,
            "versions": [self.version],
            "platform": "played",
            "inputs": [{"name": f"input{number}", **one} for number in range(self.inputs)],
            "outputs": [
                {"name": name, "datatype": "FP32", "shape": list(shape)}
                for name, shape in self.outputs
            ],
        }

    def answer(self, photos: np.ndarray) -> np.ndarray:
        firsts = np.array([photo.reshape(-1)[0] for photo in photos], np.float32)
        return firsts[:, None] + np.arange(CLASSES, dtype=np.float32)

    @contextlib.contextmanager
    def running(self, certificate: tuple[str, str] | None = None) -> Iterator["Played"]:
        """It listens as long as the block runs, on the port of before if it had one."""
        handler = type("Handler", (_Handler,), {"played": self})
        with http.server.ThreadingHTTPServer(("127.0.0.1", self.port), handler) as server:
            server.daemon_threads = True
            self.port = server.server_port
            if certificate:
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                context.load_cert_chain(*certificate)
                server.socket = context.wrap_socket(server.socket, server_side=True)
            thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
            thread.start()
            try:
                yield self
            finally:
                server.shutdown()
                for connection in self.connections:
                    with contextlib.suppress(OSError):
                        connection.shutdown(socket.SHUT_RDWR)
                self.connections.clear()


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    played: Played

    def setup(self):
        super().setup()
        self.played.connections.append(self.connection)

    def log_message(self, *_):
        pass

    def do_GET(self):
        if not self._may():
            return
        path = self.path.strip("/")
        if path == "v2":
            about = {"name": "played", "version": "7", "extensions": self.played.extensions}
            self._say(200, about)
        elif path == f"v2/models/{NAME}":
            self._say(200, self.played.metadata())
        elif path == f"v2/models/{NAME}/ready":
            self._say(200, {})
        elif path == f"v2/models/{NAME}/config" and self.played.most:
            self._say(200, {"max_batch_size": self.played.most})
        else:
            self._say(404, {"error": f"nothing is at {path}"})

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if not self._may():
            return
        if self.path.strip("/") == "v2/repository/index":
            self._say(200, [{"name": NAME}])
            return
        request, photos = self._photos(body)
        step = self.played.plan.pop(0) if self.played.plan else None
        if isinstance(step, int):
            self._say(step, {"error": f"planned {self.headers.get('Authorization')}"})
            return
        if isinstance(step, float):
            time.sleep(step)
        if self.played.most and len(photos) > self.played.most:
            self._say(400, {"error": f"batches of {self.played.most} at most"})
            return
        self.played.batches.append(len(photos))
        self._answer(request, photos, step if isinstance(step, dict) else {})

    def _may(self) -> bool:
        wanted = self.played.token
        if wanted and self.headers.get("Authorization") != f"Bearer {wanted}":
            self._say(401, {"error": "who are you?"})
            return False
        return True

    def _photos(self, body: bytes):
        length = self.headers.get(_HEADER)
        request = json.loads(body[: int(length)] if length else body)
        (given,) = request["inputs"]
        if not length:
            return request, np.array(given["data"], np.float32).reshape(given["shape"])
        raw = body[int(length) :]
        if given["datatype"] == "FP32":
            return request, np.frombuffer(raw, np.float32).reshape(given["shape"])
        photos = []
        while raw:
            size = int.from_bytes(raw[:4], "little")
            photos.append(np.frombuffer(raw[4 : 4 + size], np.uint8))
            raw = raw[4 + size :]
        return request, photos

    def _answer(self, request: dict, photos, change: dict) -> None:
        logits = self.played.answer(photos)[change.get("skip", 0) :]
        about = {"name": "logits", "datatype": "FP32", "shape": list(logits.shape)}
        answer = {
            "model_name": NAME,
            "model_version": change.get("model_version", self.played.version),
            "id": change.get("id", request["id"]),
        }
        if not self.played.extensions:
            self._say(200, answer | {"outputs": [about | {"data": logits.reshape(-1).tolist()}]})
            return
        about["parameters"] = {"binary_data_size": logits.nbytes}
        head = json.dumps(answer | {"outputs": [about]}).encode()
        self._send(200, head + logits.tobytes(), {_HEADER: str(len(head))})

    def _say(self, status: int, value) -> None:
        self._send(status, json.dumps(value).encode(), {})

    def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        with contextlib.suppress(OSError):  # nobody waits for it any more
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)
