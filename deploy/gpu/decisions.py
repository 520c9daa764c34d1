"""Whether the simulation had changed the same decisions as the GPU does."""

import collections
from collections.abc import Sequence

from common.errors import UserError
from deploy.gpu.record import Part
from deploy.gpu.steps import REAL, SIMULATED, Wanted
from deploy.verdict.changes import Change, read_changes


def compare_decisions(wanted: Wanted, model: str, parts: Sequence[Part]) -> Part:
    """The part of a model that holds what the GPU changed against what its simulation had changed,
    photo by photo; unavailable where one of the two did not run to its end."""
    name = f"simulated against real {model}"
    done = {part.name: part for part in parts}
    for needed in (f"drift {model}", f"simulation {model}"):
        part = done[needed]
        if part.results is None:
            said = part.reason if part.status == "unavailable" else f"{needed} failed"
            return Part(name=name, status="unavailable", reason=said, seconds=0.0)
    try:
        real, simulated = (read_changes(wanted.changes(one, model)) for one in (REAL, SIMULATED))
    except UserError as error:
        return Part(name=name, status="failed", reason=str(error), seconds=0.0)
    rows = [_row(one["precision"], real, simulated) for one in done[f"drift {model}"].results or ()]
    said = "; ".join(_sentence(row) for row in rows)
    return Part(name=name, status="ok", reason=said, seconds=0.0, results=rows)


def _row(
    precision: str, real: Sequence[Change], simulated: Sequence[Change]
) -> dict[str, str | int]:
    """Counts of photos whose decision changed: alike on both, to different classes, on one only."""
    here, there = (
        {one.path: one.new for one in changes if one.precision == precision}
        for changes in (real, simulated)
    )
    kinds = collections.Counter(
        "real only" if path not in there else "alike" if there[path] == new else "otherwise"
        for path, new in here.items()
    )
    return {
        "precision": precision,
        "alike": kinds["alike"],
        "otherwise": kinds["otherwise"],
        "real_only": kinds["real only"],
        "simulated_only": len(there.keys() - here.keys()),
    }


def _sentence(row: dict[str, str | int]) -> str:
    return (
        f"{row['precision']}: of the decisions that changed {row['alike']} alike, "
        f"{row['otherwise']} otherwise, {row['real_only']} on the GPU only, "
        f"{row['simulated_only']} in the simulation only"
    )
