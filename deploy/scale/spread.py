"""Calls that do not depend on each other, in batches, on the nodes of a cluster."""

import dataclasses
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from common.errors import StepError, UserError
from common.strict_json import FormError, parse
from common.temporary import temporary_folder
from deploy.scale import calls as command
from deploy.scale.fleet import Ended, Fleet, Job
from deploy.scale.inputs import add
from deploy.scale.node import Inputs
from runtimes.calls import Calls, Results

# Of work, in a batch: a command takes some seconds to begin, and a node that is lost takes as much.
_BATCH = 60.0  # seconds


@dataclasses.dataclass(frozen=True)
class _Batch(Job):
    """The calls from `first` to `last`."""

    first: int = 0
    last: int = 0


def spread(fleet: Fleet, calls: Calls) -> Results:
    """What calls give on a fleet's nodes (see `runtimes.calls.Spread`).

    UserError where no node has room, StepError where a batch came to nothing.
    """
    with temporary_folder() as scratch:
        inputs: Inputs = {}
        # What no other machine has need not travel.
        command.write(dataclasses.replace(calls, source=Path(calls.source.name)), scratch)
        file = f"{add(scratch, [command.FILE], inputs)}/{command.FILE}"
        name = calls.source.name
        source = f"{add(calls.source.parent, [name], inputs)}/{name}"
        fleet.bring(inputs)
        words = ["deploy/scale/calls.py", file, "--source", source, "--threads", str(fleet.cpus)]
        jobs = [
            _Batch(
                name=f"{calls.title} {first + 1} to {last + 1}",
                words=[*words, "--first", str(first), "--last", str(last)],
                first=first,
                last=last,
            )
            for first, last in batches(calls.seconds, fleet.slots)
        ]
        for ended in fleet.run(jobs):
            yield from _values(ended, fleet)


def batches(seconds: Sequence[float], slots: int) -> list[tuple[int, int]]:
    """The first and the last of each batch of calls that take so many seconds: of about equal work,
    a minute's at most, and one for each slot."""
    total = sum(seconds)
    count = min(max(slots, round(total / _BATCH)), len(seconds))
    ends = list(itertools.accumulate(seconds))
    found, first = [], 0
    for number in range(1, count + 1):
        most = len(seconds) - (count - number)  # one is left for each batch behind
        last = first
        while last + 1 < most and (ends[last] < total * number / count or number == count):
            last += 1
        found.append((first, last))
        first = last + 1
    return found


def _values(ended: Ended, fleet: Fleet) -> list[tuple[int, Any]]:
    job = ended.job
    assert isinstance(job, _Batch)
    if "absent" in ended.told:
        raise UserError(no_room(ended, fleet))
    if problem := ended.problem:
        raise StepError(f"{job.name}: {problem}")
    try:
        found = [parse(line) for line in ended.told["out"].splitlines()]
        values = [(one["row"], one["value"]) for one in found]
    except (FormError, KeyError, TypeError) as error:
        raise StepError(f"{job.name}: what it printed are no values: {error}") from None
    if [row for row, _ in values] != list(range(job.first, job.last + 1)):
        raise StepError(f"{job.name}: it gave {len(values)} of {job.last + 1 - job.first} values")
    ended.say(ended.where)
    return values


def no_room(ended: Ended, fleet: Fleet) -> str:
    """What to say where the cluster cannot take a job."""
    return (
        f"{ended.told['absent']} within {fleet.wait:g} s: others use the cluster; wait longer "
        "(RAY_WAIT=S), or leave out RAY="
    )
