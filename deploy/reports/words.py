"""What a report says of results in words, on the page and beside it."""

from collections.abc import Sequence

from deploy.verdict.result import Data, Result
from deploy.verdict.tables import figures

MARK = {"pass": "✓", "fail": "✗", "undecided": "?", "unavailable": "–"}


def summary(results: Sequence[Result]) -> str:
    """How many results there are of each verdict, in a sentence."""
    counts = {verdict: sum(one.verdict == verdict for one in results) for verdict in MARK}
    simulated = sum(one.simulation == "pass" for one in results)
    said = ", ".join(f"{count} {verdict}" for verdict, count in counts.items() if count)
    more = f"; {simulated} of them pass as a simulation, which is no pass" if simulated else ""
    return f"{len(results)} results: {said}{more}." if results else "Nothing was measured."


def datasets(results: Sequence[Result]) -> list[str]:
    """The photos that judged, in words, each set once."""
    return list(dict.fromkeys(_dataset(one) for one in results if one.drift)) or ["none"]


def _dataset(one: Result) -> str:
    labels = ", labelled" if one.measured else ", without labels" if one.drift else ""
    more = f" and {_photos(one.more, ', without labels')}" if one.more else ""
    return f"{_photos(one.data, labels)}{more}"


def _photos(data: Data, labels: str) -> str:
    return f"{data.images} of {data.name}{labels} (sha256 {data.sha256[:12]})"


def result_figures(one: Result) -> list[str]:
    """What `deploy.verdict.tables.figures` shows, and the largest relative difference."""
    return [*figures(one), f"{one.drift.max_rel:.1e}" if one.drift else "-"]
