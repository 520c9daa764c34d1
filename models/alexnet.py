"""AlexNet, in the one-tower form of Krizhevsky, "One weird trick …" (2014).

The original is Krizhevsky, Sutskever and Hinton, "ImageNet Classification with Deep Convolutional
Neural Networks" (2012).
"""

from paddle import nn

from models.layers import ConvReLU, published_dropout, require_size

SIZE = 224  # pixels; the first fully connected layer ties the network to it
_FLAT = 256 * 6 * 6


class _AlexNet(nn.Layer):
    """[N, 3, 224, 224] → logits [N, class_num]."""

    def __init__(self, class_num: int):
        super().__init__()
        self._conv1 = ConvReLU(3, 64, 11, stride=4, padding=2)
        self._conv2 = ConvReLU(64, 192, 5, padding=2)
        self._conv3 = nn.Conv2D(192, 384, 3, padding=1)
        self._conv4 = nn.Conv2D(384, 256, 3, padding=1)
        self._conv5 = ConvReLU(256, 256, 3, padding=1)
        self._fc6 = nn.Linear(_FLAT, 4096)
        self._fc7 = nn.Linear(4096, 4096)
        self._fc8 = nn.Linear(4096, class_num)
        self._relu = nn.ReLU()
        self._pool = nn.MaxPool2D(3, 2)
        self._dropout = published_dropout()

    def forward(self, x):
        require_size(x, SIZE)
        x = self._pool(self._conv1(x))
        x = self._pool(self._conv2(x))
        x = self._relu(self._conv3(x))
        x = self._relu(self._conv4(x))
        x = self._pool(self._conv5(x))
        x = x.reshape([-1, _FLAT])
        x = self._relu(self._fc6(self._dropout(x)))
        x = self._relu(self._fc7(self._dropout(x)))
        return self._fc8(x)


def AlexNet(class_num: int = 1000) -> nn.Layer:
    return _AlexNet(class_num)
