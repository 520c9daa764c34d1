"""One command's measurements: how many, how long still, and what an interrupted one had finished.

A figure is kept as `build/<name>/latency/unfinished/<hash of its question>.json` from the moment
it was taken until its command is through. Whoever asks the same question meanwhile takes it over,
unless the machine is in another state, or the figure is a day old. A command that came to its end
leaves none: the next one measures.
"""

import contextlib
import datetime
import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from common import files, machine
from common.console import say, span
from common.sources import code_of
from deploy.speed import latency

_OLDEST = 24 * 3600  # seconds

Figure = dict[str, Any]


class Sitting:
    """Takes figures one after the other, and says which of how many.

    `seconds` is what each is planned to take, at most; `fresh` has all of them measured.
    """

    def __init__(self, seconds: Sequence[float], fresh: bool = False):
        self._total = len(seconds)
        self._left = sum(seconds)
        self._fresh = fresh
        self.done = 0
        self._spent = self._planned = 0.0  # on those that were measured here
        self._kept: list[Path] = []
        self._reused: list[float] = []  # the ages of those that were taken over

    def leave_out(self, seconds: Sequence[float]) -> None:
        """Expect these figures no more."""
        self._total -= len(seconds)
        self._left -= sum(seconds)

    def take(
        self,
        build: str,
        name: str,
        question: Mapping[str, Any],
        seconds: float,
        measure: Callable[[], Figure],
    ) -> Figure:
        """A figure: one that an interrupted command took, else what `measure` returns.

        `question` is all that it depends on beside the machine, as JSON values. The figure has
        the time when it was "taken" (ISO 8601).
        """
        code = code_of(latency.measure, latency.compare_speed)
        path = latency.unfinished(build) / f"{files.sha256_of({**question, 'code': code})}.json"
        self._kept.append(path)
        place = f"{self.done + 1} of {self._total}"
        figure = None if self._fresh else self._take_over(path, f"{place}: {name}")
        if figure is None:
            say(f"  timing {place}: {name}{self._time_left()}")
            began, load = time.monotonic(), os.getloadavg()[0]
            figure = measure()
            self._spent += time.monotonic() - began
            self._planned += seconds
            figure = {**figure, "taken": _now().isoformat(timespec="seconds")}
            files.write_json(path, {"figure": figure, "state": _state(), "load": load})
        self.done += 1
        self._left -= seconds
        return figure

    def finish(self) -> None:
        """Let the figures go, and those that are too old to count."""
        for folder in {path.parent for path in self._kept}:
            for path in folder.glob("*.json"):
                found = files.read_json(path)
                if path in self._kept or not isinstance(found, dict) or _age(found) > _OLDEST:
                    path.unlink(missing_ok=True)
            with contextlib.suppress(OSError):  # another command's are in it
                folder.rmdir()

    def reused(self) -> str:
        """A sentence about the figures that were taken over; "" where there are none."""
        if not self._reused:
            return ""
        return (
            f"{len(self._reused)} of {self.done} figures were taken over from a benchmark that was "
            f"interrupted, the oldest after {span(max(self._reused))}; --fresh (with make: "
            "FRESH=1) measures them anew"
        )

    def _take_over(self, path: Path, where: str) -> Figure | None:
        found = files.read_json(path)
        if not isinstance(found, dict):
            return None
        age = _age(found)
        changed = [
            f"{name} was {found['state'].get(name)}, now {value}"
            for name, value in _state().items()
            if found["state"].get(name) != value
        ]
        if not 0 <= age <= _OLDEST:
            changed.append(f"it is from {found['figure']['taken']}")
        if changed:
            say(f"  {where}: not taken over from an interrupted benchmark: {'; '.join(changed)}")
            return None
        self._reused.append(age)
        load = f"load {found['load']:.1f} then, {os.getloadavg()[0]:.1f} now"
        say(f"  {where}: taken over, {span(age)} old ({load})")
        return found["figure"]

    def _time_left(self) -> str:
        """A clause: by the pace so far, and where nothing was measured yet, by the limits."""
        if not self._planned:
            return f"; at most about {span(self._left)} for all"
        return f"; about {span(self._left * self._spent / self._planned)} left"


def _state() -> dict[str, Any]:
    """What has to be the same for figures of one machine to stand in one table."""
    return {
        "cpu": machine.cpu(),
        "isa": machine.isa(),
        "governor": machine.governor(),
        "started": machine.boot(),
    }


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


def _age(kept: Mapping[str, Any]) -> float:
    """In seconds."""
    return (_now() - datetime.datetime.fromisoformat(kept["figure"]["taken"])).total_seconds()
