"""Damage every kind of file and request, kill every command and take its disk away, as often as
the time allows: nothing may come of it but a sentence, or what is right.

    python benchmarks/campaign.py --minutes 30
    python benchmarks/campaign.py --case 7:pdparams:1234     one case again, with all that it said

A damaged file is refused with a sentence and status 1 or 2, or gives what is right; never a
traceback, a hang, a file outside of its folder, code executed, or more than 1 GiB taken. After a
kill the next run is right, and neither a temporary file nor shared memory stays. On a disk that is
full, read-only or has a quota a command says so with status 2. What is found is kept in
build/campaign/; a later run goes on from there, and tries open faults again first.

Exit status: 0 no fault is open, 1 one is, 2 bad input.
"""

import argparse
import random
import sys

if __name__ == "__main__":
    sys.path.insert(0, f"{sys.path[0]}/..")
    import common.start  # noqa: F401

import shutil
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from benchmarks.faults import disks, kills
from benchmarks.faults.beside import DISKS, KILLS, Beside
from benchmarks.faults.commands import COMMANDS
from benchmarks.faults.judging import Outcome, damaged, judge
from benchmarks.faults.kinds import Kind, written
from benchmarks.faults.record import Record, Tally, read_record, tables, write_page
from benchmarks.faults.registry import all_kinds
from common import files
from common.cli import Exit, Parser, above_zero, run, several, whole
from common.console import say, shown, table
from common.errors import UserError, suggest
from common.paths import absolute, build_root

_RECORD = "campaign.json"


def main() -> int:
    options = _parse()
    root = build_root() / "campaign"
    kinds = {kind.name: kind for kind in all_kinds()}
    for name in options.kinds or ():
        if name not in kinds and name not in (KILLS, DISKS):
            raise UserError(f"there is no kind '{name}', {suggest(name, [*kinds, KILLS, DISKS])}")
    if options.case:
        return _again(options.case, kinds, root)
    with files.locked(root / ".lock"):
        record = _record(root / _RECORD, options.seed)
        print(f"seed {record.seed}")
        wanted = {name: kinds[name] for name in options.kinds or kinds if name in kinds}
        deadline = time.monotonic() + 60 * options.minutes
        _try_open_faults(record, kinds, root)
        parts = [one for one in (KILLS, DISKS) if one in (options.kinds or (KILLS, DISKS))]
        with Beside(record, parts, root / KILLS, deadline) as beside:
            while time.monotonic() < deadline and _round(record, wanted, root, deadline):
                _take(record, beside.ended(), root)
            _take(record, beside.ended(wait=True), root)
        record.write(root / _RECORD)
    if options.page:
        write_page(options.page, tables(record, kinds.values()))
        say(f"  tables: {shown(options.page)}")
    _show(record)
    print(shown(root / _RECORD))
    return Exit.BROKEN if record.open_faults else Exit.OK


def _parse() -> argparse.Namespace:
    parser = Parser(prog="python benchmarks/campaign.py", description=__doc__)
    parser.add_argument(
        "--minutes", type=above_zero, default=30.0, metavar="N", help="at most (default: 30)"
    )
    parser.add_argument(
        "--seed",
        type=whole(),
        metavar="N",
        help="begin a campaign of this seed, or go on with it (default: go on with the last one)",
    )
    parser.add_argument(
        "--kinds",
        type=several(str),
        metavar="K,…",
        help="only these kinds of files, and kills or disks (default: all)",
    )
    parser.add_argument(
        "--case", metavar="S:K:N", help="one case again: seed, kind and number, as it was printed"
    )
    parser.add_argument(
        "--page", type=absolute, metavar="FILE", help="write the tables into this page's markers"
    )
    return parser.parse_args()


def _record(path: Path, seed: int | None) -> Record:
    """The campaign to go on with, or a new one; one of another seed is put aside."""
    known = read_record(path)
    if known and seed in (None, known.seed):
        return known
    if known:
        path.replace(path.with_name(f"campaign-{known.seed}.json"))
    beside = path.with_name(f"campaign-{seed}.json")
    return read_record(beside) or Record(seed=random.SystemRandom().randrange(10**6)
                                         if seed is None else seed)  # fmt: skip


