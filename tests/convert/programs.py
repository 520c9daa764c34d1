"""Small Paddle networks, and what `convert.stretches` finds in them. For a child process."""

import tempfile

import paddle
from paddle import nn
from paddle.nn import functional

from convert.stretches import Stretches


class _Network(nn.Layer):
    """Convolutions `first`, `second`, `third` and `last`, with `middle` after the second."""

    def __init__(self, middle):
        super().__init__()
        self.first, self.second, self.third, self.last = (
            nn.Conv2D(channels, 4, 3, padding=1, weight_attr=paddle.ParamAttr(name=name))
            for name, channels in (("first", 3), ("second", 4), ("third", 4), ("last", 4))
        )
        self.norm = nn.BatchNorm2D(4)
        self.middle = middle

    def forward(self, x):
        x = functional.relu(self.norm(self.first(x)))
        x = self.middle(self, x)
        x = functional.max_pool2d(functional.leaky_relu(self.third(x)), 2)
        return self.last(paddle.concat([x, x], axis=0))


_MIDDLES = {
    "homogeneous": lambda net, x: x + net.second(x),
    "sigmoid": lambda net, x: functional.sigmoid(net.second(x)),
    "softmax": lambda net, x: functional.softmax(net.second(x)),
    "gelu": lambda net, x: functional.gelu(net.second(x)),
    "gate": lambda net, x: x * functional.sigmoid(net.second(x)),
    "square": lambda net, x: x * net.second(x),
    "shared": lambda net, x: functional.sigmoid(net.third(x)),
}


def find(name: str) -> dict:
    """How many stretches there are, and the weights that a new exponent would change."""
    network = _Network(_MIDDLES[name])
    network.eval()
    batch = [paddle.static.InputSpec([None, 3, 8, 8], "float32", "x")]
    with tempfile.TemporaryDirectory() as folder:
        static = paddle.jit.to_static(network, batch, full_graph=True)
        paddle.jit.save(static, f"{folder}/inference")
        paddle.enable_static()
        executor = paddle.static.Executor(paddle.CPUPlace())
        program, _, _ = paddle.static.load_inference_model(f"{folder}/inference", executor)
    found = Stretches(program)
    return {
        "stretches": len(list(found)),
        "changed": [
            layer.weights
            for layer in found.layers
            if found.is_fixed(layer.source) != found.is_fixed(layer.result)
        ],
        "scaled_shifts": sum(not found.is_fixed(tensor) for tensor in found.shifts.values()),
    }
