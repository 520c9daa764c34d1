"""The search for INT8 files whose loss of top-1 is within the budget.

What is cheap comes first: the calibration methods, the default before the others, then, with the
best of them, the layers that hurt most are left in float, one, two, three, five, eight … of them.
"""

import contextlib
import dataclasses
import itertools
import math
import os
import time
from collections.abc import Iterator

from calib.quant_config import DEFAULT_METHOD, QuantConfig, worth_trying
from calib.sensitivity import Effect, rank
from common import console, machine
from common.errors import StepError
from common.paths import build_root
from common.strict_json import decode, encode
from convert.artifact import Artifact
from deploy.int8.search_log import SearchLog
from deploy.request.int8_files import int8_file, keep, options_for
from deploy.request.values import INT8
from deploy.scale.elsewhere import Elsewhere
from deploy.speed import latency
from deploy.targets.base import Options, Target
from deploy.verdict import result
from deploy.verdict.gates import loss_allowed
from deploy.verdict.paired import paired_interval
from deploy.verdict.result import Costs, Result, Sensitivity, Size, Speed
from deploy.verdict.validator import Judge
from runtimes.session_pool import NATIVE, NONE

_RANKING = 0.25  # of the time that is left: what ranking the layers may take
_TIMING = 10.0  # seconds for comparing INT8 with FP32
_REPORTED = 8  # layers in a report


