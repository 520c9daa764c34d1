"""What a profile amounts to, in sentences: what was found, and what to do next."""

import statistics
from collections.abc import Sequence

from deploy.layers.jump import LIMITS
from deploy.layers.profile import Layer, Logits
from deploy.layers.subject import Subject
from deploy.request.values import FP16, INT8

_NAMED = 3  # layers, where none stands out
_FUSED = 3.0  # times the error layer by layer: more comes from what the runtime fuses
_CLIPPED = 1e-3  # of a tensor's values


def found(
    layers: Sequence[Layer],
    first: Layer | None,
    signs: Sequence[str],
    logits: Logits,
    precision: str,
    photos: int,
) -> str:
    """What was found out on so many photos."""
    end = f"the logits are {percent(logits.deployed)} off"
    if logits.flips:
        end += f", and {logits.flips} of {photos} decisions change"
    if in_fusion(logits, precision):
        end += (
            f"; looked at layer by layer they are {percent(logits.error)} off, so that most of it "
            "comes from what the runtime fuses"
        )
    if first is None:
        noisy = ", ".join(f"{one.layer} {percent(part(one))}" for one in noisiest(layers)[:_NAMED])
        return f"no layer stands out; most error of their own have {noisy}; {end}"
    usual = [part(one) for one in layers if part(one) is not None]
    other = percent(statistics.median(value for value in usual if value is not None))
    how = (
        f"of Paddle's own inputs it makes a result that is {percent(first.own)} off"
        if first.own is not None or first.overflow
        else f"its result is {percent(first.error)} off, its inputs are not"
    )
    because = "".join(f"; {one}" for one in signs)
    return (
        f"drift begins at {first.layer} ({first.operator}): {how}, where {other} is usual here"
        f"{because}; {end}"
    )


def in_fusion(logits: Logits, precision: str) -> bool:
    """Whether the deployed file errs where its layers, one by one, do not."""
    if logits.error is None or logits.deployed is None:
        return logits.deployed is None and logits.error is not None
    return logits.deployed > max(LIMITS[precision], _FUSED * logits.error)


def next_step(
    subject: Subject, name: str, layers: Sequence[Layer], first: Layer | None, logits: Logits
) -> str:
    """What to do, with the line to type."""
    line = f"MODEL={name} TARGET={subject.target.name}"
    if first and subject.own_file:
        return (
            f"compare {first.operator} '{first.layer}' with what made '{first.there}' in "
            f"{subject.own_file}: weights, attributes and ranges"
        )
    if subject.precision == INT8:
        if first is None:
            return f"leave the costliest layers in float: make calibrate {line} WITHIN_BUDGET=1"
        if (first.clipped or 0) > _CLIPPED:
            return (
                "calibrate on photos that show its whole range (CALIB=folder), or keep it in "
                f"float: make calibrate {line} KEEP_FLOAT={first.layer}"
            )
        return f"keep it in float: make calibrate {line} KEEP_FLOAT={first.layer}"
    if first and subject.precision == FP16:
        return f"take a precision with a wider range: make validate {line}"
    if first:
        return (
            f"the step that made the file is at fault: make it anew (make clean, make convert "
            f"{line}), and if that does not help report it with this profile"
        )
    if in_fusion(logits, subject.precision):
        return "report it to the runtime's maintainers with the file; its layers are right alone"
    return f"nothing to mend here; make validate {line} PRECISION={subject.precision} judges it"


def part(one: Layer) -> float | None:
    """A layer's own error, or where that cannot be measured its result's; None: infinite."""
    return one.error if one.own is None and not one.overflow else one.own


def noisiest(layers: Sequence[Layer]) -> list[Layer]:
    """The layers, those first that add most by themselves."""
    return sorted(layers, key=lambda one: -_or_infinite(part(one)))


def _or_infinite(share: float | None) -> float:
    return float("inf") if share is None else share


def percent(share: float | None) -> str:
    """A share in words."""
    return "infinitely" if share is None else f"{100 * share:.2g} %"
