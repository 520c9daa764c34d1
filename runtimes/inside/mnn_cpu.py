"""Inside MNN's file, in MNN's own kernels: see `runtimes.inside.base`.

Any part of the graph is a module of its own, from some tensors to others, which is how layers are
given values. Not in INT8, where a part that begins or ends between two layers reads memory that is
not its own: other numbers each time, or the process's end.
"""

import MNN
import numpy as np

from runtimes.inside.base import Tensor

_MOVES = ("ConvertTensor",)  # of layout, between layers
_PRECISIONS = {"fp32": "high", "fp16": "low"}
_WINOGRAD = 3  # as in the session: none of its transforms


class Inside:
    """`model.mnn` of a folder."""

    def __init__(self, folder: str, precision: str, threads: int, **options: object):
        self._path = f"{folder}/model.mnn"
        settings = {"backend": "CPU", "precision": _PRECISIONS[precision], "numThread": threads}
        self._runtime = MNN.nn.create_runtime_manager((settings,))
        self._runtime.set_hint(_WINOGRAD, 0)
        self._modules: dict[tuple[tuple[str, ...], tuple[str, ...]], object] = {}
        graph = MNN.expr.load_as_dict(self._path)
        self._tensors = _visible(graph)
        self._layouts = {one.name: graph[one.name].data_format for one in self._tensors}
        self._entry = self._tensors[0].name

    def tensors(self) -> list[Tensor]:
        return self._tensors

    def ranges(self) -> dict[str, tuple[float, float]]:
        """None: INT8 is not looked into."""
        return {}

    def values(self, batch: np.ndarray, names: list[str]) -> dict[str, np.ndarray]:
        made = [name for name in names if name != self._entry]
        return {self._entry: batch} | self._forward({self._entry: batch}, made)

    def own(self, given: dict[str, np.ndarray], names: list[str]) -> dict[str, np.ndarray]:
        """In a few parts: a module cannot both take a tensor and make it."""
        inputs = {one.name: self._needed(one, given) for one in self._tensors if one.name in names}
        found: dict[str, np.ndarray] = {}
        waiting = dict(inputs)
        while waiting:
            made: set[str] = set()
            taken: set[str] = set()
            for name, needs in waiting.items():
                if name not in taken and not needs & made:
                    made.add(name)
                    taken |= needs
            fed = {name: given[name] for name in sorted(taken)}
            found |= self._forward(fed, sorted(made))
            waiting = {name: needs for name, needs in waiting.items() if name not in made}
        return found

    def _needed(self, tensor: Tensor, given: dict[str, np.ndarray]) -> set[str]:
        """The given ones that a tensor is computed of."""
        makers = {one.name: one for one in self._tensors}
        needed: set[str] = set()
        waiting = list(tensor.inputs)
        while waiting:
            name = waiting.pop()
            if name in given:
                needed.add(name)
            else:
                waiting += makers[name].inputs
        return needed

    def _forward(self, fed: dict[str, np.ndarray], made: list[str]) -> dict[str, np.ndarray]:
        key = tuple(fed), tuple(made)
        if key not in self._modules:
            self._modules[key] = MNN.nn.load_module_from_file(
                self._path, list(fed), made, runtime_manager=self._runtime
            )
        entries = [self._entered(name, value) for name, value in fed.items()]
        results = self._modules[key].forward(entries)  # type: ignore[attr-defined] # MNN's module
        return {
            name: np.array(MNN.expr.convert(result, MNN.expr.NCHW).read())
            for name, result in zip(made, results, strict=True)
        }

    def _entered(self, name: str, value: np.ndarray):
        """Values as what makes the tensor would give them, in MNN's own layout."""
        plain = MNN.expr.const(np.ascontiguousarray(value), list(value.shape), MNN.expr.NCHW)
        layout = self._layouts[name]
        return plain if layout == MNN.expr.NCHW else MNN.expr.convert(plain, layout)


def _visible(graph: dict) -> list[Tensor]:
    """The results of layers in an order in which each comes after those that it reads."""
    entry = next(name for name, one in graph.items() if one.op_type == "Input")
    sources: dict[str, str | None] = {entry: entry}
    found = [Tensor(entry, entry, "Input", ())]

    def visit(name: str) -> str | None:
        """The layer's result that a tensor is, in whatever layout; None of a constant."""
        waiting = [name]
        while waiting:
            now = waiting[-1]
            one = graph[now]
            ahead = [source.name for source in one.inputs if source.name not in sources]
            if ahead:
                waiting += ahead
                continue
            waiting.pop()
            if now in sources:
                continue
            read = [sources[source.name] for source in one.inputs]
            inputs = tuple(source for source in read if source is not None)
            if not inputs:
                sources[now] = None
            elif one.op_type in _MOVES and now != "logits":
                sources[now] = inputs[0]
            else:
                sources[now] = now
                found.append(Tensor(now, now, one.op_type, inputs))
        return sources[name]

    for name in graph:
        visit(name)
    return found
