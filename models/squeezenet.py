"""SqueezeNet 1.0 and 1.1: Iandola et al., "SqueezeNet: AlexNet-level accuracy with 50x fewer
parameters" (2016).
"""

from typing import NamedTuple

import paddle
from paddle import nn

from models.layers import ConvReLU, GlobalAverage, published_dropout


class _Setting(NamedTuple):
    stem: tuple[int, int, int]  # channels, kernel, padding; the stride is 2
    pool_after: tuple[int, ...]  # fire modules, counted from 1, that a max-pool follows


_SETTINGS = {
    "1.0": _Setting(stem=(96, 7, 0), pool_after=(3, 7)),
    "1.1": _Setting(stem=(64, 3, 1), pool_after=(2, 4)),
}
_SQUEEZE = (16, 16, 32, 32, 48, 48, 64, 64)  # each fire module expands to 2 × 4 times this


class _Fire(nn.Layer):
    """1×1 squeeze, then 1×1 and 3×3 expansions: [N, C, H, W] → [N, 8·squeeze, H, W]."""

    def __init__(self, inputs: int, squeeze: int):
        super().__init__()
        self._conv = ConvReLU(inputs, squeeze, 1)
        self._conv_path1 = ConvReLU(squeeze, 4 * squeeze, 1)
        self._conv_path2 = ConvReLU(squeeze, 4 * squeeze, 3, padding=1)

    def forward(self, x):
        x = self._conv(x)
        return paddle.concat([self._conv_path1(x), self._conv_path2(x)], axis=1)


class _SqueezeNet(nn.Layer):
    """[N, 3, H, W] → logits [N, class_num], for any H and W that outlast the four halvings."""

    def __init__(self, setting: _Setting, class_num: int):
        super().__init__()
        channels, kernel, padding = setting.stem
        self._conv = nn.Conv2D(3, channels, kernel, stride=2, padding=padding)
        self._relu = nn.ReLU()
        self._pool = nn.MaxPool2D(3, 2)
        self._steps = []
        for number, squeeze in enumerate(_SQUEEZE, start=1):
            self._steps.append(self.add_sublayer(f"_conv{number}", _Fire(channels, squeeze)))
            if number in setting.pool_after:
                self._steps.append(self._pool)
            channels = 8 * squeeze
        self._dropout = published_dropout()
        self._conv9 = nn.Conv2D(channels, class_num, 1)
        self._average = GlobalAverage(class_num)

    def forward(self, x):
        x = self._pool(self._relu(self._conv(x)))
        for step in self._steps:
            x = step(x)
        x = self._relu(self._conv9(self._dropout(x)))
        return self._average(x)


def SqueezeNet1_0(class_num: int = 1000) -> nn.Layer:
    return _SqueezeNet(_SETTINGS["1.0"], class_num)


def SqueezeNet1_1(class_num: int = 1000) -> nn.Layer:
    return _SqueezeNet(_SETTINGS["1.1"], class_num)
