"""A frozen backbone: the network, what goes into its classifier, and its batch norms."""

import contextlib
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from common import machine
from common.temporary import temporary_folder
from convert.export import SESSION
from data import synthetic
from data.images import spread_rows
from data.stream import Stream
from models.registry import ModelSpec
from models.weights import Weights, class_count, classifier, load_state, read_network
from runtimes.worker import Worker

if TYPE_CHECKING:
    from paddle import nn

_RECALIBRATION_PHOTOS = 32  # photos that a random backbone's batch norms are set on


Run = Callable[[np.ndarray], np.ndarray]


@contextlib.contextmanager
def running(layer: "nn.Layer", input_shape: Sequence[int]) -> Iterator[Run]:
    """A layer as it is now, run by Paddle Inference with oneDNN in a child process.

    Takes float32 [N, *input_shape] and gives the layer's output, four to seven times as fast as
    the layer.
    """
    with Worker("main", f"running {type(layer).__name__}") as worker:
        with temporary_folder() as folder:
            _save(layer, input_shape, f"{folder}/inference")
            worker.open(SESSION, folder=str(folder), precision="fp32", threads=machine.threads())
        yield lambda batch: worker.use("run", batch=batch)


def _save(layer: "nn.Layer", input_shape: Sequence[int], path: str) -> None:
    """Write a layer's graph in Paddle's older format."""
    import paddle
    from paddle.pir_utils import DygraphOldIrGuard

    inputs = [paddle.static.InputSpec([None, *input_shape], "float32", "x")]
    # The newer kind of graph does not let go of a layer whose output nobody takes.
    with warnings.catch_warnings(), DygraphOldIrGuard():
        warnings.simplefilter("ignore")
        static = paddle.jit.to_static(layer, inputs, full_graph=True)
        paddle.jit.save(static, path)


class Features:
    """What goes into the classifier of a network: float32 [N, 3, S, S] → [N, width].

    A 1×1 convolution looks at every place of a map; the mean over the places stands for them, as
    its outputs are averaged in the end.
    """

    def __init__(self, run: Run):
        self._run = run

    def __call__(self, batch: np.ndarray) -> np.ndarray:
        return self.places(batch).mean(2)

    def places(self, batch: np.ndarray) -> np.ndarray:
        """The same before the mean: [N, width, places]; one place where there is no map."""
        values = self._run(batch)
        return values.reshape(*values.shape[:2], -1)


@contextlib.contextmanager
def open_features(network: "nn.Layer", head: str, input_shape: Sequence[int]) -> Iterator[Features]:
    """What goes into the layer `head` of a network."""
    with running(_before(network, head), input_shape) as run:
        yield Features(run)


def _before(network: "nn.Layer", head: str) -> "nn.Layer":
    """A layer that gives what goes into the layer `head` of a network."""
    from paddle import nn

    class Before(nn.Layer):
        def __init__(self):
            super().__init__()
            self.network = network
            self.seen = None

        def forward(self, x):
            self.network(x)
            return self.seen

    before = Before()

    def keep(layer, inputs):
        before.seen = inputs[0]

    getattr(network, head).register_forward_pre_hook(keep)
    before.eval()
    return before


def load_backbone(spec: ModelSpec, weights: Weights, classes: int) -> "nn.Layer":
    """The network for `classes` classes with these weights but for a classifier of zeros.

    The weights' own classifier may be for any number of classes.
    """
    theirs = (
        classes
        if weights.origin == "random"
        else class_count(read_network(weights.file, weights.key, tell=True))
    )
    state = load_state(weights, shapes_of(spec.build(class_num=theirs)))
    network = spec.build(class_num=classes)
    shapes = shapes_of(network)
    head = classifier(shapes)
    for name in (f"{head}.weight", f"{head}.bias"):
        state[name] = np.zeros(shapes[name], np.float32)
    network.set_state_dict(state)
    return network


def shapes_of(network: "nn.Layer") -> dict[str, tuple[int, ...]]:
    """The shape of every value in a network's state dict."""
    return {name: tuple(value.shape) for name, value in network.state_dict().items()}


def recalibrate(network: "nn.Layer", stream: Stream, rows: np.ndarray) -> None:
    """Set synthetic batch norms, if there are any, by real photos, spread over the rows.

    And by the synthetic images that every later file is checked on: photos may be so much smoother
    that those would reach logits hundreds of times as large, and rounding errors with them.
    """
    import paddle

    from models.layers import recalibrate_batch_norms

    if not any(isinstance(layer, paddle.nn.BatchNorm2D) for layer in network.sublayers()):
        return
    some = spread_rows(len(rows), _RECALIBRATION_PHOTOS)
    photos = [batch for _, batch in stream.batches(rows[some], "batch norms")]
    if photos:
        photos.append(synthetic.images(photos[0].shape[1:]))
        recalibrate_batch_norms(network, paddle.to_tensor(np.concatenate(photos)))
