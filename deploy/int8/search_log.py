"""What a search has found so far, on disk, so that a killed one goes on where it was."""

import dataclasses
import json
from pathlib import Path
from typing import Any

from calib.quant_config import QuantConfig
from calib.sensitivity import Effect
from common import files
from common.sources import Code, code_of


class SearchLog:
    """Results by configuration, and a ranking of layers, in a JSON file.

    They count only for what they were found with: `facts` (JSON values), and what decides the
    outcome of `code`. Anything else in the file is dropped.
    """

    def __init__(self, path: Path, facts: dict[str, Any], code: tuple[Code, ...]):
        self._path = path
        of = files.sha256_of({"facts": facts, "code": code_of(*code)})
        found = files.read_json(path)
        known = isinstance(found, dict) and found.get("of") == of
        self._kept: dict[str, Any] = found if known else {"of": of, "results": {}, "effects": []}

    def result(self, quant: QuantConfig) -> dict | None:
        """The result that a configuration had, if any."""
        return self._kept["results"].get(_name(quant))

    def keep_result(self, quant: QuantConfig, outcome: dict) -> None:
        self._kept["results"][_name(quant)] = outcome
        files.write_json(self._path, self._kept)

    @property
    def effects(self) -> list[Effect]:
        """The layers as they were ranked; empty where they were not."""
        return [Effect(**one) for one in self._kept["effects"]]

    def keep_effects(self, effects: list[Effect]) -> None:
        self._kept["effects"] = [dataclasses.asdict(one) for one in effects]
        files.write_json(self._path, self._kept)

    def forget(self) -> None:
        """The search is over: the next one measures anew."""
        self._path.unlink(missing_ok=True)


def _name(quant: QuantConfig) -> str:
    return json.dumps(dataclasses.asdict(quant))
