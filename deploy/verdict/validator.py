"""One model on one set of photos: the reference once, then any number of targets against it."""

import dataclasses
import functools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from calib.kept import PhotoSet
from calib.quant_config import QuantConfig
from common import console, files
from common.console import say
from common.errors import StepError, UnavailableError, UserError
from common.paths import build_root
from common.strict_json import decode
from common.version import VERSION
from convert import simulate
from convert.artifact import Artifact
from convert.builds import Chosen, split_of
from data.crops import Crops, load_crops
from data.images import ImageSet, spread_rows
from data.photo_folders import HOW_TO_LABEL
from deploy.request.building import build_files, inference_graph, open_for_each
from deploy.request.int8_files import options_for
from deploy.request.opening import open_photos, ready_to_judge
from deploy.request.values import INT8, Cell, Files, Photos
from deploy.speed import latency
from deploy.speed.published import published_block
from deploy.targets.base import Options, Target
from deploy.targets.paddle import REFERENCE
from deploy.verdict import drift, result
from deploy.verdict.drift import Comparison, Verdict
from deploy.verdict.result import SCHEMA, Data, Environment, Host, Result
from models.registry import ModelSpec
from runtimes.hosts import base as hosts
from runtimes.hosts.local import LOCAL
from runtimes.session_pool import NONE, SIMULATED, SessionSpec, open_sessions

_KERNELS = "kernel_precisions"  # of a file's facts, and of what a session tells


