"""Running a part's command in a process of its own, and what became of it."""

import json
import shlex
import shutil
import time
from collections.abc import Mapping, Sequence
from typing import Any

from common import process
from common.cli import Exit
from common.console import say
from common.errors import StepError
from deploy.gpu.record import Part, Status
from deploy.gpu.steps import Task, command_line

Line = Mapping[str, Any]


def typed(step: Task) -> str:
    """A part's command as one would type it in the project's folder."""
    settings = [f"{name}={shlex.quote(value)}" for name, value in step.environment.items()]
    return " ".join([*settings, "python", shlex.join(step.words)])


def run_step(step: Task) -> Part:
    """Do a part, and never raise for its failure. Its progress goes to standard error."""
    command = typed(step)
    started = time.monotonic()

    def part(status: Status, reason: str, results: Sequence[Line] | None = None) -> Part:
        return Part(
            name=step.name,
            status=status,
            reason=reason,
            seconds=round(time.monotonic() - started, 1),
            command=command,
            results=results or None,
        )

    if problem := step.absent():
        return part("unavailable", problem)
    say(f"\n{step.name}: {command}")
    if step.clears:
        shutil.rmtree(step.clears, ignore_errors=True)
    try:
        done = process.run(
            command_line(step),
            what=step.name,
            limit=step.limit,
            statuses=process.ANY_STATUS,
            environment=step.environment,
            hear=say,
        )
    except StepError as error:
        return part("failed", str(error))
    if done.status == Exit.INTERRUPTED:
        raise KeyboardInterrupt
    results = _lines(done.stdout)
    if done.status not in (Exit.OK, Exit.UNDECIDED):
        return part("failed", _why_failed(done, results), results)
    if problem := step.after():
        return part("unavailable", problem)
    if problem := _why_not_measured(step, results):
        return part("unavailable", problem, results)
    if done.status == Exit.UNDECIDED and not results:
        return part("unavailable", process.last_line(done) or "there was nothing to do")
    return part("ok", _summary(done, results), results)


def _lines(printed: str) -> list[Line]:
    """The JSON objects among what a command printed."""
    return [json.loads(line) for line in printed.splitlines() if line.startswith("{")]


def _why_failed(done: process.Completed, results: Sequence[Line]) -> str:
    for one in results:
        if one["verdict"] == "fail":
            return f"{one['target']} {one['precision']}: {one.get('reason', one['verdict'])}"
    complaints = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    said = complaints[-1].removeprefix("error: ") if complaints else process.last_line(done)
    return said or process.ending(done.status)


def _why_not_measured(step: Task, results: Sequence[Line]) -> str | None:
    """Why a part that belongs on the GPU did not run there."""
    for one in results:
        if step.on_gpu and "gpu" not in one.get("environment", {}) and one["verdict"] != "fail":
            why = one.get("reason", one["verdict"])
            return f"{one['target']} {one['precision']} did not run on the GPU: {why}"
    return None


def _summary(done: process.Completed, results: Sequence[Line]) -> str:
    """What was found, in a sentence."""
    if not results:
        return process.last_line(process.Completed(done.status, done.stdout)) or "done"
    return "; ".join(map(_figures, results))


def _figures(one: Line) -> str:
    if one["verdict"] != "measured":
        would = f" (by itself {one['simulation']})" if "simulation" in one else ""
        return f"{one['precision']} {one['verdict']}{would}"
    medians = " / ".join(f"{figure['median_ms']:.2f}" for figure in one["latency"].values())
    batches = ", ".join(one["latency"])
    clocks = one["environment"].get("gpu_clocks_mhz") or {}
    at = " at " + ", ".join(f"{name} {mhz} MHz" for name, mhz in clocks.items()) if clocks else ""
    return f"{one['precision']} {medians} ms (batch {batches}){at}"
