"""What a look inside of a target's file has found, layer by layer: one typed value.

It is made by `make explain`, written and read here, and shown by `deploy.layers.tables` and by the
report. docs/explain.md says how to read it.

Errors are of all values of a tensor on all photos: the *relative error* is ‖y − r‖₂ / ‖r‖₂ with
the target's values y and the reference's r, and SQNR, the signal-to-quantization-noise ratio in
decibels, 10 log₁₀(Σr² / Σ(y − r)²), so -20 log₁₀ of it.
"""

from pathlib import Path
from typing import Literal

from pydantic.dataclasses import dataclass

from common.strict_json import STRICT
from deploy.layers import keeping
from deploy.layers.keeping import Finding
from deploy.verdict.result import (
    Count,
    NotNegative,
    Positive,
    Share,
    Text,
)

_KIND = "explain"

Bounds = tuple[float, float]


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Layer:
    """A layer of the reference's, and what became of it in the target's file.

    `layer`, `operator` and `tensor` are of the toolkit's ONNX file: a node, its operator and its
    result; `there` is that result's name in the target's file, found `by` its name, its values or
    its place. `fused` are nodes that count as one with it, since their own results are not in the
    target's file, or only a Relu reads them; the one with weights gives the name.

    `error` is its result's relative error, with all that came before it (absent where a value is
    not finite), `sqnr_db` the same in decibels (absent also where there is no error). `own` is the
    error that the layer adds by itself, on the reference's inputs (absent where the runtime cannot
    be given any, or where it is not finite).

    `input` is the range of what it reads, on these photos, and `weights` that of its weights, both
    the reference's. Of INT8, and of that of its inputs and its result which has most of it:
    `clipped` is the share of the reference's values that lie outside of the range of the file's
    integers, `saturated` the share of the target's own values that are the first or the last
    integer, zeros apart. Of FP16: `overflow` is the share of the target's results that are not
    finite, `underflow` that of the reference's results below float16's normal numbers (2⁻¹⁴), zeros
    apart: they lose digits, or all.
    """

    layer: Text
    operator: Text
    tensor: Text
    there: Text
    by: Literal["name", "values", "place"]
    fused: tuple[Text, ...] = ()
    error: NotNegative | None = None
    sqnr_db: float | None = None
    own: NotNegative | None = None
    input: Bounds | None = None
    weights: Bounds | None = None
    clipped: Share | None = None
    saturated: Share | None = None
    overflow: Share | None = None
    underflow: Share | None = None


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Logits:
    """The logits of the file that was looked into, on the same photos: the relative error where
    its layers were looked at, one by one, and `deployed`, as its session gives them, with all that
    the runtime fuses; and how many decisions the latter change."""

    error: NotNegative | None = None
    deployed: NotNegative | None = None
    flips: Count


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Profile(Finding):
    """Where a target leaves Paddle.

    `own_file` is the path of a file that the user gave in the place of the target's. `layers` are
    in order of execution; `unmapped` are the layers of the reference that were not found in the
    target's file, nor are `fused` there. `first` is the layer where the error jumps, by its name,
    absent where none does; `signs` what was noticed about it. `found` and `next` say in words what
    was found, and what to do.
    """

    own_file: Text | None = None
    layers: tuple[Layer, ...]
    unmapped: tuple[Text, ...]
    first: Text | None = None
    signs: tuple[Text, ...] = ()
    logits: Logits
    found: Text
    next: Text
    seconds: NotNegative
    peak_mib: Positive


def write(profile: Profile, device: str = "") -> Path:
    """Keep a profile in `build/<name>/explain`, as `keeping.write` says."""
    return keeping.write(profile, _KIND, device, profile.own_file)


def kept(name: str) -> list[Profile]:
    """The profiles of a build that are kept, in the order of their files' names."""
    return keeping.kept(name, _KIND, Profile, f"make explain MODEL={name} …")
