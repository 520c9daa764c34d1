"""The one exception whose text is meant for the user."""

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """Something the user can put right.

    The text is one line: what is wrong, where, and what to do. Commands print it without a
    traceback and end with exit status 2 (see `common.cli`).
    """


class StepError(Exception):
    """A step produced something wrong (a numeric difference, a dead tool): exit status 1.

    The text is one line, like UserError's: it names the step, the model and the evidence.
    """


class UnavailableError(StepError):
    """What would run a file is here, and cannot: it lacks something, or is of another version.

    That says nothing of the file, whose result is `unavailable`.
    """


def suggest(name: str, known: Iterable[str]) -> str:
    """A clause that names the known words closest to a mistyped one, or lists them all."""
    known = list(known)
    by_folded = {word.casefold(): word for word in known}
    close = difflib.get_close_matches(name.casefold(), by_folded, n=3, cutoff=0.5)
    if close:
        return "did you mean " + " or ".join(by_folded[word] for word in close) + "?"
    return "known: " + ", ".join(known)
