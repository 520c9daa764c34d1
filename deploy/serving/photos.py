"""A model in Triton's python backend, in .venv-serve: the bytes of photo files to tensors."""

import concurrent.futures
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils

from common import machine
from data.decode import BadPhotoError
from data.preprocess import Preprocess
from deploy.serving.names import INPUT, PHOTO


class Photos:
    """What Triton calls `TritonPythonModel`."""

    def initialize(self, args: dict[str, str]) -> None:
        config = json.loads(args["model_config"])
        facts = json.loads(config["parameters"]["preprocess"]["string_value"])
        self._preprocess = Preprocess.from_json(facts)
        self._pool = concurrent.futures.ThreadPoolExecutor(machine.threads())

    def execute(self, requests: Sequence[Any]) -> list[Any]:
        """Answer requests, each the bytes of n photo files, by tensors float32 [n, 3, S, S]."""
        asked = [
            [self._pool.submit(self._crop, data) for data in _photos(request)]
            for request in requests
        ]
        return [self._answer(crops) for crops in asked]

    def _crop(self, data: bytes) -> np.ndarray:
        return self._preprocess.crop_photo(self._preprocess.decode(data))

    def _answer(self, waiting: Sequence[concurrent.futures.Future]) -> Any:
        crops = []
        for number, one in enumerate(waiting, 1):
            try:
                crops.append(one.result())
            except (BadPhotoError, MemoryError) as error:
                which = f"photo {number} of {len(waiting)}: " * (len(waiting) > 1)
                why = str(error) or "not enough memory"
                # The client's mistake (400, INVALID_ARGUMENT), which unlike the server's own is
                # in vain when it is sent again.
                refused = pb_utils.TritonError(f"{which}{why}", pb_utils.TritonError.INVALID_ARG)
                return pb_utils.InferenceResponse(error=refused)
        batch = self._preprocess.normalize(np.stack(crops))
        return pb_utils.InferenceResponse([pb_utils.Tensor(INPUT, batch)])


def _photos(request: Any) -> list[bytes]:
    return list(pb_utils.get_input_tensor_by_name(request, PHOTO).as_numpy().reshape(-1))
