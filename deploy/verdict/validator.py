"""One model on one set of photos: the reference once, then any number of targets against it."""

import dataclasses
import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from calib.kept import PhotoSet, take_in
from calib.quant_config import QuantConfig
from common.console import say
from common.errors import StepError, UnavailableError
from common.strict_json import decode
from common.version import VERSION
from convert import simulate
from convert.artifact import Artifact
from convert.builds import Chosen, split_of
from data.crops import Crops
from data.images import ImageSet
from deploy.request.building import build_files, inference_graph, open_for_each
from deploy.request.int8_files import options_for
from deploy.request.opening import open_photos, ready_to_judge
from deploy.request.values import INT8, Cell, Files, Photos, calibrated
from deploy.speed import latency
from deploy.speed.published import published_block
from deploy.targets.base import Options, Target
from deploy.verdict import drift, gates, mistaken, result
from deploy.verdict.changes import Changes
from deploy.verdict.drift import Comparison
from deploy.verdict.gates import Verdict
from deploy.verdict.judging_photos import JudgingPhotos, Part
from deploy.verdict.result import SCHEMA, Data, Environment, Host, Result, Served
from deploy.verdict.unlabelled import weigh
from models.registry import ModelSpec
from runtimes.hosts import base as hosts
from runtimes.hosts.local import LOCAL
from runtimes.session_pool import NONE, SIMULATED, SessionSpec

_KERNELS = "kernel_precisions"  # of a file's facts, and of what a session tells
_SERVED = "served"  # of what a session tells
_SERVED_FIELDS = {one.name for one in dataclasses.fields(Served)}


class Judge:
    """Validates targets of one model. Photos are decoded once, the reference runs once.

    The reference's logits are kept beside the model's artifacts, for later runs on the same
    photos. `host` is where targets run; the reference runs here. `more` are photos without labels
    that judge beside the others, `changes` takes note of the decisions that change.
    """

    def __init__(
        self,
        spec: ModelSpec,
        graph: Artifact,
        photos: ImageSet,
        skip_bad: bool,
        host: hosts.Host = LOCAL,
        more: ImageSet | None = None,
        changes: Changes | None = None,
    ):
        self._spec = spec
        self._host = host
        self._graph = graph
        self.photos = JudgingPhotos(graph, photos, more, skip_bad)
        self._changes = changes
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
        parts = self.photos.parts(session_spec.photos)
        if gates.gate(precision) == "numeric":
            del parts[1:]  # its few figures need no more photos
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
                run = self._measure(target, precision, session_spec, built, parts, budget_pp)
                outcome, environment = _outcome(session_spec, run), run.environment
                kernels = run.kernels or kernels
                if host is not LOCAL and calibrated([(target, precision)]):
                    here = target.session_spec(INT8)
                    if here.execution == SIMULATED:
                        built = target.simulated_artifact(built, self._graph, INT8, options)
                    outcome["reason"] += self._beside_local(target, here, built, parts, run.logits)
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
            data=self._data(parts[0]),
            more=self._data(parts[1]) if parts[1:] else None,
            environment=environment,
            build_report=report or None,
            calibration=_calibration(target, precision, options),
            **outcome,
            **(self._speed(target, precision, about, environment) if host is LOCAL else {}),
        )

    def _data(self, part: Part) -> Data:
        """Photos that judge, as a result has them, with how many of them trained the checkpoint."""
        crops, seen = part.crops, 0
        if self._split:
            hashes = [crops.hashes[row] for row in part.rows]
            seen = int(self._split.training.known.has(hashes).sum())
        return Data(
            name=crops.name,
            images=len(part),
            skipped=len(crops.skipped),
            sha256=crops.sha256,
            seen=seen or None,
        )

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
        parts: list[Part],
        budget_pp: float | None,
    ) -> "_Run":
        title = f"{self._graph.name} on {target.name} {precision}"
        logits, environment = self._logits(session_spec, built, precision, parts, title)
        reference = self.photos.reference(parts)
        first, labels = len(parts[0]), parts[0].labels
        compared = drift.measure_drift(reference[:first], logits[:first], labels)
        decisions = None
        if gates.gate(precision) != "numeric" and (labels is None or parts[1:]):
            decisions = weigh(reference, logits, labels)
        verdict = gates.judge(compared, precision, budget_pp, decisions)
        if self._changes is not None:
            paths = [path for one in parts for path in one.paths]
            who = self._graph.name, target.name, precision
            names = parts[0].images.class_names
            self._changes.note(who, paths, reference, logits, labels, names)
        explain = None
        if session_spec.session == simulate.ARM_SESSION:
            explain = simulate.explain_arm_overflow
        elif built.manifest["kind"] == simulate.KIND.name:
            explain = simulate.explain_overflow
        wrong = np.flatnonzero(drift.decisions(logits) < 0)
        if len(wrong) and explain:
            batches = self.photos.batches(parts, 1)
            batch = next(itertools.islice(batches, int(wrong[0]), None))
            reason = verdict.reason + explain(built.folder, batch)
            verdict = dataclasses.replace(verdict, reason=reason)
        rest = {
            name: value for name, value in environment.items() if name not in (_KERNELS, _SERVED)
        }
        kernels, served = environment.get(_KERNELS), None
        if about := environment.get(_SERVED):
            takes = about["takes"]
            found = mistaken.find_mistake(
                *(self._graph, parts, takes, reference, logits), verdict.verdict == "fail"
            )
            verdict = dataclasses.replace(verdict, reason=verdict.reason + found.clause)
            served = _served(about, found.mistake)
        return _Run(logits, compared, verdict, decode(Environment, rest), kernels, served)

    def _logits(
        self,
        session_spec: SessionSpec,
        built: Artifact,
        precision: str,
        parts: list[Part],
        title: str,
    ) -> tuple[np.ndarray, dict]:
        """Logits float32 [photos, classes], and what computed them; the same file in the same
        session, as several targets simulate fp16, is run once."""
        beside = built.facts.get("beside", ())
        content = tuple(
            fact["sha256"] for name, fact in built.manifest["files"].items() if name not in beside
        )
        where = (session_spec.host, session_spec.session, repr(session_spec.options))
        way = (content, *where, precision, *(tuple(one.rows) for one in parts))
        if way not in self._ran:
            self._ran[way] = self.photos.run(session_spec, built, precision, parts, title)
        return self._ran[way]

    @property
    def crops(self) -> Crops:
        return self.photos.crops

    @property
    def reference(self) -> np.ndarray:
        """Logits float32 [N, classes] of the reference, from an earlier run or a new one."""
        return self.photos.reference(self.photos.parts(None)[:1])

    def _beside_local(
        self,
        target: Target,
        here: SessionSpec,
        built: Artifact,
        parts: list[Part],
        there: np.ndarray,
    ) -> str:
        """How far an INT8 file's logits on the host are from those of it here, a clause."""
        title = f"{self._graph.name} on {target.name} {INT8}, here"
        local, _ = self._logits(here, built, INT8, parts, title)
        found = drift.measure_drift(local, there, None)
        what = "the simulation" if here.execution == SIMULATED else "the same file"
        return (
            f"; beside {what} on this machine's own CPU {found.flips:,} of {found.images:,} "
            f"decisions differ, and relative logits by at most {found.drift.max_rel:.1e}"
        )


