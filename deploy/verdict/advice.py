"""What to type after a target has failed."""

import shlex
from collections.abc import Mapping, Sequence

from common.cli import end_with
from deploy.verdict.result import Result

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
