"""Inside one of Paddle's graphs, operator by operator: see `runtimes.inside.base`."""

import numpy as np
import paddle

from runtimes.inside.base import Tensor, given_to

_ENDS = ("feed", "fetch")
_ROUNDS = (
    "fake_quantize"  # how the operators begin that make integers, which are no tensors of ours
)


class Inside:
    """`inference.pdmodel` of a folder in Paddle's own executor, which fuses nothing."""

    def __init__(self, folder: str, precision: str, threads: int, **options: object):
        paddle.enable_static()
        self._path = f"{folder}/inference"
        self._executor = paddle.static.Executor(paddle.CPUPlace())
        self._program, [self._entry], _ = self._load()
        self._forced: dict[tuple[str, ...], paddle.static.Program] = {}
        self._tensors = self._visible()

    def tensors(self) -> list[Tensor]:
        return self._tensors

    def ranges(self) -> dict[str, tuple[float, float]]:
        """By the tensor's name, what its integers can hold."""
        found = {}
        for operator in self._program.global_block().ops:
            if operator.type.startswith(_ROUNDS) and operator.input("InScale"):
                scale = paddle.static.global_scope().find_var(operator.input("InScale")[0])
                size = float(np.array(scale.get_tensor()).max())
                found[operator.input("X")[0]] = (-size, size)
        return found

    def values(self, batch: np.ndarray, names: list[str]) -> dict[str, np.ndarray]:
        return self._run(self._program, {self._entry: batch}, names)

    def own(self, given: dict[str, np.ndarray], names: list[str]) -> dict[str, np.ndarray]:
        key = tuple(sorted(given))
        if key not in self._forced:
            self._forced[key] = self._cut(set(given))
        made = [given_to(name) if name in given else name for name in names]
        computed = self._run(self._forced[key], given, made)
        return {name: computed[one] for name, one in zip(names, made, strict=True)}

    def _load(self):
        """The graph without its ends: what is fed and fetched is said at each run."""
        program, feeds, fetched = paddle.static.load_inference_model(self._path, self._executor)
        block = program.global_block()
        for place in reversed(range(len(block.ops))):
            if block.ops[place].type in _ENDS:
                block._remove_op(place)
        return program, feeds, fetched

    def _cut(self, given: set[str]):
        """The graph where nothing makes the given tensors: their makers make others instead."""
        program, _, _ = self._load()
        block = program.global_block()
        for operator in block.ops:
            for name in given.intersection(operator.output_arg_names):
                old, new = block.var(name), given_to(name)
                block.create_var(name=new, dtype=old.dtype, shape=old.shape)
                operator._rename_output(name, new)
        return program

    def _run(self, program, feed: dict[str, np.ndarray], names: list[str]) -> dict:
        block = program.global_block()
        read = {name for operator in block.ops for name in operator.input_arg_names}
        results = self._executor.run(
            program,
            feed={name: value for name, value in feed.items() if name in read},
            fetch_list=[block.var(name) for name in names],
        )
        found = dict(zip(names, results, strict=True))
        # What is not to be computed at all, as the shapes that nobody reads, is None.
        return {name: value for name, value in found.items() if value is not None}

    def _visible(self) -> list[Tensor]:
        block = self._program.global_block()
        sources: dict[str, str] = {self._entry: self._entry}
        found = [Tensor(self._entry, self._entry, "Input", ())]
        for operator in block.ops:
            inputs = tuple(sources[one] for one in operator.input_arg_names if one in sources)
            if not inputs:
                continue
            if operator.type.startswith(_ROUNDS):
                sources |= dict.fromkeys(operator.output("Out"), inputs[-1])
                continue
            for name in operator.output_arg_names:
                variable = block.var(name)
                if variable.persistable or variable.dtype != paddle.float32 or name in sources:
                    continue
                sources[name] = name
                found.append(Tensor(name, name, operator.type, inputs))
        return found
