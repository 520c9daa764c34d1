"""Inside ncnn's file, layer by layer: see `runtimes.inside.base`.

An extractor takes values for any blob, and computes what is asked for from those nearest.
"""

from pathlib import Path

import ncnn
import numpy as np

from runtimes.inside.base import Tensor
from runtimes.sessions.ncnn_cpu import Session

_HEADER = 2  # lines of a `.param` before its layers
_ENTRY = "in0"
_COPIES = ("Split",)  # of a blob, for each of its readers


class Inside(Session):
    """`model.param` and `model.bin` of a folder, opened as by the session."""

    def __init__(self, folder: str, precision: str, threads: int, **options: object):
        super().__init__(folder, precision, threads)
        self._tensors = _visible(Path(f"{folder}/model.param"))
        self._makers = {one.name: one for one in self._tensors}

    def tensors(self) -> list[Tensor]:
        return self._tensors

    def ranges(self) -> dict[str, tuple[float, float]]:
        """None: the scales of what a layer reads are among its weights."""
        return {}

    def values(self, batch: np.ndarray, names: list[str]) -> dict[str, np.ndarray]:
        [image] = batch
        extractor = self._extractor({_ENTRY: image})
        return {name: batch if name == _ENTRY else _extract(extractor, name) for name in names}

    def own(self, given: dict[str, np.ndarray], names: list[str]) -> dict[str, np.ndarray]:
        images = {name: value[0] if name == _ENTRY else value for name, value in given.items()}
        return {
            name: _extract(
                self._extractor({one: images[one] for one in self._needed(name, images)}), name
            )
            for name in names
        }

    def _needed(self, name: str, given: dict[str, np.ndarray]) -> list[str]:
        """The given blobs that a blob is computed of."""
        needed, waiting = [], list(self._makers[name].inputs)
        while waiting:
            source = waiting.pop()
            if source in given:
                needed.append(source)
            else:
                waiting += self._makers[source].inputs
        return list(dict.fromkeys(needed))

    def _extractor(self, fed: dict[str, np.ndarray]):
        extractor = self._net.create_extractor()
        extractor.set_light_mode(False)  # keeps what has been computed
        for name, value in fed.items():
            # A copy: a layer that works in place crashes on a view of NumPy's memory.
            extractor.input(name, ncnn.Mat(np.ascontiguousarray(value)).clone())
        return extractor


def _extract(extractor, name: str) -> np.ndarray:
    failed, value = extractor.extract(name)
    if failed:
        raise ValueError(f"ncnn does not compute its blob {name}")
    return np.array(value)


def _visible(graph: Path) -> list[Tensor]:
    """The blobs that layers make; of copies the original."""
    sources: dict[str, str] = {}
    found = []
    for line in graph.read_text().splitlines()[_HEADER:]:
        kind, layer, reads, makes, *rest = line.split()
        bottoms = rest[: int(reads)]
        tops = rest[int(reads) : int(reads) + int(makes)]
        inputs = tuple(sources[name] for name in bottoms if name in sources)
        if kind in _COPIES:
            sources |= dict.fromkeys(tops, inputs[0])
        elif inputs or kind == "Input":
            sources |= {name: name for name in tops}
            found += [Tensor(name, layer, kind, inputs) for name in tops]
    return found
