"""A cell's own file, on the photos that judge; and others of it, with some layers in float."""

import dataclasses
import functools
from collections.abc import Generator, Sequence
from dataclasses import dataclass

import numpy as np

from calib import kept as calibrations
from calib.photos import Calibration
from calib.quant_config import QuantConfig
from common.errors import UserError
from convert.artifact import Artifact
from deploy.request.int8_files import options_for
from deploy.request.values import INT8
from deploy.scale.elsewhere import Elsewhere
from deploy.targets.base import Options, Target
from deploy.verdict.judging_photos import JudgingPhotos, Part
from runtimes.session_pool import SIMULATED, SessionSpec


@dataclass(frozen=True)
class Agreement:
    """The share of so many photos on which a file decides as Paddle does."""

    share: float
    photos: int


@dataclass(frozen=True)
class Deployed:
    """A target's precision, its file `built` of a graph with these `options`, and what it runs in.

    `options` are as the command has them: those of every cell.
    """

    graph: Artifact
    target: Target
    precision: str
    built: Artifact
    session_spec: SessionSpec
    options: Options
    photos: JudgingPhotos

    @property
    def chosen(self) -> Options:
        """Those by which the file was made."""
        return options_for((self.target, self.precision), self.options)

    @functools.cached_property
    def made_by(self) -> Options:
        """The same, with the photos that calibrated the file, where these are still there."""
        kept = self.options.kept.get(self.target.name)
        if self.chosen.calibration or self.precision != INT8 or kept is None:
            return self.chosen
        photos = kept.facts.photos.reopened(kept.facts.skip_bad)
        return dataclasses.replace(self.chosen, calibration=photos)

    @property
    def quant(self) -> QuantConfig:
        return self.chosen.quant or QuantConfig()

    @property
    def calibration(self) -> Calibration:
        """The photos that calibrated the file; UserError where they are gone."""
        found = self.made_by.calibration
        if found is None:
            raise UserError(
                f"the photos that calibrated {self.target.name}'s INT8 of {self.graph.name} are "
                "not where they were, and ranges are told by them: name others, CALIB=folder"
            )
        return found

    def part(self) -> Part:
        """The photos that judge: as many as what runs the file can take."""
        return self.photos.parts(self.session_spec.photos)[0]

    def logits(self, part: Part, built: Artifact | None = None) -> np.ndarray:
        """Logits float32 [photos, classes] of the file, or of another in its place."""
        artifact = built or self.built
        if self.session_spec.execution == SIMULATED:
            artifact = self.target.simulated_artifact(
                artifact, self.graph, self.precision, self.chosen
            )
        title = f"{self.graph.name} on {self.target.name} {self.precision}"
        logits, _ = self.photos.run(self.session_spec, artifact, self.precision, [part], title)
        return logits

    def logits_keeping(self, part: Part, layers: Sequence[str]) -> np.ndarray:
        """Those of an INT8 file with these layers in float, which is made, and not kept."""
        quant = dataclasses.replace(self.quant, keep_float=tuple(layers))
        options = dataclasses.replace(self.made_by, quant=quant, calibration=self.calibration)
        return self.logits(part, self.target.build(self.graph, INT8, options))

    def agreements(
        self, elsewhere: Elsewhere, lists: Sequence[Sequence[str]]
    ) -> Generator[tuple[tuple[str, ...], Agreement | str], None, None]:
        """How the decisions of INT8 files with these lists of layers in float agree with Paddle's,
        on the photos that judge; or why there is no file. They are made elsewhere."""
        quants = {dataclasses.replace(self.quant, keep_float=tuple(one)): one for one in lists}
        made = elsewhere.judged(self.graph, self.target, self.photos, self.made_by, list(quants))
        for quant, outcome in made:
            found: Agreement | str = outcome.reason
            if outcome.drift:
                found = Agreement(outcome.drift.agreement, outcome.data.images)
            yield tuple(quants[quant]), found

    def put_back(self) -> None:
        """Put the file back into its place, which others took."""
        found = calibrations.find(self.graph, self.target.name)
        assert found, "an INT8 file is kept once it is made"
        found.put_back()
