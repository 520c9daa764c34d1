"""VGG: Simonyan and Zisserman, "Very Deep Convolutional Networks for Large-Scale Image
Recognition" (2014). The published checkpoints have no biases in the convolutions.
"""

from paddle import nn

from models.layers import published_dropout, require_size

SIZE = 224  # pixels; the first fully connected layer ties the network to it
_WIDTHS = (64, 128, 256, 512, 512)
_DEPTHS = {  # 3×3 convolutions in each group
    11: (1, 1, 2, 2, 2),
    13: (2, 2, 2, 2, 2),
    16: (2, 2, 3, 3, 3),
    19: (2, 2, 4, 4, 4),
}
_FLAT = 512 * 7 * 7


class _Group(nn.Layer):
    """3×3 convolutions with ReLU, then a max-pool: [N, C, H, W] → [N, channels, H/2, W/2]."""

    def __init__(self, inputs: int, channels: int, depth: int):
        super().__init__()
        self._convs = []
        for number in range(1, depth + 1):
            conv = nn.Conv2D(inputs, channels, 3, padding=1, bias_attr=False)
            self._convs.append(self.add_sublayer(f"conv{number}", conv))
            inputs = channels
        self._relu = nn.ReLU()
        self._pool = nn.MaxPool2D(2, 2)

    def forward(self, x):
        for conv in self._convs:
            x = self._relu(conv(x))
        return self._pool(x)


class _VGG(nn.Layer):
    """[N, 3, 224, 224] → logits [N, class_num]."""

    def __init__(self, layers: int, class_num: int):
        super().__init__()
        self._groups = []
        inputs = 3
        for number, (width, depth) in enumerate(zip(_WIDTHS, _DEPTHS[layers], strict=True), 1):
            group = _Group(inputs, width, depth)
            self._groups.append(self.add_sublayer(f"conv_block_{number}", group))
            inputs = width
        self.fc1 = nn.Linear(_FLAT, 4096)
        self.fc2 = nn.Linear(4096, 4096)
        self.fc3 = nn.Linear(4096, class_num)
        self._relu = nn.ReLU()
        self._dropout = published_dropout()

    def forward(self, x):
        require_size(x, SIZE)
        for group in self._groups:
            x = group(x)
        x = x.reshape([-1, _FLAT])
        x = self._dropout(self._relu(self.fc1(x)))
        x = self._dropout(self._relu(self.fc2(x)))
        return self.fc3(x)


def VGG11(class_num: int = 1000) -> nn.Layer:
    return _VGG(11, class_num)


def VGG13(class_num: int = 1000) -> nn.Layer:
    return _VGG(13, class_num)


def VGG16(class_num: int = 1000) -> nn.Layer:
    return _VGG(16, class_num)


def VGG19(class_num: int = 1000) -> nn.Layer:
    return _VGG(19, class_num)
