"""Inside OpenVINO's representation, node by node: see `runtimes.inside.base`.

A node's result that is only read through a FakeQuantize is seen rounded, as in ONNX files. That
each result is asked for keeps the plugin from fusing it away; the arithmetic is the session's.
"""

import numpy as np
import openvino
from openvino import opset13

from runtimes.inside.base import Tensor, given_to
from runtimes.sessions.openvino_cpu import Session

_ROUNDS = "FakeQuantize"
_NO_LAYERS = ("Constant", "Parameter", "Result", "Convert", _ROUNDS)


class Inside(Session):
    """`model.xml` of a folder in the arithmetic of `precision`."""

    def __init__(self, folder: str, precision: str, threads: int, **options: object):
        self._requests: dict[tuple, openvino.InferRequest] = {}
        super().__init__(folder, precision, threads)
        [self._entry] = self._model.inputs
        self._tensors, self._ports = _visible(self._model)

    def _compile(self, model: openvino.Model) -> None:
        """Nothing yet: what is compiled depends on what is asked for."""

    def tensors(self) -> list[Tensor]:
        return self._tensors

    def ranges(self) -> dict[str, tuple[float, float]]:
        """By the tensor's name, what its integers can hold."""
        found = {}
        for name, port in self._ports.items():
            for rounds in _readers(port, _ROUNDS):
                low, high = (rounds.input_value(end).get_node().data for end in (3, 4))
                found[name] = float(low.min()), float(high.max())
        return found

    def values(self, batch: np.ndarray, names: list[str]) -> dict[str, np.ndarray]:
        key = ("values", *names)
        if key not in self._requests:
            model = self._model.clone()
            _, ports = _visible(model)
            self._requests[key] = self._open(model, {name: _seen(ports[name]) for name in names})
        return self._infer(key, {self._entry.get_any_name(): batch}, names)

    def own(self, given: dict[str, np.ndarray], names: list[str]) -> dict[str, np.ndarray]:
        entry = self._tensors[0].name
        key = ("own", *names, *given)
        if key not in self._requests:
            model = self._model.clone()
            _, ports = _visible(model)
            wanted, parameters = {}, []
            for name, value in given.items():
                if name == entry:
                    continue
                readers = list(ports[name].get_target_inputs())
                if name in names:
                    wanted[name] = _rounded(ports[name])
                parameter = opset13.parameter(list(value.shape), openvino.Type.f32, given_to(name))
                parameter.output(0).set_names({given_to(name)})
                for reader in readers:
                    reader.replace_source_output(parameter.output(0))
                parameters.append(parameter)
            wanted |= {name: _seen(ports[name]) for name in names if name not in wanted}
            self._requests[key] = self._open(model, wanted, parameters)
        fed = {entry if name == entry else given_to(name): value for name, value in given.items()}
        return self._infer(key, fed, names)

    def _open(self, model, wanted: dict, parameters=()) -> openvino.InferRequest:
        """A model that makes these ports' values, in the order in which they are given."""
        results = [opset13.result(port) for port in wanted.values()]
        # What is given may be read by none of what is wanted.
        opened = openvino.Model(results, [*model.get_parameters(), *parameters])
        return self._core.compile_model(opened, "CPU", self._properties).create_infer_request()

    def _infer(self, key: tuple, fed: dict, names: list[str]) -> dict[str, np.ndarray]:
        results = self._requests[key].infer(fed)
        return {name: results[place].copy() for place, name in enumerate(names)}


def _visible(model) -> tuple[list[Tensor], dict]:
    """The float results of layers, with the input, and their ports."""
    [entry] = model.inputs
    first = entry.get_any_name()
    names = {_key(entry): first}
    tensors, ports = [Tensor(first, first, "Input", ())], {first: entry}
    for node in model.get_ordered_ops():
        read = [names[_key(source)] for source in node.input_values() if _key(source) in names]
        if not read:
            continue
        for port in node.outputs():
            if node.get_type_name() in _NO_LAYERS:
                names[_key(port)] = read[0]
            elif port.get_element_type() in (openvino.Type.f32, openvino.Type.f16):
                name = _name(port, node)
                names[_key(port)] = name
                ports[name] = port
                layer = node.get_friendly_name()
                tensors.append(Tensor(name, layer, node.get_type_name(), tuple(read)))
    return tensors, ports


def _key(port) -> tuple[str, int]:
    return port.get_node().get_friendly_name(), port.get_index()


def _name(port, node) -> str:
    if port.get_names():
        return min(port.get_names())
    return f"{node.get_friendly_name()}.{port.get_index()}"


def _readers(port, kind: str) -> list:
    nodes = [reader.get_node() for reader in port.get_target_inputs()]
    return [node for node in nodes if node.get_type_name() == kind]


def _seen(port):
    """Where a result is seen: rounded, if it is only read so."""
    rounds = _readers(port, _ROUNDS)
    return rounds[0].output(0) if len(rounds) == len(port.get_target_inputs()) == 1 else port


def _rounded(port):
    """A result that others will no longer read, rounded as for them."""
    seen = _seen(port)
    if seen == port:
        return port
    rounds = seen.get_node()
    bounds = [rounds.input_value(place) for place in range(1, 5)]
    levels = rounds.get_attributes()["levels"]
    return opset13.fake_quantize(port, *bounds, levels).output(0)
