"""What a campaign has tried and found: kept after every batch, and the table that it writes."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from pydantic.dataclasses import dataclass

from benchmarks.faults.judging import REFUSED, RIGHT, Outcome
from benchmarks.faults.kinds import Kind
from common import files
from common.console import shown
from common.errors import UserError
from common.strict_json import STRICT, FormError, decode, encode, parse

_BEGIN, _END = "<!-- campaign: {} -->", "<!-- end of campaign: {} -->"


@dataclass(kw_only=True, config=STRICT)
class Tally:
    """How many of a kind were tried, and what became of them; `next` is the next case's number."""

    tried: int = 0
    refused: int = 0
    right: int = 0
    faults: int = 0
    next: int = 0


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Fault:
    """A way to fail: what became of a case, where, and the first case that did; `mended` once the
    case fails no more."""

    kind: str
    what: str
    place: str
    said: str
    case: str
    times: int = 1
    mended: bool = False


@dataclass(kw_only=True, config=STRICT)
class Record:
    """A campaign of one seed: damaged files by kind, kills and disks by command, and the faults
    found."""

    schema: int = 1
    seed: int
    files: dict[str, Tally] = dataclasses.field(default_factory=dict)
    kills: dict[str, Tally] = dataclasses.field(default_factory=dict)
    disks: dict[str, Tally] = dataclasses.field(default_factory=dict)
    faults: list[Fault] = dataclasses.field(default_factory=list)

    def take(self, outcome: Outcome, tally: Tally) -> None:
        """Count what became of a case."""
        tally.tried += 1
        tally.next = max(tally.next, outcome.number + 1)
        tally.refused += outcome.what == REFUSED
        tally.right += outcome.what == RIGHT
        tally.faults += outcome.is_fault
        if not outcome.is_fault:
            return
        for at, one in enumerate(self.faults):
            if (one.kind, one.what, one.place) == (outcome.kind, outcome.what, outcome.place):
                last = outcome if one.mended else one  # it was not, after all
                self.faults[at] = dataclasses.replace(
                    one, times=one.times + 1, mended=False, case=last.case, said=last.said
                )
                return
        self.faults.append(
            Fault(
                kind=outcome.kind,
                what=outcome.what,
                place=outcome.place,
                said=outcome.said,
                case=outcome.case,
            )
        )

    def mend(self, case: str) -> None:
        """Note that a case fails no more."""
        self.faults = [
            dataclasses.replace(one, mended=True) if one.case == case else one
            for one in self.faults
        ]

    @property
    def open_faults(self) -> list[Fault]:
        return [one for one in self.faults if not one.mended]

    def write(self, path: Path) -> None:
        files.write_json(path, encode(self))


def read_record(path: Path) -> Record | None:
    """The campaign in a file, or None where there is none; UserError for what is no campaign."""
    try:
        return decode(Record, parse(path.read_text()))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, UnicodeDecodeError, FormError) as error:
        raise UserError(
            f"{shown(path)} is no record of a campaign: {error}; remove it to begin anew"
        ) from None


# ---- the page ----


def tables(record: Record, kinds: Iterable[Kind]) -> dict[str, str]:
    """The tables of a campaign in Markdown, by the name that their markers have."""
    readers = {kind.name: kind.reader for kind in kinds}
    return {
        "files": _table(record, ["damaged file", "read as"], readers, record.files),
        "kills": _table(record, ["killed command"], {}, record.kills),
        "disks": _table(record, ["command"], {}, record.disks, refusing=True),
        "faults": _faults(record.faults),
    }


def _table(
    record: Record,
    title: Sequence[str],
    readers: Mapping[str, str],
    tallies: Mapping[str, Tally],
    *,
    refusing: bool = False,
) -> str:
    refusing = refusing or bool(readers)
    headings = [*title, "tried", *(["refused"] if refusing else []), "right"]
    rows = [[*headings, "faults found", "of them open"]]
    for name, one in [*tallies.items(), ("all", _sum(tallies.values()))]:
        of = tallies if name == "all" else (name,)
        found = [fault for fault in record.faults if fault.kind in of]
        numbers = [one.tried, *([one.refused] if refusing else []), one.right]
        row = [name, *([readers.get(name, "")] if readers else []), *map(_grouped, numbers)]
        rows.append([*row, str(len(found)), str(sum(not fault.mended for fault in found))])
    words = len(headings) - len(numbers)
    rows.insert(1, ["---"] * words + ["---:"] * (len(rows[0]) - words))
    lines = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    return f"Seed {record.seed}.\n\n{lines}"


def _sum(tallies: Iterable[Tally]) -> Tally:
    total = Tally()
    for one in tallies:
        for name in ("tried", "refused", "right", "faults"):
            setattr(total, name, getattr(total, name) + getattr(one, name))
    return total


def _grouped(number: int) -> str:
    return f"{number:,}"


def _faults(faults: Sequence[Fault]) -> str:
    if not faults:
        return "None."
    rows = [
        f"| {one.kind} | {one.what} | {one.place.replace('|', '/')} | {one.times} | "
        f"{'yes' if one.mended else 'no'} |"
        for one in sorted(faults, key=lambda one: (one.kind, one.what, one.place))
    ]
    head = "| in | what | where | cases | mended |\n| --- | --- | --- | ---: | --- |"
    return "\n".join([head, *rows])


def write_page(page: Path, found: Mapping[str, str]) -> None:
    """Put tables between their markers in a page; UserError where it lacks some."""
    try:
        text = page.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{shown(page)} cannot be read: {error}") from None
    for name, table in found.items():
        begin, end = _BEGIN.format(name), _END.format(name)
        before, begins, rest = text.partition(f"{begin}\n")
        _, ends, after = rest.partition(end)
        if not (begins and ends):
            raise UserError(f"{shown(page)} has no place for a table: a line {begin}, a line {end}")
        text = f"{before}{begin}\n{table}\n{end}{after}"
    with files.atomic(page) as stream:
        stream.write(text)
