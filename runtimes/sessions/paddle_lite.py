"""Paddle Lite's runtime for x86. Runs in .venv-lite (CPython 3.7).

Imports nothing of the project, which is written for newer Pythons.
"""

import numpy as np
from paddlelite import lite


class Session:
    """Runs `model.nb`, made for x86, of a folder. It uses one thread, whatever is asked for.

    A predictor must see one height and width only: another gives wrong answers. Its output is a
    view into the predictor, valid until the next run: it is copied.
    """

    def __init__(self, folder, precision, threads):
        config = lite.MobileConfig()
        config.set_model_from_file(folder + "/model.nb")
        self._predictor = lite.create_paddle_predictor(config)

    def run(self, batch):
        """Logits float32 [N, classes] of a batch float32 [N, 3, S, S]."""
        self._predictor.get_input(0).from_numpy(np.ascontiguousarray(batch, dtype=np.float32))
        self._predictor.run()
        return np.array(self._predictor.get_output(0).numpy())

    def environment(self):
        return {"threads": 1, "versions": {"paddlelite": self._predictor.get_version()}}