@dataclasses.dataclass(frozen=True)
class _Run:
    """What a run on photos gave and has shown, and what it ran in: the arithmetic of so many
    kernels, where the runtime tells."""

    logits: np.ndarray
    compared: Comparison
    verdict: Verdict
    environment: Environment
    kernels: dict[str, int] | None
    served: Served | None = None


def _outcome(session_spec: SessionSpec, run: _Run) -> dict[str, Any]:
    """A run's fields of a result. A simulation that passes is `unavailable`, never `pass`."""
    found = run.verdict
    outcome = {"verdict": found.verdict, "reason": found.reason}
    if session_spec.execution == SIMULATED:
        estimate = found.unlabelled.estimate if found.unlabelled else None
        would_pass = found.verdict == "undecided" and estimate and estimate.verdict == "pass"
        too = ", of a simulation with ACCEPT_SIMULATED=1" if would_pass else ""
        outcome = {
            "verdict": "unavailable" if found.verdict == "pass" else found.verdict,
            "reason": f"simulated, since {session_spec.reason}: {found.reason}{too}",
            "simulation": found.verdict,
        }
    return {
        **outcome,
        "reference": run.compared.reference,
        "measured": run.compared.measured,
        "drift": run.compared.drift,
        "unlabelled": found.unlabelled,
        "budget": found.budget,
        "served": run.served,
    }


def _served(about: dict[str, Any], mistake: result.Mistake | None) -> Served:
    """What a session tells of a server, as a result has it."""
    known = {
        name: value for name, value in about.items() if name in _SERVED_FIELDS and value is not None
    }
    return dataclasses.replace(decode(Served, known), mistake=mistake)


def _calibration(target: Target, precision: str, options: Options) -> result.Calibration | None:
    """How a result's INT8 file was calibrated; nothing for other precisions."""
    if not calibrated([(target, precision)]):
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
    changes: Changes | None = None,
    only: Cell | None = None,
) -> Iterator[Result]:
    """Build and judge each cell of each build; yield the results, which are also kept as files.

    `budget_pp` is the top-1 loss allowed in percentage points (None: 1 % of the reference's);
    `host`, which has no problem with any target, is where they run; `changes` takes note of the
    decisions that change. `only` is one of the cells: it alone is built and judged, on the photos
    that judge it among all of them.
    Photos are opened before anything is built, so that a mistyped folder costs no time.
    """
    opened = open_for_each(builds, files, lambda *model: open_photos(photos, cells, *model))
    for target, precision in cells:
        if precision in target.on_request and target.warning:
            say(f"  warning: {target.name} {precision}: {target.warning}")
    for one, photo_set in zip(builds, opened, strict=True):
        graph = inference_graph(one, files)
        if files.calibrated:
            take_in(files.calibrated, graph, [target.name for target, _ in calibrated(cells)])
        ready = ready_to_judge(graph, cells, files, photos, photo_set)
        judge = Judge(one.spec, graph, ready.images, photos.skip_bad, host, ready.more, changes)
        wanted = [cell for cell in ready.cells if only in (None, cell)]
        built = build_files(graph, wanted, ready.options)
        for cell in wanted:
            chosen = options_for(cell, ready.options)
            outcome = judge.judge(*cell, built.get(cell), budget_pp, chosen)
            result.write(outcome, cell[0].session_spec_on(host, cell[1]).host.label)
            yield outcome
