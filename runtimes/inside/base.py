"""What a representation lets one see of its inside, while it runs.

Each module beside this one has a class `Inside(folder, precision, threads, **options)`, opened in a
child process in the place of the session of the same runtime, and of the same files. It fuses
nothing, so that every tensor that is written in the file is there to be seen:

- `tensors()`: what can be seen, in order of execution, the network's input first;
- `ranges()`: the range of each tensor that is rounded to integers before it is read;
- `values(batch, names)`: tensors' values for the network's input, float32 [1, 3, S, S];
- `own(given, names)`: what each of the tensors becomes where all `given` ones have these values,
  whatever made them: so each layer shows the error that it adds by itself; {} where the runtime
  takes values for its input only.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

LOWERED = "/lowered"  # in the name of what has other values than the float network's
_BY = re.compile(rf"(.+?){LOWERED}_by_([-+.e\d]+)")


@dataclass(frozen=True)
class Tensor:
    """A float tensor that depends on the network's input: what makes it, and of which others; with
    the least and the largest of its maker's weights, where that has any and the file tells."""

    name: str
    layer: str
    operator: str
    inputs: tuple[str, ...]
    weights: tuple[float, float] | None = None


def lowered_name(name: str, amount: float) -> str:
    """What a tensor is called that has the values of another, less an amount (float32), and what it
    would have below zero (see `calib.lowering`)."""
    return f"{name}{LOWERED}_by_{amount:.9g}"


def as_in_float(tensors: Sequence[Tensor]) -> tuple[list[Tensor], dict[str, tuple[str, float]]]:
    """Tensors by the float network's names; and of those that are lowered, by these names, how
    they are called in the file, and the amount.

    What else has other values than that network's is left out: in its place stands what it is made
    of.
    """
    names = {one.name for one in tensors}
    found: list[Tensor] = []
    there: dict[str, tuple[str, float]] = {}
    made_of: dict[str, tuple[str, ...]] = {}
    for one in tensors:
        sources = (name for entry in one.inputs for name in made_of.get(entry, (entry,)))
        inputs = tuple(dict.fromkeys(sources))
        lowered = _BY.fullmatch(one.name)
        if lowered and lowered[1] not in names:
            there[lowered[1]] = one.name, float(lowered[2])
            made_of[one.name] = (lowered[1],)
            found.append(replace(one, name=lowered[1], inputs=inputs))
        elif LOWERED in one.name:
            made_of[one.name] = inputs
        else:
            found.append(replace(one, inputs=inputs))
    return found, there


def given_to(name: str) -> str:
    """What a tensor that is given is called where it is made."""
    return f"{name}/own"
