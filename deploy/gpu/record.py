"""The record of a GPU check: its parts, as JSON, kept after each of them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic.dataclasses import dataclass

from common import files
from common.console import shown
from common.errors import UserError
from common.strict_json import STRICT, FormError, decode, encode, parse

Status = Literal["ok", "failed", "unavailable"]
STATUSES: tuple[Status, ...] = ("ok", "failed", "unavailable")


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Part:
    """What became of a part.

    `ok`: it ran to its end on the GPU and nothing is outside of its budget, which is no verdict;
    those are in `results`, the lines of JSON that the command printed. `unavailable`: it cannot
    run here. `reason` says why, or of an `ok` part what was found.
    """

    name: str
    status: Status
    reason: str
    seconds: float
    command: str | None = None  # as typed; of what is worked out from other parts there is none
    results: Sequence[Mapping[str, Any]] | None = None


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Machine:
    """What a check is about: parts of another are not taken over."""

    gpus: Sequence[str]
    driver: str | None = None
    target: str
    toolkit: str


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Check:
    """All parts so far, in their order."""

    schema: Literal[1] = 1
    machine: Machine
    parts: Sequence[Part] = ()

    def write(self, path: Path) -> None:
        files.write_json(path, encode(self))


def read_check(path: Path) -> Check:
    """The check in a file; UserError where it holds none."""
    try:
        return decode(Check, parse(path.read_text()))
    except (OSError, UnicodeDecodeError):
        why = "it cannot be read"
    except FormError as error:
        why = str(error)
    raise UserError(
        f"{shown(path)} is no record of a GPU check: {why}; make one: make gpu-check, in another "
        "folder (OUT=…), or remove the file"
    )


def finished(path: Path, machine: Machine) -> dict[str, Part]:
    """The parts of an earlier run, on the same machine, that need not run again, by their names.

    UserError where the file has such parts of another machine, which would be lost.
    """
    if not path.exists():
        return {}
    check = read_check(path)
    done = {part.name: part for part in check.parts if part.status == "ok"}
    if done and check.machine != machine:
        whose = f"{', '.join(check.machine.gpus) or 'no GPU'}, toolkit {check.machine.toolkit}"
        raise UserError(
            f"{shown(path)} is the check of another machine ({whose}); name another folder: OUT=…"
        )
    return done
