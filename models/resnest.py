"""ResNeSt: Zhang et al., "ResNeSt: Split-Attention Networks" (2020), and its "fast" variant, which
pools before the 3×3 convolution instead of after it.
"""

from typing import NamedTuple

import paddle
from paddle import nn
from paddle.nn import functional

from models.layers import ConvNorm, GlobalAverage


class _Setting(NamedTuple):
    radix: int  # branches that attention chooses between: 2, or 1 (then it gates one branch)
    pool_first: bool  # a block that halves the map does so before its 3×3 convolution, not after


_SETTINGS = {
    "50": _Setting(radix=2, pool_first=False),
    "50_fast_1s1x64d": _Setting(radix=1, pool_first=True),
}
_STEM = (32, 32, 64)  # channels
_DEPTHS = (3, 4, 6, 3)  # blocks in each stage
_WIDTHS = (64, 128, 256, 512)  # channels inside the blocks of each stage
_EXPANSION = 4  # a block puts out so many times its width


class _SplitAttention(nn.Layer):
    """3×3 convolution into `radix` branches and their sum, weighted per channel and image.

    [N, channels, H, W] → the same shape
    """

    def __init__(self, channels: int, radix: int):
        super().__init__()
        inner = max(channels * radix // 4, 32)
        self.conv1 = ConvNorm(channels, channels * radix, 3, groups=radix, activation=nn.ReLU())
        self.conv2 = ConvNorm(channels, inner, 1, activation=nn.ReLU())
        self.conv3 = nn.Conv2D(inner, channels * radix, 1)
        self._average = nn.AdaptiveAvgPool2D(1)
        self._radix = radix

    def forward(self, x):
        x = self.conv1(x)
        if self._radix == 1:
            return x * functional.sigmoid(self._scores(self._average(x)))
        # The paper's softmax over two branches is a sigmoid of the difference of their scores,
        #   w = sigmoid(s0 - s1),  w * x0 + (1 - w) * x1  =  x1 + w * (x0 - x1).
        # In this form the graph needs no reshape and no transposition (325 ONNX nodes, not 341),
        # and no softmax over an axis that is not the last, which Paddle Lite on x86 gets wrong.
        first, second = paddle.split(x, 2, axis=1)
        score0, score1 = paddle.split(self._scores(self._average(first + second)), 2, axis=1)
        return second + functional.sigmoid(score0 - score1) * (first - second)

    def _scores(self, mean):
        """[N, channels, 1, 1] → [N, channels · radix, 1, 1]"""
        return self.conv3(self.conv2(mean))


class _Block(nn.Layer):
    """1×1, split attention and 1×1 around a shortcut.

    [N, inputs, H, W] → [N, 4·width, H / stride, W / stride]
    """

    def __init__(self, inputs: int, width: int, stride: int, setting: _Setting):
        super().__init__()
        outputs = _EXPANSION * width
        self.conv1 = ConvNorm(inputs, width, 1, activation=nn.ReLU())
        self.conv2 = _SplitAttention(width, setting.radix)
        self.conv3 = ConvNorm(width, outputs, 1)
        self._relu = nn.ReLU()
        self._pool = nn.AvgPool2D(3, stride, padding=1) if stride != 1 else None
        self._pool_first = setting.pool_first

        self.conv4 = None
        if stride != 1 or inputs != outputs:
            self._shortcut_pool = nn.AvgPool2D(stride, stride) if stride != 1 else None
            self.conv4 = nn.Conv2D(inputs, outputs, 1, bias_attr=False)
            self._batch_norm = nn.BatchNorm2D(outputs)

    def forward(self, x):
        y = self.conv1(x)
        if self._pool is None:
            y = self.conv2(y)
        elif self._pool_first:
            y = self.conv2(self._pool(y))
        else:
            y = self._pool(self.conv2(y))
        return self._relu(self.conv3(y) + self._shortcut(x))

    def _shortcut(self, x):
        if self.conv4 is None:
            return x
        if self._shortcut_pool is not None:
            x = self._shortcut_pool(x)
        return self._batch_norm(self.conv4(x))


class _ResNeSt(nn.Layer):
    """[N, 3, H, W] → logits [N, class_num]."""

    def __init__(self, setting: _Setting, class_num: int):
        super().__init__()
        self.stem = nn.Sequential()
        inputs = 3
        for number, channels in enumerate(_STEM, start=1):
            stride = 2 if number == 1 else 1
            conv = ConvNorm(inputs, channels, 3, stride, activation=nn.ReLU())
            self.stem.add_sublayer(f"conv{number}", conv)
            inputs = channels
        self._pool = nn.MaxPool2D(3, 2, padding=1)
        self._stages = []
        for stage, (depth, width) in enumerate(zip(_DEPTHS, _WIDTHS, strict=True), start=1):
            blocks = nn.Sequential()
            for number in range(depth):
                stride = 2 if stage > 1 and number == 0 else 1
                block = _Block(inputs, width, stride, setting)
                blocks.add_sublayer(f"layer{stage}_bottleneck_{number}", block)
                inputs = _EXPANSION * width
            self._stages.append(self.add_sublayer(f"layer{stage}", blocks))
        self._average = GlobalAverage(inputs)
        self.out = nn.Linear(inputs, class_num)

    def forward(self, x):
        x = self._pool(self.stem(x))
        for stage in self._stages:
            x = stage(x)
        return self.out(self._average(x))


def ResNeSt50(class_num: int = 1000) -> nn.Layer:
    return _ResNeSt(_SETTINGS["50"], class_num)


def ResNeSt50_fast_1s1x64d(class_num: int = 1000) -> nn.Layer:
    return _ResNeSt(_SETTINGS["50_fast_1s1x64d"], class_num)
