"""What several families share.

Sub-layers carry the names that the published checkpoints use, so a name with a leading
underscore is part of a file format here, not a matter of taste.
"""

import paddle
from paddle import nn


class ConvReLU(nn.Layer):
    """Convolution with bias, then ReLU: [N, C, H, W] → [N, channels, H', W']."""

    def __init__(self, inputs: int, channels: int, kernel: int, stride: int = 1, padding: int = 0):
        super().__init__()
        self._conv = nn.Conv2D(inputs, channels, kernel, stride, padding)
        self._relu = nn.ReLU()

    def forward(self, x):
        return self._relu(self._conv(x))


class ConvNorm(nn.Layer):
    """Convolution without bias that keeps the size, batch norm, and an activation if one is given.

    [N, C, H, W] → [N, channels, H / stride, W / stride]
    """

    norm_name = "_batch_norm"

    def __init__(
        self,
        inputs: int,
        channels: int,
        kernel: int,
        stride: int = 1,
        groups: int = 1,
        activation: nn.Layer | None = None,
    ):
        super().__init__()
        self._conv = nn.Conv2D(
            inputs, channels, kernel, stride, kernel // 2, groups=groups, bias_attr=False
        )
        self.add_sublayer(self.norm_name, nn.BatchNorm2D(channels))
        self._activation = activation

    def forward(self, x):
        x = getattr(self, self.norm_name)(self._conv(x))
        return x if self._activation is None else self._activation(x)


class GlobalAverage(nn.Layer):
    """Mean of each channel's map: [N, channels, H, W] → [N, channels]."""

    def __init__(self, channels: int):
        super().__init__()
        self._channels = channels
        self._pool = nn.AdaptiveAvgPool2D(1)

    def forward(self, x):
        return self._pool(x).reshape([-1, self._channels])


def published_dropout() -> nn.Dropout:
    """Dropout 0.5 as the older published checkpoints were trained with it.

    It leaves the kept values as they are in training and halves every value at inference, so the
    factor 0.5 is part of the network and of every graph exported from it.
    """
    return nn.Dropout(0.5, mode="downscale_in_infer")


@paddle.jit.not_to_static
def require_size(x, size: int) -> None:
    """Refuse images that are not [N, 3, size, size]; leaves no trace in an exported graph."""
    if tuple(x.shape[1:]) != (3, size, size):
        raise ValueError(f"expected images of shape [N, 3, {size}, {size}], got {list(x.shape)}")


def recalibrate_batch_norms(network: nn.Layer, images: paddle.Tensor) -> None:
    """Set the batch norms' running statistics to those of `images`, float32 [N, 3, S, S].

    With made-up weights made-up statistics let activations grow from layer to layer, and rounding
    with them. Norms of one value per channel and image keep theirs: the spread of N values is no
    estimate, and dividing by it would magnify rounding again.
    """
    norms = [layer for layer in network.sublayers() if isinstance(layer, nn.BatchNorm2D)]
    if not norms:
        return
    momenta = [norm._momentum for norm in norms]

    def measure_maps(norm: nn.Layer, inputs: tuple) -> None:
        norm.training = inputs[0].shape[2] * inputs[0].shape[3] > 1

    hooks = [norm.register_forward_pre_hook(measure_maps) for norm in norms]
    for norm in norms:
        norm._momentum = 0.0  # these images count, and nothing of the past
    with paddle.no_grad():
        network(images)
    for norm, momentum, hook in zip(norms, momenta, hooks, strict=True):
        hook.remove()
        norm.eval()
        norm._momentum = momentum
