"""RegNetX: Radosavovic et al., "Designing Network Design Spaces" (2020)."""

from typing import NamedTuple

from paddle import nn

from models.layers import ConvNorm, GlobalAverage


class _Setting(NamedTuple):
    widths: tuple[int, ...]  # channels of each stage; a stage halves the map
    depths: tuple[int, ...]  # blocks in each stage
    group_width: int  # channels in one group of the 3×3 convolutions


_STEM = 32
# The paper's rule with slope 38.65, first width 96 and multiplier 2.43, for 23 blocks, each width
# rounded to whole groups.
_REGNETX_4GF = _Setting(widths=(80, 240, 560, 1360), depths=(2, 5, 14, 2), group_width=40)


class _Block(nn.Layer):
    """1×1, grouped 3×3 and 1×1 convolutions around a shortcut.

    [N, inputs, H, W] → [N, channels, H / stride, W / stride]
    """

    def __init__(self, inputs: int, channels: int, stride: int, groups: int):
        super().__init__()
        self.conv0 = ConvNorm(inputs, channels, 1, activation=nn.ReLU())
        self.conv1 = ConvNorm(channels, channels, 3, stride, groups, activation=nn.ReLU())
        self.conv2 = ConvNorm(channels, channels, 1)
        self.short = None
        if stride != 1 or inputs != channels:
            self.short = ConvNorm(inputs, channels, 1, stride)
        self._relu = nn.ReLU()

    def forward(self, x):
        shortcut = x if self.short is None else self.short(x)
        return self._relu(shortcut + self.conv2(self.conv1(self.conv0(x))))


class _RegNet(nn.Layer):
    """[N, 3, H, W] → logits [N, class_num]."""

    def __init__(self, setting: _Setting, class_num: int):
        super().__init__()
        self.conv = ConvNorm(3, _STEM, 3, stride=2, activation=nn.ReLU())
        self._blocks = []
        inputs = _STEM
        for stage, (width, depth) in enumerate(zip(setting.widths, setting.depths, strict=True), 1):
            for number in range(1, depth + 1):
                stride = 2 if number == 1 else 1
                block = _Block(inputs, width, stride, groups=width // setting.group_width)
                self._blocks.append(self.add_sublayer(f"s{stage}_b{number}", block))
                inputs = width
        self._average = GlobalAverage(inputs)
        self.out = nn.Linear(inputs, class_num)

    def forward(self, x):
        x = self.conv(x)
        for block in self._blocks:
            x = block(x)
        return self.out(self._average(x))


def RegNetX_4GF(class_num: int = 1000) -> nn.Layer:
    return _RegNet(_REGNETX_4GF, class_num)
