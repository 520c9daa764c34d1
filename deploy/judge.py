"""One model on one set of photos: the reference once, then any number of targets against it."""

import dataclasses
import functools

import numpy as np

from calib.recipe import Recipe
from common import console, files
from common.errors import StepError
from common.paths import build_root
from convert import simulate
from convert.artifact import Artifact
from data.images import ImageSet, spread_rows
from data.loader import Crops, load_crops
from deploy import drift, latency, result
from deploy.reference import published_block
from deploy.request import INT8
from deploy.targets.base import NONE, SIMULATED, Options, Plan, Target, open_runner
from deploy.targets.paddle import REFERENCE
from models.registry import ModelSpec

_BATCH = 10


class Judge:
    """Validates targets of one model. Photos are decoded once, the reference runs once.

    The reference's logits are kept beside the model's artifacts, for later runs on the same
    photos.
    """

    def __init__(self, spec: ModelSpec, graph: Artifact, photos: ImageSet, skip_bad: bool):
        self._spec = spec
        self._graph = graph
        self._photos = photos
        self._skip_bad = skip_bad
        self._ran: dict[tuple, tuple[np.ndarray, dict]] = {}

    def judge(
        self,
        target: Target,
        precision: str,
        built: Artifact | StepError | None,
        budget_pp: float | None,
        options: Options,
    ) -> dict:
        """The result of a target on the photos, in the form that `deploy.result` describes.

        `built` is the target's file, or why there is none (None: it cannot be built here), and
        `options` what it was built with.
        """
        plan = target.plan(precision)
        rows, made = spread_rows(len(self.crops), plan.photos), ""
        try:
            if isinstance(built, StepError):
                raise built
            if plan.execution == NONE:
                outcome = result.absent(plan.reason)
            else:
                if plan.execution == SIMULATED:
                    made = target.established(built)
                    built = target.stand_in(built, self._graph, precision, options)
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
                "name": self.crops.name,
                "images": len(rows),
                "skipped": len(self.crops.skipped),
                "sha256": self.crops.sha256,
            },
            **outcome,
            **({"made": made} if made else {}),
            **_calibration(target, precision, options),
            **self._speed(target, precision, built, outcome["environment"]),
        }

    def _speed(
        self,
        target: Target,
        precision: str,
        built: Artifact | StepError | None,
        environment: dict,
    ) -> dict:
        """What the last benchmark measured of this very file, and the published figures."""
        known = isinstance(built, Artifact)
        figures = latency.kept(target.name, precision, built) if known else {}
        block = published_block(self._spec.name, target, precision, environment, figures)
        beside = {"latency": figures, "published": block}
        return {name: value for name, value in beside.items() if value}

    def _measure(
        self,
        target: Target,
        precision: str,
        plan: Plan,
        built: Artifact,
        rows: list[int],
        budget_pp: float | None,
    ) -> dict:
        # The same file in the same session, as several targets simulate fp16, is run once.
        content = tuple(fact["sha256"] for fact in built.manifest["files"].values())
        way = (content, plan.session, repr(plan.options), precision, tuple(rows))
        if way not in self._ran:
            title = f"{self._spec.name} on {target.name} {precision}"
            self._ran[way] = self._run(plan, built, precision, rows, title)
        logits, environment = self._ran[way]
        found = drift.compare(self.reference[rows], logits, self.crops.labels[rows])
        verdict = drift.judge(found, precision, budget_pp)
        if found.non_finite and built.manifest["kind"] == simulate.KIND:
            bad = int(np.flatnonzero(~np.isfinite(logits).all(axis=1))[0])
            batch = next(iter(self.crops.batches(1, self._spec.preprocess, [rows[bad]])))
            reason = verdict.reason + simulate.explain_overflow(built.folder, batch)
            verdict = dataclasses.replace(verdict, reason=reason)
        return result.measured(found, verdict, plan, environment)

    @functools.cached_property
    def crops(self) -> Crops:
        with console.progress(f"decoding {self._photos.name}", "photos") as progress:
            return load_crops(
                self._photos,
                self._spec.preprocess,
                skip_bad=self._skip_bad,
                progress=progress,
            )

    @functools.cached_property
    def reference(self) -> np.ndarray:
        """Logits float32 [N, classes] of the reference, from an earlier run or a new one."""
        facts = {"graph": self._graph.key, "crops": self.crops.sha256}
        path = build_root() / self._spec.name / "reference" / f"{files.sha256_of(facts)[:16]}.npy"
        if path.exists():
            return np.load(path)
        title = f"{self._spec.name} on the reference"
        rows = spread_rows(len(self.crops), None)
        logits, _ = self._run(REFERENCE, self._graph, "fp32", rows, title)
        with files.atomic(path, "wb") as stream:
            np.save(stream, logits)
        return logits

    def _run(
        self, plan: Plan, artifact: Artifact, precision: str, rows: list[int], title: str
    ) -> tuple[np.ndarray, dict]:
        """Logits float32 [rows, classes] of some of the photos, and what computed them."""
        batches = self.crops.batches(_BATCH, self._spec.preprocess, rows)
        with (
            open_runner(plan, artifact, precision) as runner,
            console.progress(title, "photos") as progress,
        ):
            return runner(batches, progress, len(rows)), runner.environment()


def _calibration(target: Target, precision: str, options: Options) -> dict:
    """How a result's INT8 file was calibrated; nothing for other precisions."""
    if precision != INT8:
        return {}
    recipe = dataclasses.asdict(options.recipe or Recipe())
    return {"calibration": {**recipe, "weight_bits": target.grid().weight_bits}}
