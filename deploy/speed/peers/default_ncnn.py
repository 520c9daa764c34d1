"""ncnn as it comes: its options' defaults, with 16-bit storage where the CPU can."""

import numpy as np

from convert.to_ncnn import GRAPH, WEIGHTS
from deploy.speed.peers.default_session import peer_of


class Session:
    """In a child process; one image at a time."""

    def __init__(self, folder, precision, threads):
        import ncnn

        self._matrix = ncnn.Mat
        self._network = ncnn.Net()
        self._network.opt.num_threads = threads
        self._network.load_param(f"{folder}/{GRAPH}")
        self._network.load_model(f"{folder}/{WEIGHTS}")
        self._versions = {"ncnn": ncnn.__version__}

    def run(self, batch):
        return np.stack([self._run_one(image) for image in batch])

    def environment(self):
        return {"versions": self._versions}

    def _run_one(self, image):
        extractor = self._network.create_extractor()
        extractor.input("in0", self._matrix(np.ascontiguousarray(image)).clone())
        return np.array(extractor.extract("out0")[1])


PEERS = (peer_of("ncnn, default options", f"{__name__}:{Session.__name__}"),)
