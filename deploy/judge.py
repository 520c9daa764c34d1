"""One model on one set of photos: the reference once, then any number of targets against it."""

import functools

import numpy as np

from common import console, files
from common.errors import StepError
from common.paths import build_root
from convert.artifact import Artifact
from data.images import ImageSet, spread_rows
from data.loader import Crops, load_crops
from deploy import drift, result
from deploy.targets.base import NONE, SIMULATED, Options, Plan, Target, open_runner
from deploy.targets.paddle import REFERENCE
from models.registry import ModelSpec

_BATCH = 10


class Judge:
    """Validates targets of one model. Photos are decoded once, the reference runs once.

    The reference's logits are kept beside the model's artifacts, for later runs on the same
    photos.
    """

    def __init__(
        self, spec: ModelSpec, graph: Artifact, photos: ImageSet, options: Options, skip_bad: bool
    ):
        self._spec = spec
        self._graph = graph
        self._photos = photos
        self._options = options
        self._skip_bad = skip_bad

    def judge(
        self,
        target: Target,
        precision: str,
        built: Artifact | StepError | None,
        budget_pp: float | None,
    ) -> dict:
        """The result of a target on the photos, in the form that `deploy.result` describes.

        `built` is the target's file, or why there is none (None: it cannot be built here).
        """
        plan = target.plan(precision)
        rows = spread_rows(len(self._crops), plan.photos)
        try:
            if isinstance(built, StepError):
                raise built
            if plan.execution == NONE:
                outcome = result.absent(plan.reason)
            else:
                outcome = self._measure(target, precision, plan, built, rows, budget_pp)
        except StepError as error:
            outcome = result.broken(str(error))
        return {
            "schema": result.SCHEMA,
            "model": self._spec.name,
            "target": target.name,
            "precision": precision,
            "weights": self._graph.facts["weights"],
            "execution": plan.execution,
            "data": {
                "name": self._crops.name,
                "images": len(rows),
                "skipped": len(self._crops.skipped),
                "sha256": self._crops.sha256,
            },
            **outcome,
        }

    def _measure(
        self,
        target: Target,
        precision: str,
        plan: Plan,
        built: Artifact,
        rows: list[int],
        budget_pp: float | None,
    ) -> dict:
        if plan.execution == SIMULATED:
            built = target.stand_in(built, self._graph, precision, self._options)
        title = f"{self._spec.name} on {target.name} {precision}"
        logits, environment = self._run(plan, built, precision, rows, title)
        found = drift.compare(self._reference[rows], logits, self._crops.labels[rows])
        verdict = (
            drift.numeric_verdict(found)
            if precision == "fp32"
            else drift.statistical_verdict(found, budget_pp)
        )
        return result.measured(found, verdict, plan, environment)

    @functools.cached_property
    def _crops(self) -> Crops:
        with console.progress(f"decoding {self._photos.name}", "photos") as progress:
            return load_crops(
                self._photos,
                self._spec.preprocess,
                skip_bad=self._skip_bad,
                progress=progress,
            )

    @functools.cached_property
    def _reference(self) -> np.ndarray:
        """Logits float32 [N, classes] of the reference, from an earlier run or a new one."""
        facts = {"graph": self._graph.key, "crops": self._crops.sha256}
        path = build_root() / self._spec.name / "reference" / f"{files.sha256_of(facts)[:16]}.npy"
        if path.exists():
            return np.load(path)
        title = f"{self._spec.name} on the reference"
        rows = spread_rows(len(self._crops), None)
        logits, _ = self._run(REFERENCE, self._graph, "fp32", rows, title)
        with files.atomic(path, "wb") as stream:
            np.save(stream, logits)
        return logits

    def _run(
        self, plan: Plan, artifact: Artifact, precision: str, rows: list[int], title: str
    ) -> tuple[np.ndarray, dict]:
        """Logits float32 [rows, classes] of some of the photos, and what computed them."""
        batches = self._crops.batches(_BATCH, self._spec.preprocess, rows)
        with (
            open_runner(plan, artifact, precision) as runner,
            console.progress(title, "photos") as progress,
        ):
            return runner(batches, progress, len(rows)), runner.environment()
