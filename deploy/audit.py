"""Known vulnerabilities of the Python packages that the lock files name.

    python deploy/audit.py [--service https://osv.example.com/v1/query]

pip-audit, in an environment of its own, asks OSV about every locked version; nothing is installed
but itself. Where the service cannot be asked, nothing is known (status 3): that is no pass.
"""

import sys

if __name__ == "__main__":
    sys.path.insert(0, f"{sys.path[0]}/..")
    import common.start  # noqa: F401

import argparse
import contextlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from common import files, process
from common.cli import Exit, Parser, end_with, run
from common.console import say
from common.paths import ROOT
from common.strict_json import short
from common.temporary import temporary_folder
from runtimes import debian
from runtimes.environments import AUDIT
from runtimes.install import install

_LIMIT = 1800.0  # seconds for one file, a question for each package
_SILENCE = 15  # seconds
_LONGEST = 120


@dataclass(frozen=True)
class _Answer:
    """What the service says of a lock file: packages that were asked about, sentences on those with
    known vulnerabilities, and the names of those that it was not asked about."""

    asked: int
    known: list[str]
    passed_over: list[str]


class _NoAnswerError(Exception):
    """The service did not answer; why."""


def main() -> int:
    parser = Parser(prog="python deploy/audit.py", description=__doc__)
    parser.add_argument(
        "--service",
        type=_address,
        metavar="URL",
        help="where OSV is asked (default: pip-audit's own choice)",
    )
    service = parser.parse_args().service
    install(AUDIT)
    known = passed_over = 0
    for lock in sorted(set((ROOT / "requirements").glob("*.txt")) - {debian.LOCK}):
        try:
            answer = _ask(lock, service)
        except _NoAnswerError as why:
            say(f"  OSV cannot be asked about {lock.name}: {why}")
            end_with("nothing is known of vulnerabilities: the service cannot be asked, see above")
            return Exit.UNDECIDED
        count = f"{len(answer.known)} known vulnerabilities" if answer.known else "nothing known"
        print(f"{lock.name}: {answer.asked} packages, {count}")
        for sentence in (*answer.known, *(f"{one} was not asked" for one in answer.passed_over)):
            print(f"  {sentence}")
        known, passed_over = known + len(answer.known), passed_over + len(answer.passed_over)
    if known:
        end_with(
            f"{known} known vulnerabilities; raise the versions in requirements/*.in: make lock"
        )
        return Exit.BROKEN
    if passed_over:
        end_with("of some packages nothing is known, see above")
        return Exit.UNDECIDED
    return Exit.OK


def _address(text: str) -> str:
    """An argument that is an address of the web."""
    with contextlib.suppress(ValueError):
        parts = urlsplit(text)
        if parts.scheme in ("http", "https") and parts.hostname:
            return text
    raise argparse.ArgumentTypeError(f"'{text}' is no address: write https://host")


def _ask(lock: Path, service: str | None) -> _Answer:
    """Ask about every package of a lock file; _NoAnswerError where one stays without an answer."""
    with temporary_folder() as scratch:
        out = scratch / "answer.json"
        words = [AUDIT.python, "-m", "pip_audit", "--requirement", lock, "--no-deps"]
        words += ["--disable-pip", "--require-hashes", "--vulnerability-service", "osv"]
        words += ["--progress-spinner", "off", "--timeout", _SILENCE, "--format", "json"]
        words += ["--cache-dir", scratch / "cache", "--output", out]
        words += ["--osv-url", service] if service else []
        # It ends with 1 for what it found, and for what it could not find out.
        done = process.run(words, what="pip-audit", limit=_LIMIT, statuses=(0, 1))
        found: Any = files.read_json(out) if out.is_file() else None
    if not isinstance(found, dict) or not found.get("dependencies"):
        raise _NoAnswerError(_reason(done))
    packages = found["dependencies"]
    return _Answer(
        asked=sum("skip_reason" not in one for one in packages),
        known=[_sentence(one, hole) for one in packages for hole in one.get("vulns", ())],
        passed_over=[str(one["name"]) for one in packages if "skip_reason" in one],
    )


def _sentence(package: dict[str, Any], hole: dict[str, Any]) -> str:
    names = ", ".join(map(str, (hole["id"], *hole.get("aliases", ()))))
    mended = ", ".join(map(str, hole.get("fix_versions", ()))) or "no version yet"
    said = short(hole.get("description", ""))
    return f"{package['name']} {package['version']}: {names}; mended in {mended}; {said}"


def _reason(done: process.Completed) -> str:
    """Why there is no answer, from tracebacks that have all that went wrong on the way."""
    told = re.search(
        r"Failed to resolve '[^']+'|Connection refused|timed out|\d{3} \w+ Error", done.printed
    )
    return told[0] if told else short(process.last_line(done) or "")[:_LONGEST]


if __name__ == "__main__":
    run(main)
