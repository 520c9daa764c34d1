"""ONNX Runtime as it comes: a session without options."""

import contextlib
from collections.abc import Callable, Iterator, Sequence

from convert.artifact import Artifact
from convert.to_onnx import FILE
from deploy.speed import latency
from deploy.speed.peers import Peer
from runtimes.session_pool import NATIVE, SessionSpec


class Session:
    """In a child process."""

    def __init__(self, folder, precision, threads):
        import onnxruntime

        self._session = onnxruntime.InferenceSession(f"{folder}/{FILE}")
        self._versions = {"onnxruntime": onnxruntime.__version__}

    def run(self, batch):
        return self._session.run(None, {"x": batch})[0]

    def environment(self):
        return {"versions": self._versions}


@contextlib.contextmanager
def _opened(
    artifact: Artifact, precision: str, batch: int, cores: Sequence[int]
) -> Iterator[Callable[[], float]]:
    session_spec = SessionSpec(NATIVE, f"{__name__}:{Session.__name__}")
    with latency.open_timer(session_spec, artifact, precision, batch, cores) as timer:
        yield timer.median


PEERS = (Peer("ONNX Runtime, default session", _opened),)