class Search:
    """Attempts at a graph's INT8 files for a target, and the best of them.

    `options` have the photos to calibrate on, and the configuration that a user insists on, if any;
    and what is kept of an earlier calibration. `elsewhere` are other machines, which
    make attempts and measure layers; what comes of it is the same.
    """

    def __init__(
        self,
        graph: Artifact,
        target: Target,
        judge: Judge,
        options: Options,
        budget_pp: float | None,
        elsewhere: Elsewhere | None = None,
    ):
        self._graph, self._target = graph, target
        self._elsewhere = elsewhere
        self._there: dict[QuantConfig, Result] = {}
        self._judge, self._options, self._budget_pp = judge, options, budget_pp
        self._tried: list[tuple[QuantConfig, Result]] = []
        self._effects: list[Effect] = []
        self._base: QuantConfig | None = None  # what layers are left in float of
        self._kept: SearchLog | None = None
        self._file: Artifact | None = None  # that is kept, where it is judged as it is

    def once(self) -> Iterator[Result]:
        """The only attempt where nothing is searched for: the file that is kept, or a new one."""
        if self._target.name in self._options.kept:
            self._file = int8_file(self._graph, self._target, self._options)
        self._options = options_for((self._target, INT8), self._options)
        yield self._attempt(self._options.quant or QuantConfig())

    def within_budget(self, seconds: float) -> Iterator[Result]:
        """Attempts until the loss is within the budget; nothing new is begun after `seconds`.

        Those of a run that was killed are not made again.
        """
        end = time.monotonic() + seconds
        insisted = self._options.quant
        chosen = options_for((self._target, INT8), self._options)
        self._options = dataclasses.replace(chosen, quant=insisted)
        if self._target.session_spec(INT8).execution != NONE:
            self._kept = self._open_log()
        wanted = insisted or QuantConfig(DEFAULT_METHOD)
        methods = [wanted.method] if insisted else worth_trying(self._target.methods)
        quants = [QuantConfig(method, wanted.keep_float) for method in methods]
        self._try_elsewhere(quants, end)
        for quant in quants:
            outcome = self._attempt(quant)
            yield outcome
            if self._is_enough(outcome) or time.monotonic() > end:
                return
        if self._kept is None:
            return  # nothing that runs here, so nothing to rank by
        base = self._base = self._best()[0]
        self._effects = self._kept.effects
        if not self._effects:
            try:
                self._effects = self._rank(base, _RANKING * (end - time.monotonic()))
            except StepError as error:  # the methods' results stand
                console.say(f"  {error}; no layer is left in float")
                return
            self._kept.keep_effects(self._effects)
        layers = [one.layer for one in self._effects if one.layer not in base.keep_float]
        quants = [
            QuantConfig(base.method, (*base.keep_float, *layers[:count]))
            for count in _counts(len(layers) // 2)
        ]
        if time.monotonic() < end:
            self._try_elsewhere(quants, end)
        for quant in quants:
            if time.monotonic() > end and self._known(quant) is None:
                return
            outcome = self._attempt(quant)
            yield outcome
            if self._is_enough(outcome):
                return

    def finish(self) -> Result:
        """The best attempt's result; its files and configuration are in place."""
        quant, outcome = self._best()
        if outcome.drift is None:
            return outcome
        effects = [Sensitivity(**dataclasses.asdict(one)) for one in self._effects[:_REPORTED]]
        all_int8 = None
        if self._base and self._base != quant:
            all_int8 = self._costs(self._base, outcome.execution)
        costs = self._costs(quant, outcome.execution)  # last: its files stay in place
        if self._file is None:
            built = self._built(quant, INT8)
            if self._target.digests(built) != outcome.files:  # Paddle Lite's differ each time
                outcome = self._judged(quant, built)
            keep(self._graph, self._target, built, self._with(quant))
        outcome = dataclasses.replace(
            outcome,
            sensitivity=tuple(effects),
            all_int8=all_int8,
            size=costs.size,
            speed=costs.speed,
        )
        result.write(outcome)
        if self._kept:
            self._kept.forget()
        return outcome

    def _open_log(self) -> SearchLog:
        _, ranges, crops, _ = self._options.measured(self._graph)
        facts = {
            **{"graph": self._graph.key, "ranges": ranges.key, "calibrating": crops.sha256},
            **{"judging": self._judge.crops.sha256, "budget_pp": self._budget_pp},
            # Those of the reference and of the ranges are in the keys of the graph and the ranges.
            "tools": {tool.package: tool.version for tool in self._target.tools},
        }
        folder = build_root() / self._graph.name / "calibration"
        return SearchLog(
            folder / f".{self._target.name}.attempts.json", facts, (Search, type(self._target))
        )

    def _attempt(self, quant: QuantConfig) -> Result:
        known = self._known(quant)
        outcome = known or self._build_and_judge(quant)
        if not known:
            self._keep(quant, outcome)
        self._tried.append((quant, outcome))
        return outcome

    def _known(self, quant: QuantConfig) -> Result | None:
        """The result of an attempt that was made in a run before, or elsewhere."""
        found = self._kept and self._kept.result(quant)
        return decode(Result, found) if found else self._there.get(quant)

    def _keep(self, quant: QuantConfig, outcome: Result) -> None:
        if self._kept and outcome.drift:
            self._kept.keep_result(quant, encode(outcome))

    def _try_elsewhere(self, quants: list[QuantConfig], end: float) -> None:
        """Make attempts on other machines, all at once, until one is enough and those before it
        are made, or time is up."""
        missing = [quant for quant in quants if self._known(quant) is None]
        if self._elsewhere is None or self._kept is None or len(missing) < 2:
            return
        made = self._elsewhere.judged(
            self._graph, self._target, self._judge.photos, self._options, missing
        )
        with contextlib.closing(made) as results:
            for quant, outcome in results:
                self._there[quant] = outcome
                self._keep(quant, outcome)
                if time.monotonic() > end or self._is_decided(quants):
                    return

    def _is_decided(self, quants: list[QuantConfig]) -> bool:
        """Whether the first attempt that is enough is known."""
        known = itertools.takewhile(bool, map(self._known, quants))
        return any(self._is_enough(outcome) for outcome in known if outcome)

    def _build_and_judge(self, quant: QuantConfig) -> Result:
        built: Artifact | StepError | None = None
        if not self._target.problem():
            try:
                built = self._built(quant, INT8)
            except StepError as error:
                built = error
        return self._judged(quant, built)

    def _judged(self, quant: QuantConfig, built: Artifact | StepError | None) -> Result:
        return self._judge.judge(self._target, INT8, built, self._budget_pp, self._with(quant))

    def _with(self, quant: QuantConfig) -> Options:
        return dataclasses.replace(self._options, quant=quant)

    def _best(self) -> tuple[QuantConfig, Result]:
        """The attempt within the budget, else the one that lost the least; of equals the first."""

        def merit(attempt: tuple[QuantConfig, Result]) -> tuple:
            outcome = attempt[1]
            return (
                outcome.verdict != "fail" and self._is_enough(outcome),
                -self._loss(outcome),
                outcome.drift.agreement if outcome.drift else 0.0,
            )

        return max(self._tried, key=merit)

    def _is_enough(self, outcome: Result) -> bool:
        """Whether nothing better is to be looked for.

        The verdict must pass where the photos are enough for that: where as many changed decisions
        would pass if they cancelled out. Where they are not, the loss that was measured counts:
        more layers in float do not make up for too few photos. Where nothing can run, nothing can
        be searched for.
        """
        if outcome.execution == NONE:
            return True
        found = outcome.drift
        if found is None:
            return False
        budget = loss_allowed(outcome, self._budget_pp)
        if found.gained is None or found.lost is None:  # of photos without labels
            return outcome.verdict == "pass" or self._loss(outcome) <= budget
        half = (found.gained + found.lost + 1) // 2
        even = paired_interval(half, half, max(outcome.data.images, 2 * half))
        if 100 * even.low >= -budget:
            return (outcome.simulation or outcome.verdict) == "pass"
        return self._loss(outcome) <= budget

    def _loss(self, outcome: Result) -> float:
        """The loss of top-1 in percentage points; where photos have no labels, the one that is
        estimated; infinite where the files are broken."""
        if outcome.drift is None or outcome.drift.non_finite:
            return math.inf
        if outcome.drift.top1_pp is not None:
            return -outcome.drift.top1_pp
        estimate = outcome.unlabelled.estimate if outcome.unlabelled else None
        return -estimate.top1_pp if estimate else math.inf

    def _rank(self, quant: QuantConfig, seconds: float) -> list[Effect]:
        onnx, ranges, crops, _ = self._with(quant).measured(self._graph)
        title = f"{self._graph.name} on {self._target.name}: sensitivity"
        with console.progress(title, "layers") as progress:
            spread = self._elsewhere.spread if self._elsewhere else None
            grid = self._target.grid()
            return rank(onnx, ranges, crops, quant, grid, seconds, progress, spread)

    def _costs(self, quant: QuantConfig, execution: str) -> Costs:
        """The size of a configuration's files and, where they run here, their speed."""
        size = Size(int8=self._megabytes(quant, INT8), fp32=self._megabytes(quant, "fp32"))
        return Costs(size=size, speed=self._speed(quant) if execution == NATIVE else None)

    def _megabytes(self, quant: QuantConfig, precision: str) -> float:
        stored = self._built(quant, precision).manifest["files"]
        models = [name for name in stored if name.startswith(("model.", "inference."))]
        return sum(stored[name]["bytes"] for name in models) / 1e6

    def _built(self, quant: QuantConfig, precision: str) -> Artifact:
        if self._file and precision == INT8:
            return self._file
        return self._target.build(self._graph, precision, self._with(quant))

    def _speed(self, quant: QuantConfig) -> Speed:
        """INT8 against FP32 at batch 1, by turns, and what that means on this CPU."""
        cores = sorted(os.sched_getaffinity(0))
        timers = [
            latency.open_timer(
                self._target.timed_session_spec(precision),
                self._built(quant, precision),
                precision,
                1,
                cores,
            )
            for precision in (INT8, "fp32")
        ]
        with timers[0] as int8, timers[1] as fp32:
            found = latency.compare_speed(int8.median, fp32.median, _TIMING)
        low, high = found["ci95"]
        advice = "INT8 is faster" if low > 1 else "INT8 is not shown to be faster"
        if high < 1:
            advice = "INT8 is slower here than FP32, which is the better choice"
        integer = {"avx512_vnni", "avx_vnni", "amx_int8"} & set(machine.isa())
        if low <= 1 and not integer:
            advice += "; this CPU has no integer dot product (VNNI, AMX)"
        return Speed(
            int8_ms=found["first_ms"],
            fp32_ms=found["second_ms"],
            ratio=found["ratio"],
            ci95=(low, high),
            advice=advice,
        )


def _counts(most: int) -> Iterator[int]:
    """1, 2, 3, 5, 8 … up to `most`."""
    count, more = 1, 2
    while count <= most:
        yield count
        count, more = more, count + more
