"""Inside the network that OpenCV makes of an ONNX file: see `runtimes.inside.base`.

Its results have the names of the file's nodes. It takes values for the network's input only.
"""

import numpy as np

from runtimes.inside.base import Tensor
from runtimes.sessions.opencv_dnn import Session

_PREFIX = "onnx_node!"
_ENTRY = "x"


class Inside(Session):
    """`model.onnx` of a folder, opened as by the session, with nothing fused."""

    def __init__(self, folder: str, precision: str, threads: int, **options: object):
        super().__init__(folder, precision, threads)
        self._net.enableFusion(False)
        self._layers = {name.removeprefix(_PREFIX): name for name in self._net.getLayerNames()}

    def tensors(self) -> list[Tensor]:
        found = [Tensor(_ENTRY, _ENTRY, "Input", ())]
        for name, layer in self._layers.items():
            operator = self._net.getLayer(self._net.getLayerId(layer)).type
            found.append(Tensor(name, name, operator, (found[-1].name,)))
        return found

    def ranges(self) -> dict[str, tuple[float, float]]:
        """None: it computes in float32."""
        return {}

    def values(self, batch: np.ndarray, names: list[str]) -> dict[str, np.ndarray]:
        self._net.setInput(np.ascontiguousarray(batch), _ENTRY)
        made = [name for name in names if name != _ENTRY]
        results = self._net.forward([self._layers[name] for name in made])
        return {_ENTRY: batch} | {
            name: np.array(value) for name, value in zip(made, results, strict=True)
        }

    def own(self, given: dict[str, np.ndarray], names: list[str]) -> dict[str, np.ndarray]:
        """Nothing: it takes no layer's inputs."""
        return {}
