"""ONNX Runtime as it comes: a session without options."""

from convert.to_onnx import FILE
from deploy.speed.peers.default_session import peer_of


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


PEERS = (peer_of("ONNX Runtime, default session", f"{__name__}:{Session.__name__}"),)
