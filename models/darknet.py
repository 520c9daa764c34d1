"""DarkNet-53: Redmon and Farhadi, "YOLOv3: An Incremental Improvement" (2018).

Its published accuracy belongs to 256 × 256 images; the network itself takes any size.
"""

from paddle import nn

from models.layers import ConvNorm, GlobalAverage

_DEPTHS = (1, 2, 8, 8, 4)  # residual blocks in each group; the widths double from 64


class _Unit(ConvNorm):
    """Convolution, batch norm, ReLU.

    The paper's activation is a leaky ReLU of slope 0.1; the published checkpoint was trained with a
    plain one, and only that meets its parity vector.
    """

    norm_name = "_bn"

    def __init__(self, inputs: int, channels: int, kernel: int, stride: int = 1):
        super().__init__(inputs, channels, kernel, stride, activation=nn.ReLU())


class _Residual(nn.Layer):
    """x + 3×3(1×1(x)), half the width in between: [N, channels, H, W] → the same shape."""

    def __init__(self, channels: int):
        super().__init__()
        self._conv1 = _Unit(channels, channels // 2, 1)
        self._conv2 = _Unit(channels // 2, channels, 3)

    def forward(self, x):
        return x + self._conv2(self._conv1(x))


class _DarkNet(nn.Layer):
    """[N, 3, H, W] → logits [N, class_num]."""

    def __init__(self, class_num: int):
        super().__init__()
        self._conv1 = _Unit(3, 32, 3)
        self._steps: list[nn.Layer] = []
        channels = 32
        for group, depth in enumerate(_DEPTHS):
            name = f"_downsample_{group - 1}" if group else "_conv2"
            self._add(name, _Unit(channels, 2 * channels, 3, stride=2))
            channels *= 2
            for number in range(1, depth + 1):
                self._add(f"_basic_block_{group}{number}", _Residual(channels))
        self._average = GlobalAverage(channels)
        self._out = nn.Linear(channels, class_num)

    def _add(self, name: str, layer: nn.Layer) -> None:
        self._steps.append(self.add_sublayer(name, layer))

    def forward(self, x):
        x = self._conv1(x)
        for step in self._steps:
            x = step(x)
        return self._out(self._average(x))


def DarkNet53(class_num: int = 1000) -> nn.Layer:
    return _DarkNet(class_num)