class Judge:
    """Validates targets of one model. Photos are decoded once, the reference runs once.

    The reference's logits are kept beside the model's artifacts, for later runs on the same
    photos. `host` is where targets run; the reference runs here.
    """

    def __init__(
        self,
        spec: ModelSpec,
        graph: Artifact,
        photos: ImageSet,
        skip_bad: bool,
        host: hosts.Host = LOCAL,
    ):
        if photos.labels is None:
            raise UserError(f"{photos.name}: photos without labels cannot judge; {HOW_TO_LABEL}")
        self._spec = spec
        self._host = host
        self._graph = graph
        self._photos = photos
        self._skip_bad = skip_bad
        self._split = split_of(graph)
        self._ran: dict[tuple, tuple[np.ndarray, dict]] = {}

    def judge(
        self,
        target: Target,
        precision: str,
        built: Artifact | StepError | None,
        budget_pp: float | None,
        options: Options,
    ) -> Result:
        """The result of a target on the photos.

        `built` is the target's file, or why there is none (None: it cannot be built here), and
        `options` what it was built with.
        """
        session_spec = target.session_spec_on(self._host, precision)
        host = session_spec.host
        rows = spread_rows(len(self.crops), session_spec.photos)
        about = target.digests(built) if isinstance(built, Artifact) else None
        kernels = built.facts.get(_KERNELS) if isinstance(built, Artifact) else None
        report, environment = "", Environment(cpu=host.model)
        execution = session_spec.execution
        outcome: dict[str, Any]
        try:
            if isinstance(built, StepError):
                raise built
            if session_spec.execution == NONE or built is None:
                outcome = {"verdict": "unavailable", "reason": session_spec.reason}
            else:
                if session_spec.execution == SIMULATED:
                    report = target.build_report(built)
                    built = target.simulated_artifact(built, self._graph, precision, options)
                run = self._measure(target, precision, session_spec, built, rows, budget_pp)
                outcome, environment = _outcome(session_spec, run), run.environment
                kernels = run.kernels or kernels
                if host is not LOCAL and precision == INT8:
                    here = target.session_spec(INT8)
                    if here.execution == SIMULATED:
                        built = target.simulated_artifact(built, self._graph, INT8, options)
                    outcome["reason"] += self._beside_local(target, here, built, rows, run.logits)
        except UnavailableError as error:
            execution, outcome = NONE, {"verdict": "unavailable", "reason": str(error)}
        except StepError as error:
            outcome = {"verdict": "fail", "reason": str(error)}
        return Result(
            schema=SCHEMA,
            toolkit=VERSION,
            model=self._spec.name,
            name=self._graph.name,
            target=target.name,
            precision=precision,
            weights=self._graph.facts["weights"],
            host=Host(name=host.name, isa=tuple(host.isa)),
            execution=execution,
            files=about,
            kernel_precisions=kernels,
            data=Data(
                name=self.crops.name,
                images=len(rows),
                skipped=len(self.crops.skipped),
                sha256=self.crops.sha256,
                seen=self._seen(rows) or None,
            ),
            environment=environment,
            build_report=report or None,
            calibration=_calibration(target, precision, options),
            **outcome,
            **(self._speed(target, precision, about, environment) if host is LOCAL else {}),
        )

    def _seen(self, rows: list[int]) -> int:
        """How many of these photos trained the checkpoint."""
        if self._split is None:
            return 0
        hashes = [self.crops.hashes[row] for row in rows]
        return int(self._split.training.known.has(hashes).sum())

    def _speed(
        self,
        target: Target,
        precision: str,
        about: dict[str, str] | None,
        environment: Environment,
    ) -> dict[str, Any]:
        """What the last benchmark measured of these very files, and the published figures."""
        figures = latency.kept(self._graph.name, target.name, precision, about) if about else {}
        medians = {batch: figure.median_ms for batch, figure in figures.items()}
        block = published_block(self._graph, target, precision, environment.gpu, medians)
        return {"latency": figures or None, "published": block}

    def _measure(
        self,
        target: Target,
        precision: str,
        session_spec: SessionSpec,
        built: Artifact,
        rows: list[int],
        budget_pp: float | None,
    ) -> "_Run":
        title = f"{self._graph.name} on {target.name} {precision}"
        logits, environment = self._logits(session_spec, built, precision, rows, title)
        compared = drift.measure_drift(self.reference[rows], logits, self.crops.truth[rows])
        verdict = drift.judge(compared, precision, budget_pp)
        explain = None
        if session_spec.session == simulate.ARM_SESSION:
            explain = simulate.explain_arm_overflow
        elif built.manifest["kind"] == simulate.KIND.name:
            explain = simulate.explain_overflow
        if compared.drift.non_finite and explain:
            bad = int(np.flatnonzero(~np.isfinite(logits).all(axis=1))[0])
            batch = next(iter(self.crops.batches(1, self._spec.preprocess, [rows[bad]])))
            reason = verdict.reason + explain(built.folder, batch)
            verdict = dataclasses.replace(verdict, reason=reason)
        rest = {name: value for name, value in environment.items() if name != _KERNELS}
        kernels = environment.get(_KERNELS)
        return _Run(logits, compared, verdict, decode(Environment, rest), kernels)

    def _logits(
        self,
        session_spec: SessionSpec,
        built: Artifact,
        precision: str,
        rows: list[int],
        title: str,
    ) -> tuple[np.ndarray, dict]:
        """What `_run` gives; the same file in the same session, as several targets simulate fp16,
        is run once."""
        beside = built.facts.get("beside", ())
        content = tuple(
            fact["sha256"] for name, fact in built.manifest["files"].items() if name not in beside
        )
        where = (session_spec.host, session_spec.session, repr(session_spec.options))
        way = (content, *where, precision, tuple(rows))
        if way not in self._ran:
            self._ran[way] = self._run(session_spec, built, precision, rows, title)
        return self._ran[way]

    def _beside_local(
        self,
        target: Target,
        here: SessionSpec,
        built: Artifact,
        rows: list[int],
        there: np.ndarray,
    ) -> str:
        """How far an INT8 file's logits on the host are from those of it here, a clause."""
        title = f"{self._graph.name} on {target.name} {INT8}, here"
        local, _ = self._logits(here, built, INT8, rows, title)
        found = drift.measure_drift(local, there, self.crops.truth[rows])
        what = "the simulation" if here.execution == SIMULATED else "the same file"
        return (
            f"; beside {what} on this machine's own CPU {found.flips:,} of {len(rows):,} "
            f"decisions differ, and relative logits by at most {found.drift.max_rel:.1e}"
        )

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
        path = build_root() / self._graph.name / "reference" / f"{files.sha256_of(facts)[:16]}.npy"
        if path.exists():
            return np.load(path)
        title = f"{self._graph.name} on the reference"
        rows = spread_rows(len(self.crops), None)
        logits, _ = self._run(REFERENCE, self._graph, "fp32", rows, title)
        with files.atomic(path, "wb") as stream:
            np.save(stream, logits)
        return logits

    def _run(
        self,
        session_spec: SessionSpec,
        artifact: Artifact,
        precision: str,
        rows: list[int],
        title: str,
    ) -> tuple[np.ndarray, dict]:
        """Logits float32 [rows, classes] of some of the photos, and what computed them."""
        batches = self.crops.batches(session_spec.batch, self._spec.preprocess, rows)
        with (
            open_sessions(session_spec, artifact.folder, precision) as sessions,
            console.progress(title, "photos") as progress,
        ):
            return sessions(batches, progress, len(rows)), sessions.environment()


