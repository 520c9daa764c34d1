"""A small network with what networks have: an inference graph of it, as an artifact, for tests of
what looks inside of files."""

from pathlib import Path

import numpy as np

from convert import step_check
from convert.artifact import Artifact, Build, Step, produce
from convert.export import KIND, SESSION
from data.preprocess import Preprocess
from runtimes.worker import Worker

SHAPE = (3, 32, 32)
CLASSES = 7
PREPROCESS = Preprocess(resize_short=36, crop=32)
NAME = "Small"


def export_small() -> Artifact:
    """The inference graph of the network with random weights, in the build folder."""
    step = Step(
        name="export",
        build=Build(NAME, NAME),
        kind=KIND.name,
        precision="fp32",
        inputs={},
        parameters={},
        tools={},
        code=(export_small,),
    )

    def make(folder: Path) -> dict:
        with Worker("main", "export of a small network") as worker:
            eager = worker.call(write_graph, folder=str(folder))
            checked = step_check.verify_against(worker, SESSION, folder, eager, SHAPE)
        return {
            "weights": "random",
            "weights_sha256": "0" * 64,
            "class_num": CLASSES,
            "input_shape": list(SHAPE),
            "preprocess": PREPROCESS.to_json(),
            **checked,
        }

    return produce(step, make, shows=KIND.shown)


def write_graph(folder: str) -> np.ndarray:
    """In a child process: write the graph, and return its logits for the synthetic images."""
    import paddle
    from paddle import nn

    class Network(nn.Layer):
        def __init__(self):
            super().__init__()
            self.first = nn.Conv2D(3, 8, 3, padding=1)
            self.second = nn.Conv2D(8, 16, 3, padding=1)
            self.norm = nn.LayerNorm(16, epsilon=1e-5)
            self.wide, self.narrow = nn.Linear(16, 32), nn.Linear(32, 16)
            self.dropout = nn.Dropout(0.5, mode="downscale_in_infer")
            self.third = nn.Conv2D(16, 16, 3, padding=1)
            self.classes = nn.Linear(16, CLASSES)

        def forward(self, x):
            x = nn.functional.relu(self.first(x))
            x = nn.functional.relu(self.second(nn.functional.max_pool2d(x, 2)))
            tokens = paddle.transpose(paddle.flatten(x, 2), [0, 2, 1])
            inner = self.narrow(nn.functional.gelu(self.wide(self.norm(tokens))))
            tokens = self.dropout(tokens + inner)
            x = paddle.reshape(paddle.transpose(tokens, [0, 2, 1]), [-1, 16, 16, 16])
            x = nn.functional.relu(self.third(nn.functional.hardswish(x)))
            return self.classes(paddle.mean(x, [2, 3]))

    paddle.seed(5)
    network = Network()
    network.eval()
    with paddle.no_grad():
        logits = network(paddle.to_tensor(step_check.images(SHAPE))).numpy()
    batch = [paddle.static.InputSpec([None, *SHAPE], "float32", "x")]
    static = paddle.jit.to_static(network, batch, full_graph=True)
    paddle.jit.save(static, f"{folder}/inference")
    (Path(folder) / "inference.pdiparams.info").unlink(missing_ok=True)
    return logits
