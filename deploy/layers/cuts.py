"""Where a runtime that shows nothing of its inside first goes wrong: one typed value.

It is made by `make explain` (`deploy.layers.bisect`), written and shown here.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import Field
from pydantic.dataclasses import dataclass

from common import console, files
from common.paths import build_root
from common.strict_json import STRICT, encode
from deploy.verdict.result import Data, Digest, Host, Name, NotNegative, Text
from runtimes.session_pool import Execution

SCHEMA = 1


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
class Cuts:
    """What was found: `cuts` are all that were tried, in order of execution; `first` is the tensor
    of the first whose error is beyond `limit`, absent where the last one's is not.

    `steady` says that errors behave as bisection takes them to: what was tried before the first
    wrong tensor is right, and what was tried behind it is wrong. `own_file` is the path of a graph
    that the user gave in the place of the build's.
    """

    schema: Annotated[int, Field(ge=SCHEMA, le=SCHEMA)]
    toolkit: Text
    model: Text
    name: Name
    target: Text
    precision: Text
    weights: Text
    host: Host
    execution: Execution
    files: Mapping[Text, Digest]
    own_file: Text | None = None
    data: Data
    limit: NotNegative
    cuts: tuple[Cut, ...]
    first: Text | None = None
    steady: bool
    found: Text
    seconds: NotNegative


def write(cuts: Cuts, device: str = "") -> Path:
    """Keep them as `build/<name>/cuts/<target>-<precision>[-<device>][-file].json`."""
    parts = cuts.target, cuts.precision, device, "file" if cuts.own_file else ""
    path = build_root() / cuts.name / "cuts" / f"{'-'.join(filter(None, parts))}.json"
    files.write_json(path, encode(cuts))
    return path


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
