"""Which photos a target decides otherwise than the reference, and what that says of the classes."""

import collections
import csv
import dataclasses
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import field
from pathlib import Path

import numpy as np
from pydantic.dataclasses import dataclass

from common import files
from common.console import shown
from common.errors import UserError
from common.strict_json import STRICT, FormError, decode, encode, parse
from data.photo_files import printable
from deploy.verdict.drift import decisions
from deploy.verdict.probabilities import NOT_FITTED, fit_temperature, probability

_JSON = ".json"
SUFFIXES = (".csv", _JSON)
_MOST = 3  # classes that are named


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Change:
    """A photo whose decision changed, by the reference's logits: the probabilities of the old and
    of the new class, and by how much the old one's logit leads. What has no decision, since a logit
    is not finite, has no new class."""

    model: str
    target: str
    precision: str
    path: str
    old: int
    new: int | None = None
    old_class: str | None = None
    new_class: str | None = None
    label: int | None = None
    old_probability: float
    new_probability: float | None = None
    margin: float | None = None


@dataclasses.dataclass
class Changes:
    """The changed decisions of any number of targets, in the order in which they were judged."""

    found: list[Change] = field(default_factory=list)

    def note(
        self,
        who: tuple[str, str, str],
        paths: Sequence[Path],
        reference: np.ndarray,
        measured: np.ndarray,
        labels: np.ndarray | None,
        names: Sequence[str] | None,
    ) -> None:
        """Take in what a target decided: `who` is the build, the target and the precision, logits
        are [photos, classes], and `labels` those of the first photos."""
        known = 0 if labels is None else len(labels)
        temperature = NOT_FITTED if labels is None else fit_temperature(reference[:known], labels)
        old, new = decisions(reference), decisions(measured)
        for row in np.flatnonzero((old != new) & (old >= 0)).tolist():
            logits, was, now = reference[[row]], int(old[row]), int(new[row])
            sure = [
                float(probability(logits, np.array([one]), temperature.value)[0])
                for one in (was, now)
            ]
            decided = now >= 0
            self.found.append(
                Change(
                    model=who[0],
                    target=who[1],
                    precision=who[2],
                    path=printable(paths[row]),
                    old=was,
                    new=now if decided else None,
                    old_class=names[was] if names else None,
                    new_class=names[now] if names and decided else None,
                    label=int(labels[row]) if labels is not None and row < known else None,
                    old_probability=sure[0],
                    new_probability=sure[1] if decided else None,
                    margin=float(logits[0, was] - logits[0, now]) if decided else None,
                )
            )

    def write(self, path: Path) -> None:
        """Keep them in a CSV or JSON file, by its suffix, the most confident first; the file is
        whole or absent."""
        rows = [encode(one) for one in sorted(self.found, key=_doubt)]
        if path.suffix.lower() == _JSON:
            text = json.dumps(rows, indent=1, ensure_ascii=False) + "\n"
        else:
            stream = io.StringIO()
            names = [one.name for one in dataclasses.fields(Change)]
            table = csv.DictWriter(stream, names, lineterminator="\n")
            table.writeheader()
            table.writerows(rows)
            text = stream.getvalue()
        with files.atomic(path) as file:
            file.write(text)

    def lines(self) -> Iterator[str]:
        """For each target with changes a sentence that names the classes which changed most."""
        by_target = collections.defaultdict(list)
        for one in self.found:
            by_target[f"{one.model} {one.target} {one.precision}"].append(one)
        for who, those in by_target.items():
            counts = collections.Counter(one.old_class or f"class {one.old}" for one in those)
            most = [f"{name} ({count})" for name, count in counts.most_common(_MOST)]
            changed = f"{len(those):,} decision{'s' * (len(those) != 1)} changed"
            yield f"{who}: {changed}, most of what was {', '.join(most)}"


def read_changes(path: Path) -> list[Change]:
    """The changes in a JSON file, in its order; UserError where it is none."""
    try:
        return decode(list[Change], parse(path.read_text()))
    except (OSError, UnicodeDecodeError):
        why = "it cannot be read"
    except FormError as error:
        why = str(error)
    raise UserError(
        f"{shown(path)} is no file of changed decisions: {why}; make one: make validate "
        f"CHANGES=changes{_JSON}"
    )


def _doubt(one: Change) -> float:
    return -one.old_probability


def check_place(path: Path) -> None:
    """Raise UserError where changes cannot be written to a path."""
    if path.suffix.lower() not in SUFFIXES:
        raise UserError(f"{path}: changes are written as {' or '.join(SUFFIXES)}: give such a name")
    if path.is_dir() or not path.parent.is_dir():
        raise UserError(f"{path}: no file can be written there; name one in a folder that exists")
    files.require_place(path)