@dataclasses.dataclass(frozen=True)
class _Run:
    """What a run on photos gave and has shown, and what it ran in: the arithmetic of so many
    kernels, where the runtime tells."""

    logits: np.ndarray
    compared: Comparison
    verdict: Verdict
    environment: Environment
    kernels: dict[str, int] | None


def _outcome(session_spec: SessionSpec, run: _Run) -> dict[str, Any]:
    """A run's fields of a result. A simulation that passes is `unavailable`, never `pass`."""
    found = run.verdict
    outcome = {"verdict": found.verdict, "reason": found.reason}
    if session_spec.execution == SIMULATED:
        outcome = {
            "verdict": "unavailable" if found.verdict == "pass" else found.verdict,
            "reason": f"simulated, since {session_spec.reason}: {found.reason}",
            "simulation": found.verdict,
        }
    return {
        **outcome,
        "reference": run.compared.reference,
        "measured": run.compared.measured,
        "drift": run.compared.drift,
        "budget": found.budget,
    }


def _calibration(target: Target, precision: str, options: Options) -> result.Calibration | None:
    """How a result's INT8 file was calibrated; nothing for other precisions."""
    if precision != INT8:
        return None
    quant, bits, kept = options.quant or QuantConfig(), target.grid().weight_bits, None
    if used := options.kept.get(target.name):
        quant, bits, kept = used.facts.quant, used.facts.weight_bits, used.facts.photos
    elif options.calibration:
        kept = PhotoSet.of(options.calibration)
    photos = None
    if kept:
        photos = result.CalibrationPhotos(
            name=kept.name, images=len(kept), sha256=kept.sha256, split=kept.split
        )
    return result.Calibration(**dataclasses.asdict(quant), weight_bits=bits, photos=photos)


def validate(
    builds: Sequence[Chosen],
    cells: Sequence[Cell],
    files: Files,
    photos: Photos,
    budget_pp: float | None = None,
    host: hosts.Host = LOCAL,
) -> Iterator[Result]:
    """Build and judge each cell of each build; yield the results, which are also kept as files.

    `budget_pp` is the top-1 loss allowed in percentage points (None: 1 % of the reference's);
    `host`, which has no problem with any target, is where they run.
    Photos are opened before anything is built, so that a mistyped folder costs no time.
    """
    opened = open_for_each(builds, files, lambda *model: open_photos(photos, cells, *model))
    for target, precision in cells:
        if precision in target.on_request:
            say(f"  warning: {target.name} {precision}: {target.warning}")
    for one, photo_set in zip(builds, opened, strict=True):
        graph = inference_graph(one, files)
        images, judged, options = ready_to_judge(graph, cells, files, photos, photo_set)
        judge = Judge(one.spec, graph, images, photos.skip_bad, host)
        built = build_files(graph, judged, options)
        for cell in judged:
            chosen = options_for(cell, options)
            outcome = judge.judge(*cell, built.get(cell), budget_pp, chosen)
            result.write(outcome, cell[0].session_spec_on(host, cell[1]).host.label)
            yield outcome
