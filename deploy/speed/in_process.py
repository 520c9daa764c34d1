"""A session that prepares a photo itself, to be timed beside a server that does."""

import importlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from data.preprocess import Preprocess


class FromPhoto:
    """From the bytes of a photo file to logits: `inner` is the session ("module:name"), and
    `preprocess` a `Preprocess` as JSON; other options are the session's own."""

    def __init__(self, inner: str, preprocess: Mapping[str, Any], **options: object):
        module, _, name = inner.partition(":")
        self._session = getattr(importlib.import_module(module), name)(**options)
        self._preprocess = Preprocess.from_json(dict(preprocess))

    def run(self, data: np.ndarray) -> np.ndarray:
        """Logits float32 [1, classes] of a file, uint8 [bytes]."""
        crop = self._preprocess.crop_photo(self._preprocess.decode(data.tobytes()))
        return self._session.run(self._preprocess.normalize(crop[None]))

    def environment(self) -> dict[str, Any]:
        return self._session.environment()
