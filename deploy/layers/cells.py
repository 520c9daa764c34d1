"""The cells of a build that are explained, each in the way that suits it; kept and shown."""

import contextlib
import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from common.cli import Exit
from convert.artifact import Artifact
from data.images import spread_rows
from deploy.layers import blame, cost_tables, costs, cuts, profile, tables
from deploy.layers.bisect import PHOTOS, bisect, black_box
from deploy.layers.costs import Costs
from deploy.layers.cuts import Cuts
from deploy.layers.deployed import Deployed
from deploy.layers.explaining import Explainer
from deploy.layers.profile import Profile
from deploy.layers.shortest import blame_layers, status_of
from deploy.layers.subject import problem, subject
from deploy.request.values import Cell
from deploy.scale.elsewhere import Elsewhere
from deploy.targets.base import Options, Target
from deploy.verdict.judging_photos import JudgingPhotos
from runtimes.session_pool import NONE, SessionSpec

Found = Profile | Costs | Cuts


@dataclass(frozen=True)
class Blaming:
    """Whether blame is asked for, to which agreement (a share; None: it is not), and the machines
    that do the work, where it is not this one."""

    want: float | None
    elsewhere: Elsewhere | None = None


class Cells:
    """Those of a graph, on the photos that judge it; a context manager.

    What is told is what their layers cost, where `blaming` asks for that; else
    their profiles, or their cuts where what runs them shows nothing of its inside. `own_file` is
    the user's in the place of the file.
    """

    def __init__(
        self,
        graph: Artifact,
        photos: JudgingPhotos,
        options: Options,
        blaming: Blaming,
        own_file: Path | None,
    ):
        self._graph, self._photos, self._options = graph, photos, options
        self._blaming, self._own_file = blaming, own_file

    def __enter__(self) -> "Cells":
        self._opened = contextlib.ExitStack()
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()

    @staticmethod
    def check(cells: Sequence[Cell], want: float | None) -> None:
        """Raise UserError for what makes no sense to ask of a cell, before any work."""
        if want is not None:
            for target, precision in cells:
                blame.check(target, precision)

    def why_not(self, target: Target, precision: str, session_spec: SessionSpec) -> str | None:
        """Why nothing can be said of a cell; None where it can."""
        if session_spec.execution == NONE:
            return session_spec.reason
        if self._blaming.want is not None or target.black_box:
            return None
        return problem(target, precision, session_spec)

    def explain(
        self, target: Target, precision: str, session_spec: SessionSpec, built: Artifact
    ) -> tuple[Found, Exit]:
        """What was found of a cell whose file is built, and the status that it amounts to."""
        where = (self._graph, target, precision, built, session_spec)
        cell = Deployed(*where, self._options, self._photos)
        how = self._blaming
        if how.want is not None:
            found = blame_layers(cell, how.want, how.elsewhere)
            return found, status_of(found)
        if problem(target, precision, session_spec):
            with black_box(*where, cell.chosen, self._own_file) as box:
                rows = spread_rows(len(self._photos.crops), PHOTOS)
                return bisect(box, self._photos.crops, rows), Exit.OK
        with subject(*where, cell.chosen, self._own_file) as what:
            return self._explainer.explain(what, cell.chosen), Exit.OK

    @functools.cached_property
    def _explainer(self) -> Explainer:
        crops = self._photos.crops
        rows = spread_rows(len(crops), None)
        return self._opened.enter_context(Explainer(self._graph, crops, rows))


def write(found: Found, device: str) -> Path:
    """Keep what was found; `device` is a host's label, as for results."""
    if isinstance(found, Costs):
        return costs.write(found, device)
    return cuts.write(found, device) if isinstance(found, Cuts) else profile.write(found, device)


def show(found: Found, verbose: bool) -> None:
    """Print it, all layers with `verbose`."""
    if isinstance(found, Costs):
        cost_tables.show(found, verbose)
    elif isinstance(found, Cuts):
        cuts.show(found)
    else:
        tables.show(found, verbose)
