"""The layer where the error jumps, and not one of those that only pass it on.

A layer's own error is what it adds where it reads the reference's values: a fault stands in the
layer that has it, and in none after it. Where a runtime takes no such inputs, it is estimated: what
a layer's error has, in power, beyond the largest of its inputs' errors, as if it passed these on
as they are.

A jump is an own error that is both more than arithmetic of that precision makes of a sound layer,
and many times what the layers of this file usually have.
"""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

# More than a sound layer adds: float32 sums in another order, or by Winograd's transforms; a
# half's 11 digits and a bfloat16's 8, with their sums; 8 bits of what a tensor's range is.
LIMITS = {"fp32": 1e-4, "fp16": 2e-2, "bf16": 5e-2, "int8": 0.15}
_TIMES = 5  # the usual own error


@dataclass(frozen=True)
class Part:
    """A layer's part of the error: its result's, `own`, and whether that was measured."""

    tensor: str
    error: float
    own: float
    measured: bool


def steps(
    errors: Mapping[str, float],
    own: Mapping[str, float | None],
    inputs: Mapping[str, Sequence[str]],
) -> list[Part]:
    """The layers' parts, in the order of `errors`, which is that of execution."""
    found = []
    for name, error in errors.items():
        measured = own[name]
        if measured is not None:
            found.append(Part(name, error, measured, True))
        else:
            found.append(
                Part(name, error, _beyond(error, [errors[one] for one in inputs[name]]), False)
            )
    return found


def first_jump(found: Sequence[Part], precision: str) -> Part | None:
    """The first layer whose own error is out of line; None where none is."""
    usual = [one.own for one in found if 0 < one.own < np.inf]
    limit = max(LIMITS[precision], _TIMES * statistics.median(usual) if usual else 0.0)
    return next((one for one in found if one.own > limit), None)


def _beyond(error: float, before: Sequence[float]) -> float:
    largest = max(before, default=0.0)
    if not np.isfinite(error):
        return 0.0 if not np.isfinite(largest) else np.inf
    return float(np.sqrt(max(error**2 - largest**2, 0.0)))
