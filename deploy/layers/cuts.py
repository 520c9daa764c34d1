"""Where a runtime that shows nothing of its inside first goes wrong: one typed value.

It is made by `make explain` (`deploy.layers.bisect`), written and shown here.
"""

from pathlib import Path

from pydantic.dataclasses import dataclass

from common import console
from common.strict_json import STRICT
from deploy.layers import keeping
from deploy.layers.keeping import Finding
from deploy.verdict.result import NotNegative, Text


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Cut:
    """A tensor of the deployed graph, the `place`th in order of execution, and the operator that
    makes it; `error` is the relative error, ‖y − r‖₂ / ‖r‖₂, of what the runtime gives where the
    graph ends with it, against Paddle's. It is absent where a value is not finite, or the size is
    another."""

    place: int
    tensor: Text
    operator: Text
    error: NotNegative | None = None

    def is_right(self, limit: float) -> bool:
        return self.error is not None and self.error <= limit


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Cuts(Finding):
    """What was found: `cuts` are all that were tried, in order of execution; `first` is the tensor
    of the first whose error is beyond `limit`, absent where the last one's is not.

    `steady` says that errors behave as bisection takes them to: what was tried before the first
    wrong tensor is right, and what was tried behind it is wrong. `own_file` is the path of a graph
    that the user gave in the place of the build's.
    """

    own_file: Text | None = None
    limit: NotNegative
    cuts: tuple[Cut, ...]
    first: Text | None = None
    steady: bool
    found: Text
    seconds: NotNegative


def write(cuts: Cuts, device: str = "") -> Path:
    """Keep them in `build/<name>/cuts`, as `keeping.write` says."""
    return keeping.write(cuts, "cuts", device, cuts.own_file)


def show(cuts: Cuts) -> None:
    """Print the cuts as a table, and what was found."""
    console.table(
        f"{cuts.name} on {cuts.target} {cuts.precision} ({cuts.execution}), which shows nothing of "
        f"its inside: graphs cut short, against Paddle, {cuts.data.images} photos of "
        f"{cuts.data.name}",
        ["tensor", "operator", ">place", ">error", ""],
        [
            [
                *(one.tensor, one.operator, str(one.place)),
                "not finite" if one.error is None else f"{one.error:.1e}",
                _mark(one, cuts),
            ]
            for one in cuts.cuts
        ],
        important=("error",),
    )
    print(f"found: {cuts.found}")


def _mark(one: Cut, cuts: Cuts) -> str:
    if one.is_right(cuts.limit):
        return "right"
    return console.colored("first wrong" if one.tensor == cuts.first else "wrong", "red")
