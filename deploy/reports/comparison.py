"""Two runs held against each other: what got worse beyond noise, what got better, came and went."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from common.intervals import wilson_interval
from deploy.reports.runs import Key, key, title
from deploy.verdict.result import Latency, Result
from deploy.verdict.tables import drift_interval
from runtimes.session_pool import NATIVE

Kind = Literal["worse", "better", "same", "appeared", "went"]
KINDS: tuple[Kind, ...] = ("worse", "better", "appeared", "went", "same")

# A median's interval is about the noise of one run. Of two runs of one file, minutes apart, it says
# nothing: the machine's state is another. What differs by less is not called a difference.
LEAST_RATIO = 1.10


@dataclass(frozen=True)
class Difference:
    """What became of a cell, and the figures that say so."""

    kind: Kind
    name: str
    what: str
    now: Result | None
    before: Result | None


def compare(before: Sequence[Result], now: Sequence[Result]) -> list[Difference]:
    """What differs, the worst first; a cell that several things changed in stands there for each.

    A figure got worse or better where its 95 % intervals in the two runs do not meet. Cells that
    neither got worse nor better are one "same" each.
    """
    old: dict[Key, Result] = {key(one): one for one in before}
    new: dict[Key, Result] = {key(one): one for one in now}
    found = []
    for cell, one in new.items():
        if cell not in old:
            found.append(Difference("appeared", title(one), f"{one.verdict} now", one, None))
            continue
        changes = list(_changes(old[cell], one))
        if not changes:
            changes = [("same", _unchanged(old[cell], one))]
        found += [Difference(kind, title(one), what, one, old[cell]) for kind, what in changes]
    found += [
        Difference("went", title(one), f"{one.verdict} before", None, one)
        for cell, one in old.items()
        if cell not in new
    ]
    return sorted(found, key=lambda one: KINDS.index(one.kind))


def regressions(differences: Sequence[Difference]) -> list[Difference]:
    """Those that got worse."""
    return [one for one in differences if one.kind == "worse"]


def _changes(old: Result, new: Result) -> Iterator[tuple[Kind, str]]:
    photos = "" if old.data.sha256 == new.data.sha256 else ", on other photos"
    if old.verdict != new.verdict:
        yield from _of_verdict(old, new, photos)
    if old.drift and new.drift:
        a, b = old.drift, new.drift
        earlier, later = drift_interval(old), drift_interval(new)
        if earlier and later and (kind := _apart(earlier[1], later[1])):
            yield kind, f"drift {earlier[0]:+.2f} to {later[0]:+.2f} points{photos}"
        if kind := _apart(_agreement(old), _agreement(new)):
            shares = f"{100 * a.agreement:.1f} % to {100 * b.agreement:.1f} %"
            yield kind, f"decisions agreed {shares}{photos}"
        if bool(a.non_finite_photos) != bool(b.non_finite_photos):
            counts = f"{a.non_finite_photos} to {b.non_finite_photos}"
            kind = "worse" if b.non_finite_photos else "better"
            yield kind, f"photos with logits that are not finite: {counts}{photos}"
    if _same_machine(old, new):
        for batch, figure in (new.latency or {}).items():
            if before := (old.latency or {}).get(batch):
                yield from _of_latency(batch, before, figure)


def _of_verdict(old: Result, new: Result, photos: str) -> Iterator[tuple[Kind, str]]:
    """A verdict that can only be had by a decision is news; more or fewer photos are none."""
    said = f"{old.verdict} to {new.verdict}{photos}"
    if new.verdict == "fail":
        yield "worse", said
    elif old.verdict == "fail":
        yield "better", said


def _of_latency(batch: str, old: Latency, new: Latency) -> Iterator[tuple[Kind, str]]:
    if old.noisy or new.noisy or not (old.ci95_ms and new.ci95_ms):
        return
    ratio = new.median_ms / old.median_ms if old.median_ms else 1.0
    kind = _apart(new.ci95_ms, old.ci95_ms)  # less is better
    if kind and not 1 / LEAST_RATIO < ratio < LEAST_RATIO:
        yield kind, f"latency at batch {batch}: {old.median_ms:.2f} to {new.median_ms:.2f} ms"


def _apart(old: tuple[float, float], new: tuple[float, float]) -> Kind | None:
    """Where more is better: on which side of the old interval the new one lies, if on any."""
    if new[1] < old[0]:
        return "worse"
    return "better" if new[0] > old[1] else None


def _agreement(one: Result) -> tuple[float, float]:
    assert one.drift
    images = one.data.images
    return wilson_interval(round(one.drift.agreement * images), images)


def _same_machine(old: Result, new: Result) -> bool:
    where = (old.execution, old.host, old.environment.cpu, old.environment.threads)
    return old.execution == NATIVE and where == (
        *(new.execution, new.host, new.environment.cpu, new.environment.threads),
    )


def _unchanged(old: Result, new: Result) -> str:
    if old.verdict != new.verdict:
        return f"{old.verdict} to {new.verdict}; no figure moved beyond noise"
    same = old.files and old.files == new.files
    return f"{new.verdict}, the same file" if same else f"{new.verdict}, within noise"
