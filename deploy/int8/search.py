"""The search for INT8 files whose loss of top-1 is within the budget.

What is cheap comes first: the calibration methods in the order of their cost, then, with the best
of them, the layers that hurt most are left in float, one, two, four, eight … of them.
"""

import dataclasses
import math
import os
import time
from collections.abc import Iterator

from calib.quant_config import DEFAULT_METHOD, QuantConfig
from calib.sensitivity import Effect, rank
from common import console, machine
from common.errors import StepError
from common.paths import build_root
from convert.artifact import Artifact
from deploy.int8.search_log import SearchLog
from deploy.request.building import keep_quant_config
from deploy.request.values import INT8
from deploy.speed import latency
from deploy.targets.base import Options, Target
from deploy.verdict import result
from deploy.verdict.drift import BUDGET_SHARE
from deploy.verdict.paired import paired_interval
from deploy.verdict.validator import Judge
from runtimes.session_pool import NATIVE, NONE

_RANKING = 0.25  # of the time that is left: what ranking the layers may take
_TIMING = 10.0  # seconds for comparing INT8 with FP32
_REPORTED = 8  # layers in a report


class Search:
    """Attempts at a graph's INT8 files for a target, and the best of them.

    `options` have the photos to calibrate on, and the configuration that a user insists on, if any.
    An attempt's result is one as `deploy.verdict.result` describes it.
    """

    def __init__(
        self,
        graph: Artifact,
        target: Target,
        judge: Judge,
        options: Options,
        budget_pp: float | None,
    ):
        self._graph, self._target = graph, target
        self._judge, self._options, self._budget_pp = judge, options, budget_pp
        self._tried: list[tuple[QuantConfig, dict]] = []
        self._effects: list[Effect] = []
        self._base: QuantConfig | None = None  # what layers are left in float of
        self._kept: SearchLog | None = None

    def once(self) -> Iterator[dict]:
        """The only attempt where nothing is searched for."""
        yield self._attempt(self._options.quant or QuantConfig())

    def within_budget(self, seconds: float) -> Iterator[dict]:
        """Attempts until the loss is within the budget; nothing new is begun after `seconds`.

        Those of a run that was killed are not made again.
        """
        end = time.monotonic() + seconds
        if self._target.session_spec(INT8).execution != NONE:
            self._kept = self._open_log()
        wanted = self._options.quant or QuantConfig(DEFAULT_METHOD)
        methods = [wanted.method] if self._options.quant else self._target.methods
        for method in methods:
            outcome = self._attempt(QuantConfig(method, wanted.keep_float))
            yield outcome
            if self._is_enough(outcome) or time.monotonic() > end:
                return
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
        count = 1
        while count <= len(layers) // 2 and time.monotonic() < end:
            outcome = self._attempt(QuantConfig(base.method, (*base.keep_float, *layers[:count])))
            yield outcome
            if self._is_enough(outcome):
                return
            count *= 2

    def finish(self) -> dict:
        """The best attempt's result; its files and configuration are in place."""
        quant, outcome = self._best()
        if "drift" not in outcome:
            return outcome
        keep_quant_config(self._graph, self._target, quant)
        outcome["sensitivity"] = [dataclasses.asdict(one) for one in self._effects[:_REPORTED]]
        if self._base and self._base != quant:
            outcome["all_int8"] = self._costs(self._base, outcome["execution"])
        outcome |= self._costs(quant, outcome["execution"])  # last: its files stay in place
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
        folder = build_root() / self._graph.model / "calibration"
        return SearchLog(
            folder / f".{self._target.name}.attempts.json", facts, (Search, type(self._target))
        )

    def _attempt(self, quant: QuantConfig) -> dict:
        known = self._kept and self._kept.result(quant)
        outcome = known or self._build_and_judge(quant)
        if self._kept and not known and "drift" in outcome:
            self._kept.keep_result(quant, outcome)
        self._tried.append((quant, outcome))
        return outcome

    def _build_and_judge(self, quant: QuantConfig) -> dict:
        options = self._with(quant)
        built = None
        if not self._target.problem():
            try:
                built = self._target.build(self._graph, INT8, options)
            except StepError as error:
                built = error
        return self._judge.judge(self._target, INT8, built, self._budget_pp, options)

    def _with(self, quant: QuantConfig) -> Options:
        return dataclasses.replace(self._options, quant=quant)

    def _best(self) -> tuple[QuantConfig, dict]:
        """The attempt within the budget, else the one that lost the least; of equals the first."""

        def merit(attempt: tuple[QuantConfig, dict]) -> tuple:
            outcome = attempt[1]
            return (
                outcome["verdict"] != "fail" and self._is_enough(outcome),
                -self._loss(outcome),
                outcome.get("drift", {}).get("agreement", 0.0),
            )

        return max(self._tried, key=merit)

    def _is_enough(self, outcome: dict) -> bool:
        """Whether nothing better is to be looked for.

        The verdict must pass where the photos are enough for that: where as many changed decisions
        would pass if they cancelled out. Where they are not, the loss that was measured counts:
        more layers in float do not make up for too few photos. Where nothing can run, nothing can
        be searched for.
        """
        if outcome["execution"] == NONE:
            return True
        found = outcome.get("drift")
        if found is None:
            return False
        budget = self._budget_pp
        if budget is None:
            budget = 100 * BUDGET_SHARE * outcome["reference"]["top1"]
        half = (found["gained"] + found["lost"] + 1) // 2
        even = paired_interval(half, half, max(outcome["data"]["images"], 2 * half))
        if 100 * even.low >= -budget:
            return outcome.get("simulation", outcome["verdict"]) == "pass"
        return self._loss(outcome) <= budget

    def _loss(self, outcome: dict) -> float:
        """The loss of top-1 in percentage points; infinite where the files are broken."""
        found = outcome.get("drift")
        if found is None or found["non_finite"]:
            return math.inf
        return -found["top1_pp"]

    def _rank(self, quant: QuantConfig, seconds: float) -> list[Effect]:
        onnx, ranges, crops, _ = self._with(quant).measured(self._graph)
        title = f"{self._graph.model} on {self._target.name}: sensitivity"
        with console.progress(title, "layers") as progress:
            return rank(onnx, ranges, crops, quant, self._target.grid(), seconds, progress)

    def _costs(self, quant: QuantConfig, execution: str) -> dict[str, dict]:
        """The size of a configuration's files and, where they run here, their speed."""
        size = {"size": self._sizes(quant)}
        return {**size, "speed": self._speed(quant)} if execution == NATIVE else size

    def _sizes(self, quant: QuantConfig) -> dict[str, float]:
        """The sizes of the INT8 files and of the FP32 ones, in MB."""
        return {
            precision: sum(
                fact["bytes"]
                for name, fact in self._built(quant, precision).manifest["files"].items()
                if name.startswith(("model.", "inference."))
            )
            / 1e6
            for precision in (INT8, "fp32")
        }

    def _built(self, quant: QuantConfig, precision: str) -> Artifact:
        return self._target.build(self._graph, precision, self._with(quant))

    def _speed(self, quant: QuantConfig) -> dict:
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
        return {
            "int8_ms": found["first_ms"],
            "fp32_ms": found["second_ms"],
            "ratio": found["ratio"],
            "ci95": found["ci95"],
            "advice": advice,
        }
