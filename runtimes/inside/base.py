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

from collections.abc import Iterable
from dataclasses import dataclass, replace

LOWERED = "/lowered"  # behind the name of what has other values than the float network's


@dataclass(frozen=True)
class Tensor:
    """A float tensor that depends on the network's input: what makes it, and of which others; with
    the least and the largest of its maker's weights, where that has any and the file tells."""

    name: str
    layer: str
    operator: str
    inputs: tuple[str, ...]
    weights: tuple[float, float] | None = None


def without_lowered(tensors: Iterable[Tensor]) -> list[Tensor]:
    """Tensors, less those that have other values by intent (see `calib.lowering`): in their place
    stand those that they are made of."""
    found: list[Tensor] = []
    made_of: dict[str, tuple[str, ...]] = {}
    for one in tensors:
        sources = (name for entry in one.inputs for name in made_of.get(entry, (entry,)))
        inputs = tuple(dict.fromkeys(sources))
        if one.name.endswith(LOWERED):
            made_of[one.name] = inputs
        else:
            found.append(replace(one, inputs=inputs))
    return found


def given_to(name: str) -> str:
    """What a tensor that is given is called where it is made."""
    return f"{name}/own"
