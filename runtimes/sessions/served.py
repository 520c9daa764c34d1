"""A model behind an endpoint, as a session: what it says is asked for, part by part."""

import importlib.metadata
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from common.errors import StepError
from runtimes.served.address import Address
from runtimes.served.client import Client, RefusedError
from runtimes.served.description import PHOTOS

FILE = "endpoint.json"


class Session:
    """The model that `endpoint.json` of a folder describes, at a URL."""

    def __init__(self, folder: str, precision: str, threads: int, url: str):
        self.about = json.loads((Path(folder) / FILE).read_text())
        if self.about["url"] != url:
            raise StepError(f"{folder} was made for {self.about['url']} meanwhile: run again")
        self._at_once = self.about["batch"]
        self.client = Client(Address.parse(url))

    def part(self, batch: np.ndarray | Sequence[str]) -> np.ndarray:
        """A batch as it is sent: tensors float32 [N, 3, S, S], or files' bytes, objects [N]."""
        if self.about["takes"] != PHOTOS:
            return np.asarray(batch)
        found = np.empty(len(batch), dtype=object)
        found[:] = [Path(path).read_bytes() for path in batch]
        return found

    def padded(self, part: np.ndarray) -> np.ndarray:
        """The same with its last photo repeated, where a server takes a fixed number at a time."""
        missing = self.about["batch"] - len(part) if self.about["fixed"] else 0
        if missing <= 0:
            return part
        return np.concatenate([part, np.repeat(part[-1:], missing, axis=0)])

    def run(self, batch: np.ndarray | Sequence[str]) -> np.ndarray:
        """Logits float32 [N, classes] of tensors float32 [N, 3, S, S], or of photo files."""
        given = self.part(batch)
        done: list[np.ndarray] = []
        while (rows := sum(map(len, done))) < len(given):
            part = given[rows : rows + self._at_once]
            try:
                done.append(self.client.infer(self.about, self.padded(part))[: len(part)])
            except RefusedError as error:
                if self.about["fixed"] or len(part) == 1:
                    raise StepError(str(error)) from None
                self._at_once = len(part) // 2  # it may take fewer than it says
        return np.concatenate(done)

    def environment(self) -> dict[str, Any]:
        versions = {"tritonclient": importlib.metadata.version("tritonclient")}
        if self.about["server_version"]:
            versions[self.about["server"]] = self.about["server_version"]
        return {
            "versions": versions,
            "served": {
                **self.about,
                "version": self.client.version or self.about["version"],
                "retried": self.client.retried,
            },
        }
