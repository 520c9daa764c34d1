"""A model in Triton's python backend, in .venv-serve: tensors to logits.

Its file is opened by the toolkit's own session, in this process where .venv-serve holds the
runtime, else in a child process of the environment that does.
"""

import contextlib
import importlib
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils

from common.console import say
from deploy.serving.names import INPUT, OUTPUT, SESSION
from runtimes.environments import SERVE
from runtimes.worker import DeadWorkerError, Worker

Run = Callable[[np.ndarray], np.ndarray]


class Network:
    """What Triton calls `TritonPythonModel`."""

    def initialize(self, args: dict[str, str]) -> None:
        folder = Path(args["model_repository"]) / args["model_version"]
        about = json.loads((folder / SESSION).read_text())
        self._children = contextlib.ExitStack()
        self._run = _open(about, self._children)
        # A file that opens may still not compute: better now than at a client's request.
        self._run(np.zeros([1, *about["input_shape"]], np.float32))

    def execute(self, requests: Sequence[Any]) -> list[Any]:
        """Answer requests, each a batch float32 [n, 3, S, S], by logits float32 [n, classes]."""
        batches = [pb_utils.get_input_tensor_by_name(one, INPUT).as_numpy() for one in requests]
        try:
            logits = self._run(batches[0] if len(batches) == 1 else np.concatenate(batches))
        except DeadWorkerError as error:
            say(f"died: {error}")
            os._exit(1)  # as where the runtime is in this process: the server is ended
        except Exception as error:  # noqa: BLE001 - goes to the client
            refused = pb_utils.TritonError(f"{type(error).__name__}: {error}")
            return [pb_utils.InferenceResponse(error=refused) for _ in requests]
        parts = np.split(logits, np.cumsum([len(batch) for batch in batches])[:-1])
        return [pb_utils.InferenceResponse([pb_utils.Tensor(OUTPUT, part)]) for part in parts]

    def finalize(self) -> None:
        self._children.close()


def _open(about: dict[str, Any], children: contextlib.ExitStack) -> Run:
    """The session's `run`; a child that it takes is ended with `children`."""
    if about["environment"] == SERVE.name:
        module, _, name = about["session"].partition(":")
        return getattr(importlib.import_module(module), name)(**about["arguments"]).run
    worker = children.enter_context(Worker(about["environment"], about["label"]))
    worker.open(about["session"], **about["arguments"])
    return lambda batch: worker.use("run", batch=batch)
