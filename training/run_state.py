"""What a training keeps, epoch by epoch, and goes on from."""

import csv
import pickle
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from common import files
from common.console import shown
from common.errors import UserError
from models.split import HeldOutResult, split_path, write_split
from models.state import load_arrays, printable, write_state
from models.training_log import BEST, CHARTS, LAST, LOG
from training.learner import Learner
from training.plan import Plan

_KEPT = {"identity", "rows", "charted", "learner"}


@dataclass
class RunState:
    """A training's folder: its log, its weights, and the checkpoint that it can go on from."""

    folder: Path
    rows: list[dict[str, Any]] = field(default_factory=list)  # of the log, one per epoch
    charted: int = 0  # bytes of the chart that belong to these epochs

    @property
    def best(self) -> Path:
        return self.folder / f"{BEST}.pdparams"

    @property
    def last(self) -> Path:
        return self.folder / f"{LAST}.pdparams"

    @property
    def checkpoint(self) -> Path:
        return self.folder / "checkpoint.pkl"

    @property
    def charts(self) -> Path:
        """The folder that VisualDL shows."""
        return self.folder / CHARTS

    @property
    def best_row(self) -> dict[str, Any]:
        """The first of the epochs with the highest top-1."""
        return _best(self.rows)

    def require_unused(self) -> None:
        """Raise UserError if the folder holds a training already, or cannot be one."""
        if self.folder.exists() and not self.folder.is_dir():
            raise UserError(f"{self.folder} is not a folder; give another --out")
        if self.checkpoint.exists():
            raise UserError(
                f"{shown(self.folder)} holds a training already; go on with it by --resume, give "
                "another --out, or remove it"
            )

    def begin(self, plan: Plan) -> None:
        """Make the folder, with the names of the classes."""
        self.require_unused()
        self.folder.mkdir(parents=True, exist_ok=True)
        names = plan.training.class_names or [str(label) for label in range(plan.classes)]
        with files.atomic(self.folder / "classes.txt") as stream:
            stream.writelines(f"{name}\n" for name in names)

    def read(self, plan: Plan) -> dict[str, Any]:
        """The learner's state, to go on from; UserError if there is none, or of another plan."""
        if not self.checkpoint.is_file():
            raise UserError(
                f"there is no checkpoint in {shown(self.folder)} to go on from; start without "
                "--resume, or name its folder with --out"
            )
        with self.checkpoint.open("rb") as stream:
            kept = load_arrays(stream, str(self.checkpoint))
        if not isinstance(kept, dict) or kept.keys() != _KEPT:
            raise UserError(f"{self.checkpoint} is not a checkpoint of a training")
        theirs, ours = kept["identity"], plan.identity
        rows, charted = kept["rows"], kept["charted"]
        if not (isinstance(theirs, dict) and isinstance(charted, int) and _are_rows(rows)):
            raise UserError(
                f"{self.checkpoint} is damaged; start another training in another --out"
            )
        different = [
            f"{name} {printable(theirs.get(name))} not {value}"
            for name, value in ours.items()
            if theirs.get(name) != value
        ]
        if different:
            raise UserError(
                f"{shown(self.checkpoint)} is of another training: {', '.join(different)}; repeat "
                "its settings, or start another training in another --out"
            )
        self.rows, self.charted = rows, charted
        return kept["learner"]

    def keep(
        self,
        plan: Plan,
        learner: Learner,
        row: dict[str, Any],
        held_out: HeldOutResult,
        charted: int,
    ) -> None:
        """Write everything after an epoch. The checkpoint comes last: it vouches for the rest."""
        rows, weights = [*self.rows, row], learner.weights()
        for path in (self.best, self.last) if _best(rows) is row else (self.last,):
            write_state(path, weights)
            write_split(split_path(path), plan.division.split(path, "train", held_out))
        with files.atomic(self.folder / LOG) as stream:
            table = csv.DictWriter(stream, row.keys())
            table.writeheader()
            table.writerows(rows)
        kept = {
            "identity": plan.identity,
            "rows": rows,
            "charted": charted,
            "learner": learner.state(),
        }
        with files.atomic(self.checkpoint, "wb") as stream:
            pickle.dump(kept, stream, protocol=4)
        self.rows, self.charted = rows, charted


def _are_rows(rows: object) -> bool:
    """Whether a value is a log's rows, of which the best can be told."""
    return isinstance(rows, list) and all(
        isinstance(row, dict) and isinstance(row.get("top1"), float) for row in rows
    )


def _best(rows: list[dict[str, Any]]) -> dict[str, Any]:
    return max(rows, key=lambda row: row["top1"])
