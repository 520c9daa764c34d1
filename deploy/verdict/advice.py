"""What to type after a target has failed, or is not decided."""

import argparse
import shlex
from collections.abc import Mapping, Sequence

from common.cli import Exit, end_with
from deploy.verdict.result import Result, exit_status

_MOST = 3  # lines
_OUTSIDE = "something is outside of its budget, or broken, as said above"


def after_fail(results: Sequence[Result], words: Mapping[str, str | None]) -> list[str]:
    """The lines that look for where drift begins, of what drifted too far; none where nothing did,
    or gave no logits.

    `words` are those of make's that a user gave for the photos and the host, None where not.
    """
    given = [f"{word}={shlex.quote(value)}" for word, value in words.items() if value]
    failed = [one for one in results if one.verdict == "fail" and one.drift is not None]
    lines = [
        " ".join(
            [
                *("make explain", f"MODEL={one.name}", f"TARGET={one.target}"),
                *(f"PRECISION={one.precision}", *given),
            ]
        )
        for one in failed
    ]
    return list(dict.fromkeys(lines))[:_MOST]


def end(results: Sequence[Result], words: Mapping[str, str | None], *, shows: bool) -> None:
    """End a command that judged with those lines: its output, where it `shows` any, and make's."""
    lines = after_fail(results, words)
    if not lines:
        return
    if shows:
        print(f"next, to see where drift begins: {'; '.join(lines)}")
    end_with(f"{_OUTSIDE}; next, to see where drift begins: {lines[0]}")


def status(results: Sequence[Result], options: argparse.Namespace) -> Exit:
    """The exit status; where nothing but what was not accepted keeps it from a pass, make's last
    line names the words that accept it."""
    simulated, estimated = options.accept_simulated, options.accept_estimated
    found = exit_status(results, simulated, estimated)
    if found == Exit.UNDECIDED:
        for more in ((simulated, True), (True, estimated), (True, True)):
            if exit_status(results, *more) == Exit.OK:
                end_with(_not_accepted(simulated < more[0], estimated < more[1]))
                break
    return found


def _not_accepted(simulated: bool, estimated: bool) -> str:
    """Make's last line, where simulations, estimates or both would have passed."""
    what = ["simulations"] * simulated + ["estimates"] * estimated
    words = ["ACCEPT_SIMULATED=1"] * simulated + ["ACCEPT_ESTIMATED=1"] * estimated
    takes = ["the hardware"] * simulated + ["more photos, or labels"] * estimated
    return (
        f"this is no error: not decided, as {' and '.join(what)} make no pass by themselves; next: "
        f"what decides ({', '.join(takes)}), or let them count: {' '.join(words)}"
    )
