"""Which tensors of a Paddle program can be scaled together without changing what it computes."""

import collections
import dataclasses
from collections.abc import Iterator
from typing import Any

# Operators that pass a positive factor on, from all float inputs to all outputs alike.
_PASSES = frozenset(
    (
        *("relu", "leaky_relu", "pool2d", "reduce_mean", "concat", "split", "slice", "assign"),
        *("reshape2", "transpose2", "flatten_contiguous_range", "squeeze2", "unsqueeze2"),
        *("dropout", "elementwise_add", "elementwise_sub", "batch_norm"),
    )
)
_CONVOLUTIONS = frozenset(("conv2d", "depthwise_conv2d"))
_PRODUCTS = frozenset(("matmul_v2", "mul", "elementwise_mul"))
_RESULTS = ("Out", "Output", "Y")  # where operators give results; the others are notes


@dataclasses.dataclass(frozen=True)
class Layer:
    """An operator with weights: the tensors that it reads and gives, and its parameter."""

    operator: Any
    source: str
    result: str
    weights: str


def results(operator) -> list[str]:
    """The tensors that an operator gives, without its notes for training."""
    slots = [slot for slot in _RESULTS if slot in operator.output_names]
    return [name for slot in slots for name in operator.output(slot)]


class Stretches:
    """The homogeneous stretches of a program: sets of tensors that one exponent can be given to.

    `layers` are the operators with weights; `shifts` maps parameters that are added to (or, as a
    batch norm's mean, subtracted from) a tensor to that tensor.
    """

    def __init__(self, program):
        self._block = program.global_block()
        self._parents: dict[str, str] = {}
        self._fixed: set[str] = set()
        self.layers: list[Layer] = []
        self.shifts: dict[str, str] = {}
        self._bilinear: list[tuple[str, str, str]] = []
        self._makers = {
            name: operator for operator in self._block.ops for name in operator.output_arg_names
        }
        uses = collections.Counter(
            name for operator in self._block.ops for name in operator.input_arg_names
        )
        self._shared = {name for name, count in uses.items() if count > 1}
        for operator in self._block.ops:
            self._visit(operator)
        self._settle_bilinear()
        for layer in self.layers:  # weights stay as they are inside of a stretch
            if not (self.is_fixed(layer.source) or self.is_fixed(layer.result)):
                self._tie(layer.source, layer.result)

    @property
    def tensors(self) -> set[str]:
        """Every tensor that depends on the program's input."""
        return set(self._parents)

    def root(self, name: str) -> str:
        """The tensor that stands for a tensor's stretch."""
        while self._parents.setdefault(name, name) != name:
            name = self._parents[name]
        return name

    def is_fixed(self, name: str) -> bool:
        """Whether a tensor's scale cannot be changed."""
        return self.root(name) in self._fixed

    def __iter__(self) -> Iterator[list[str]]:
        """The tensors of each stretch that can be scaled."""
        found: dict[str, list[str]] = {}
        for name in self._parents:
            if not self.is_fixed(name):
                found.setdefault(self.root(name), []).append(name)
        return iter(found.values())

    def _visit(self, operator) -> None:
        if operator.type == "feed":
            self._fix(*operator.output_arg_names)
            return
        sources = [name for name in operator.input_arg_names if name in self._parents]
        if operator.type == "fetch":
            self._fix(*sources)
        if not sources or operator.type == "fetch":
            return
        given = results(operator)
        others = [name for name in operator.input_arg_names if name not in self._parents]
        if operator.type in _CONVOLUTIONS and len(sources) == len(others) == 1:
            self._add_layer(operator, sources[0], given[0], others[0])
        elif operator.type in _PRODUCTS and len(sources) == 2:
            self._bilinear.append((*sources, given[0]))
            self._tie(given[0])
        elif operator.type in ("matmul_v2", "mul") and self._is_own(others):
            self._add_layer(operator, sources[0], given[0], others[0])
        elif operator.type == "elementwise_mul":
            self._tie(*sources, *given)
        elif operator.type in _PASSES:
            self._tie(*sources, *given)
            self._add_shifts(operator, others, given[0])
        else:
            self._fix(*sources, *given)

    def _add_layer(self, operator, source: str, result: str, weights: str) -> None:
        self._tie(result)
        self.layers.append(Layer(operator, source, result, weights))
        if not self._is_own([weights]):
            self._fix(source, result)

    def _add_shifts(self, operator, others: list[str], result: str) -> None:
        """Note what an operator adds; what is no parameter of its own cannot be scaled."""
        if operator.type == "batch_norm":
            others = [*operator.input("Mean"), *operator.input("Bias")]
        elif operator.type not in ("elementwise_add", "elementwise_sub"):
            return
        parameters = [self.parameter(name) for name in others]
        if not self._is_own(parameters):
            self._fix(result)
        self.shifts |= dict.fromkeys(parameters, result)

    def parameter(self, name: str) -> str:
        """The parameter that a tensor is, or is a reshaped form of."""
        maker = self._makers.get(name)
        return maker.input("X")[0] if maker is not None and maker.type == "reshape2" else name

    def _is_own(self, names: list[str]) -> bool:
        """Whether all are parameters that one operator alone reads."""
        return all(self._block.var(name).persistable and name not in self._shared for name in names)

    def _settle_bilinear(self) -> None:
        """A product of two tensors has the sum of their exponents: one of them must be fixed."""
        open_ones = list(self._bilinear)
        while open_ones:
            ready = next(
                (one for one in open_ones if self.is_fixed(one[0]) or self.is_fixed(one[1])), None
            )
            if ready is None:
                self._fix(*open_ones[0])
                continue
            left, right, result = ready
            self._tie(right if self.is_fixed(left) else left, result)
            open_ones.remove(ready)

    def _tie(self, *names: str) -> None:
        roots = [self.root(name) for name in names]
        fixed = any(root in self._fixed for root in roots)
        for root in roots:
            self._parents[root] = roots[0]
        if fixed:
            self._fixed.add(roots[0])

    def _fix(self, *names: str) -> None:
        self._fixed |= {self.root(name) for name in names}