# ---- files ----


def _round(record: Record, kinds: Mapping[str, Kind], root: Path, deadline: float) -> int:
    """A batch of every kind that is not done; how many cases that were."""
    before = sum(one.tried for one in record.files.values())
    for kind in kinds.values():
        tally = record.files.setdefault(kind.name, Tally())
        size = min(kind.batch, kind.wanted - tally.tried)
        if size <= 0:
            continue
        numbers = range(tally.next, tally.next + size)
        for outcome in judge(kind, record.seed, numbers, root / "scratch"):
            record.take(outcome, tally)
            if outcome.is_fault:
                _tell(outcome)
                _keep(outcome, kind, root)
        record.write(root / _RECORD)
        if time.monotonic() > deadline:
            break
    return sum(one.tried for one in record.files.values()) - before


def _keep(outcome: Outcome, kind: Kind, root: Path) -> None:
    """Keep the files of a case that failed, the first of each number only."""
    folder = root / "failed" / outcome.case.replace(":", "-")
    if not folder.exists():
        written(folder, damaged(kind, outcome.seed, outcome.number, kind.make()))


def _tell(outcome: Outcome) -> None:
    place = f" ({outcome.place})" if outcome.place else ""
    say(f"  CASE={outcome.case}: {outcome.what}{place}: {ascii(outcome.said)[:200]}")


def _try_open_faults(record: Record, kinds: Mapping[str, Kind], root: Path) -> None:
    for fault in record.open_faults:
        outcome = _try_again(fault.case, kinds, root)
        if outcome and not outcome.is_fault:
            record.mend(fault.case)
            shutil.rmtree(root / "failed" / fault.case.replace(":", "-"), ignore_errors=True)


def _try_again(case: str, kinds: Mapping[str, Kind], root: Path) -> Outcome | None:
    """What becomes of a case now; None where there is none of that name."""
    seed, _, rest = case.partition(":")
    name, _, number = rest.partition(":")
    if not (seed.isdigit() and number.isdigit()):
        return None
    if name in kinds:
        return next(judge(kinds[name], int(seed), [int(number)], root / "scratch"))
    if name in COMMANDS:
        return kills.kill_again(name, int(seed), int(number), root / KILLS)
    command = name.removeprefix(disks.PREFIX)
    if command in COMMANDS and int(number) < len(disks.DISKS):
        return disks.try_again(command, int(seed), int(number), root / KILLS)
    return None


def _again(case: str, kinds: Mapping[str, Kind], root: Path) -> int:
    """One case, and what it said."""
    outcome = _try_again(case, kinds, root)
    if outcome is None:
        raise UserError(f"'{case}' is no case: write seed:kind:number, as 7:pdparams:1234")
    _tell(outcome)
    said = outcome.what
    if outcome.kind in kinds:
        kind, folder = kinds[outcome.kind], root / "failed" / case.replace(":", "-")
        written(folder, damaged(kind, outcome.seed, outcome.number, kind.make()))
        said += f": {shown(folder)}"
    print(said)
    return Exit.BROKEN if outcome.is_fault else Exit.OK


# ---- commands ----


def _take(record: Record, outcomes: Iterable[Outcome], root: Path) -> None:
    """Count and tell what became of commands."""
    for outcome in outcomes:
        tallies = record.disks if outcome.kind.startswith(disks.PREFIX) else record.kills
        record.take(outcome, tallies.setdefault(outcome.kind, Tally()))
        if outcome.is_fault:
            _tell(outcome)
        record.write(root / _RECORD)


def _show(record: Record) -> None:
    rows = [
        [name, str(one.tried), str(one.refused), str(one.right), str(one.faults)]
        for tallies in (record.files, record.kills, record.disks)
        for name, one in tallies.items()
    ]
    table("campaign", ["kind", "tried", "refused", "right", "faults"], rows)
    for one in record.open_faults:
        say(f"  open: CASE={one.case}: {one.what} ({one.place}), {one.times} times")


if __name__ == "__main__":
    run(main)
