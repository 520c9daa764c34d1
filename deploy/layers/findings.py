"""What a profile amounts to, in sentences."""

from collections.abc import Sequence

from deploy.layers.profile import Layer, Logits
from deploy.layers.subject import Subject
from deploy.request.values import INT8

_MOST = 3


def found(layers: Sequence[Layer], first: Layer | None, logits: Logits) -> str:
    """What was found out."""
    end = f"the logits' is {percent(logits.deployed)}"
    if first is None:
        noisy = ", ".join(f"{one.layer} {percent(one.own)}" for one in noisiest(layers)[:_MOST])
        return f"no layer stands out; {end}; most error by themselves add: {noisy}"
    shares = [
        ("of its inputs lie outside of their range", first.clipped),
        ("of its results overflow", first.overflow),
    ]
    because = "".join(f", {share:.2%} {what}" for what, share in shares if share)
    return f"the error jumps at {first.layer} ({first.operator}): {own(first)}{because}; {end}"


def own(one: Layer) -> str:
    """How much a layer errs by itself, in a clause."""
    if one.own is not None:
        return f"it adds {percent(one.own)} by itself"
    return f"{percent(one.error)} of its result"


def percent(share: float | None) -> str:
    return "infinite" if share is None else f"{100 * share:.2g} %"


def noisiest(layers: Sequence[Layer]) -> list[Layer]:
    """The layers, those first that add most by themselves."""
    return sorted(layers, key=lambda one: -(one.own if one.own is not None else one.error or 0.0))


def next_step(subject: Subject, name: str, layers: Sequence[Layer], first: Layer | None) -> str:
    """What to do, with the line to type."""
    line = f"MODEL={name} TARGET={subject.target.name}"
    if subject.precision == INT8:
        layer = (first or noisiest(layers)[0]).layer
        return f"keep it in float: make calibrate {line} KEEP_FLOAT={layer}"
    return f"make validate {line} PRECISION={subject.precision}"
