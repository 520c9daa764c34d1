"""What is served: a build's file of a target, with all that a server says of it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common.errors import UserError
from convert.artifact import Artifact
from deploy.packages.labels import Labels
from deploy.serving.model_config import FP32, Config
from deploy.serving.names import INPUT, LABELS, OUTPUT
from deploy.targets.base import Serving, Target


@dataclass(frozen=True)
class Model:
    """A file to serve. `artifact` has it, `graph` is what it was made from."""

    graph: Artifact
    target: Target
    precision: str
    artifact: Artifact
    labels: Labels

    @property
    def name(self) -> str:
        """What clients call it: the build's name."""
        return self.graph.name

    @property
    def serving(self) -> Serving:
        found = self.target.serving(self.precision)
        assert found, f"{self.target.name} is not served"
        return found

    @property
    def input_shape(self) -> list[int]:
        """[3, S, S]: that of one photo."""
        side = self.graph.preprocess.crop
        return [3, side, side]

    @property
    def classes(self) -> int:
        return self.graph.facts["class_num"]

    @property
    def files(self) -> dict[str, Path]:
        """The files that are deployed, by name."""
        return {name: self.artifact.file(name) for name in self.target.digests(self.artifact)}

    def ends(self, *ahead: int) -> Config:
        """Its input and output as a config.pbtxt has them; the output's classes have names.

        `ahead` is -1 where Triton makes no batches, and their length is one of the shape's.
        """
        return {
            "input": [{"name": INPUT, "data_type": FP32, "dims": [*ahead, *self.input_shape]}],
            "output": [self.output(*ahead)],
        }

    def output(self, *ahead: int) -> Config:
        return {
            "name": OUTPUT,
            "data_type": FP32,
            "dims": [*ahead, self.classes],
            "label_filename": LABELS,
        }

    def about(self) -> dict[str, Any]:
        """What it is, and how photos are prepared for it: a JSON object."""
        return {
            "model": self.graph.model,
            "target": self.target.name,
            "precision": self.precision,
            "weights_sha256": self.graph.facts["weights_sha256"],
            "files": self.target.digests(self.artifact),
            "preprocess": self.graph.preprocess.to_json(),
            "labels": self.labels.source,
        }

    def label_lines(self) -> str:
        return "".join(f"{name}\n" for name in self.labels.names)


def check_names(names: list[str]) -> None:
    """Raise UserError where two models would have the same name on a server."""
    for name in names:
        if names.count(name) > 1:
            raise UserError(
                f"two models would be called {name} by the server; serve one of them, or give it "
                "another build's name: NAME=…"
            )
