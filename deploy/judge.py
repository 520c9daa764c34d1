"""One model on one set of photos: the reference once, then any number of targets against it."""

import functools

import numpy as np

from common import console, files
from common.errors import StepError
from common.paths import build_root
from convert.artifact import Artifact
from data.images import ImageSet
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

    def judge(self, target: Target, precision: str, budget_pp: float | None) -> dict:
        """The result of a target on the photos, in the form that `deploy.result` describes."""
        plan = target.plan(precision)
        try:
            if plan.execution == NONE:
                if target.problem() is None:
                    target.build(self._graph, precision, self._options)
                return self._describe(target, precision, plan, result.absent(plan.reason))
            artifact = target.build(self._graph, precision, self._options)
            if plan.execution == SIMULATED:
                artifact = target.stand_in(artifact, self._graph, precision, self._options)
            title = f"{self._spec.name} on {target.name} {precision}"
            logits, environment = self._run(plan, artifact, precision, title)
        except StepError as error:
            return self._describe(target, precision, plan, result.broken(str(error)))
        measured = drift.compare(self._reference, logits, self._crops.labels)
        verdict = (
            drift.numeric_verdict(measured)
            if precision == "fp32"
            else drift.statistical_verdict(measured, budget_pp)
        )
        return self._describe(
            target, precision, plan, result.measured(measured, verdict, plan, environment)
        )

    def _describe(self, target: Target, precision: str, plan: Plan, outcome: dict) -> dict:
        return {
            "schema": result.SCHEMA,
            "model": self._spec.name,
            "target": target.name,
            "precision": precision,
            "weights": self._graph.facts["weights"],
            "execution": plan.execution,
            "data": {
                "name": self._crops.name,
                "images": len(self._crops.labels),
                "skipped": len(self._crops.skipped),
                "sha256": self._crops.sha256,
            },
            **outcome,
        }

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
        logits, _ = self._run(REFERENCE, self._graph, "fp32", title)
        with files.atomic(path, "wb") as stream:
            np.save(stream, logits)
        return logits

    def _run(
        self, plan: Plan, artifact: Artifact, precision: str, title: str
    ) -> tuple[np.ndarray, dict]:
        total = len(self._crops.labels)
        parts = []
        with (
            open_runner(plan, artifact, precision) as runner,
            console.progress(title, "photos") as progress,
        ):
            for batch in self._crops.batches(_BATCH, self._spec.preprocess):
                parts.append(runner(batch))
                progress(sum(map(len, parts)), total)
            return np.concatenate(parts), runner.environment()
