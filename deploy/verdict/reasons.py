"""Why results are no pass, in sentences: one for each, or one for all that share it."""

import re
from collections.abc import Iterable, Sequence

from deploy.verdict.result import Result
from runtimes.hosts.local import Local
from runtimes.session_pool import SIMULATED

_NUMBER = re.compile(r"(?<![\w.])[-+]?\d[\d,]*(?:\.\d+)?(?:e[-+]\d+)?")  # not of fp16, sm_75
_CAUSE = "simulated, since "


def sentences(results: Sequence[Result], verbose: bool) -> list[str]:
    """The lines below a table of results.

    Reasons that differ in nothing but numbers are one, with the smallest and the largest of each;
    why something is simulated, and what was built, is then said clause by clause, once for all that
    share it.
    """
    reports = [(one, one.build_report) for one in results if one.build_report]
    reports += [(one, note) for one in results if (note := seen_in_training(one))]
    if verbose:
        lines = [f"{_name(one)}: {one.verdict}: {one.reason}" for one in _not_passed(results)]
        return lines + [f"{_name(one)}: {report}" for one, report in reports]
    lines, causes = [], []
    groups = _alike((one, _finding(one)) for one in _not_passed(results))
    for shared in groups:
        first = shared[0][0]
        if len(shared) == 1:
            lines.append(f"{_name(first)}: {first.verdict}: {first.reason}")
            continue
        found = _merged([finding for _, finding in shared])
        lines.append(f"{_names([one for one, _ in shared])}: {first.verdict}: {found}")
        causes += [(one, cause) for one, _ in shared if (cause := _cause(one))]
    return lines + _shared_clauses(causes + reports, results)


def seen(results: Sequence[Result]) -> list[str]:
    """The lines that say which of the results are of photos seen in training."""
    notes = [(one, note) for one in results if (note := seen_in_training(one))]
    return _merged_lines(notes)


def seen_in_training(one: Result) -> str:
    """What a result's accuracy is not, in a clause; "" where its photos were new to the model."""
    if not one.data.seen:
        return ""
    return (
        f"{one.data.seen} of the {one.data.images} photos were seen in training: this is no "
        "accuracy on new photos"
    )


def where(one: Result) -> str:
    """The target, with the device or the host where that is another one than this machine."""
    elsewhere = one.host.name if one.host.name != Local.name else None
    device = one.environment.device or elsewhere
    return f"{one.target} ({device})" if device else one.target


def _not_passed(results: Sequence[Result]) -> list[Result]:
    return [one for one in results if one.verdict != "pass"]


def _name(one: Result) -> str:
    return f"{one.name} {where(one)} {one.precision}"


def _names(results: Sequence[Result]) -> str:
    """Several, each model and target said once: "A onnx fp16, int8, openvino fp16"."""
    words: list[str] = []
    before: tuple[str, str] = ("", "")
    for one in results:
        now = one.name, where(one)
        new = [*([now[0]] if now[0] != before[0] else []), *([now[1]] if now != before else [])]
        words.append(" ".join([*new, one.precision]))
        before = now
    return ", ".join(words)


def _cause(one: Result) -> str:
    """Why a result is simulated, as a clause; "" where it is not."""
    if one.execution != SIMULATED or not one.reason.startswith(_CAUSE):
        return ""
    return one.reason.rpartition(": ")[0]


def _finding(one: Result) -> str:
    return one.reason.rpartition(": ")[2] if _cause(one) else one.reason


def _merged_lines(texts: Iterable[tuple[Result, str]]) -> list[str]:
    """A line for each of the texts, once for those that share it."""
    return [
        f"{_names([one for one, _ in shared])}: {_merged([text for _, text in shared])}"
        for shared in _alike(texts)
    ]


def _shared_clauses(texts: Iterable[tuple[Result, str]], results: Sequence[Result]) -> list[str]:
    """A line for the clauses of texts that are of the same results."""
    order = {id(one): row for row, one in enumerate(results)}
    found: dict[str, dict[int, str]] = {}
    for one, text in texts:
        for clause in text.split("; "):
            found.setdefault(_NUMBER.sub("#", clause), {})[order[id(one)]] = clause
    lines: dict[tuple[int, ...], list[str]] = {}
    for shared in found.values():
        lines.setdefault(tuple(sorted(shared)), []).append(_merged(list(shared.values())))
    return [
        f"{_names([results[row] for row in rows])}: {'; '.join(clauses)}"
        for rows, clauses in lines.items()
    ]


def _alike(texts: Iterable[tuple[Result, str]]) -> list[list[tuple[Result, str]]]:
    """Those together whose verdicts are equal and whose texts differ in numbers only."""
    found: dict[tuple[str, str], list[tuple[Result, str]]] = {}
    for one, text in texts:
        found.setdefault((one.verdict, _NUMBER.sub("#", text)), []).append((one, text))
    return list(found.values())


def _merged(texts: Sequence[str]) -> str:
    """Texts that differ in numbers only as one, with "smallest … largest" where they do."""
    columns = iter(zip(*map(_NUMBER.findall, texts), strict=True))

    def spread(_: re.Match) -> str:
        numbers = sorted(next(columns), key=lambda text: float(text.replace(",", "")))
        return numbers[0] if len(set(numbers)) == 1 else f"{numbers[0]} … {numbers[-1]}"

    return _NUMBER.sub(spread, texts[0])
