"""MNN as it comes: precision "normal", and Winograd's transforms."""

import numpy as np

from convert.to_mnn import FILE
from deploy.speed.peers.default_session import peer_of


class Session:
    """In a child process."""

    def __init__(self, folder, precision, threads):
        import MNN

        self._mnn = MNN
        runtime = MNN.nn.create_runtime_manager(({"backend": "CPU", "numThread": threads},))
        self._network = MNN.nn.load_module_from_file(
            f"{folder}/{FILE}", ["x"], ["logits"], runtime_manager=runtime
        )

    def run(self, batch):
        expressions = self._mnn.expr
        entry = expressions.const(np.ascontiguousarray(batch), list(batch.shape), expressions.NCHW)
        return np.array(self._network.forward([entry])[0].read())

    def environment(self):
        return {"versions": {"MNN": self._mnn.version()}}


PEERS = (peer_of("MNN, default settings", f"{__name__}:{Session.__name__}"),)
