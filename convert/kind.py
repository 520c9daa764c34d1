"""The kinds of artifacts: what a step makes, and what it is called. Each stands beside its step."""

from dataclasses import dataclass
from pathlib import Path

from common.paths import build_root


@dataclass(frozen=True)
class Kind:
    """Artifacts that lie in `build/<build's name>/<name>/<precision>/`.

    `files` are those that a runtime or the next step opens, first the one that it is given by
    name; `shown` is the one whose size says how large the model is.
    """

    name: str
    files: tuple[str, ...]
    shown: str

    def folder(self, build: str, precision: str = "fp32") -> Path:
        return build_root() / build / self.name / precision
