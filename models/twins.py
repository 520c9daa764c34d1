"""Twins-PCPVT and Twins-SVT ("alt_gvt"): Chu et al., "Twins: Revisiting the Design of Spatial
Attention in Vision Transformers" (2021).

Tokens keep their image layout [N, H, W, C] between convolutions: norms, linear layers and shortcuts
work on it as it is, and a convolution needs one transposition each way. All sizes but the batch are
Python constants, so an exported graph holds no shape arithmetic.
"""

from typing import NamedTuple

import paddle
from paddle import nn
from paddle.nn import functional

from models.layers import require_size

_WINDOW = 7  # tokens on the side of a local window
_PATCHES = (4, 2, 2, 2)  # side of the patches that a stage merges, in its input's pixels or tokens
_REDUCTIONS = (8, 4, 2, 1)  # a stage's global attention looks at a map so many times smaller
_EPSILON = 1e-6  # of the norms in the blocks and of the last one; the others keep Paddle's 1e-5


class _Setting(NamedTuple):
    """Each tuple has one entry per stage."""

    dims: tuple[int, ...]  # channels
    heads: tuple[int, ...]
    mlp_ratios: tuple[int, ...]  # hidden width of the MLP over its width
    depths: tuple[int, ...]  # blocks
    windowed: bool  # blocks 0, 2, 4, … of a stage attend inside windows (Twins-SVT)


def _pcpvt(*depths: int) -> _Setting:
    return _Setting((64, 128, 320, 512), (1, 2, 5, 8), (8, 8, 4, 4), depths, windowed=False)


def _svt(dim: int, *depths: int) -> _Setting:
    dims = (dim, 2 * dim, 4 * dim, 8 * dim)
    heads = tuple(width // 32 for width in dims)
    return _Setting(dims, heads, (4, 4, 4, 4), depths, windowed=True)


_SETTINGS = {
    "pcpvt_small": _pcpvt(3, 4, 6, 3),
    "pcpvt_base": _pcpvt(3, 4, 18, 3),
    "pcpvt_large": _pcpvt(3, 8, 27, 3),
    "alt_gvt_small": _svt(64, 2, 2, 10, 4),
    "alt_gvt_base": _svt(96, 2, 2, 18, 2),
    "alt_gvt_large": _svt(128, 2, 2, 18, 2),
}


def _to_map(tokens):
    """[N, H, W, C] → [N, C, H, W]"""
    return tokens.transpose([0, 3, 1, 2])


def _to_tokens(image):
    """[N, C, H, W] → [N, H, W, C]"""
    return image.transpose([0, 2, 3, 1])


def _attend(queries, keys, values, head_dim: int):
    """Scaled dot-product attention: [.., T, D], [.., S, D], [.., S, D] → [.., T, D].

    The factor goes to the keys: under spatial reduction they are up to 64 times fewer than the
    queries. It is a tensor, since Paddle exports a product with a number as one with a sum of 0
    behind it.
    """
    factor = paddle.full([1], head_dim**-0.5, keys.dtype)
    scores = paddle.matmul(queries, keys * factor, transpose_y=True)
    return paddle.matmul(functional.softmax(scores, axis=-1), values)


class _GlobalAttention(nn.Layer):
    """Every token attends to a map `reduction` times smaller on each side.

    [N, side, side, dim] → the same shape
    """

    def __init__(self, dim: int, heads: int, side: int, reduction: int):
        super().__init__()
        self.q = nn.Linear(dim, dim)
        self.kv = nn.Linear(dim, 2 * dim)
        self.proj = nn.Linear(dim, dim)
        self.sr = None
        if reduction > 1:
            self.sr = nn.Conv2D(dim, dim, reduction, stride=reduction)
            self.norm = nn.LayerNorm(dim)
        self._heads, self._head_dim = heads, dim // heads
        self._queries, self._keys = side**2, (side // reduction) ** 2
        self._output = [-1, side, side, dim]

    def forward(self, x):
        queries = self._heads_first(self.q(x), self._queries, self._heads)
        # Keys and values go through one transposition, as if they were twice as many heads.
        pairs = self._heads_first(self.kv(self._reduced(x)), self._keys, 2 * self._heads)
        keys, values = paddle.split(pairs, 2, axis=1)
        y = _attend(queries, keys, values, self._head_dim)
        return self.proj(y.transpose([0, 2, 1, 3]).reshape(self._output))

    def _reduced(self, x):
        return x if self.sr is None else self.norm(_to_tokens(self.sr(_to_map(x))))

    def _heads_first(self, x, tokens: int, heads: int):
        """[N, .., heads·D] → [N, heads, tokens, D]"""
        return x.reshape([-1, tokens, heads, self._head_dim]).transpose([0, 2, 1, 3])


class _WindowAttention(nn.Layer):
    """Every token attends to those of its own window: [N, side, side, dim] → the same shape."""

    def __init__(self, dim: int, heads: int, side: int):
        super().__init__()
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)
        self._heads, self._head_dim = heads, dim // heads
        self._across = side // _WINDOW  # windows in a row of windows
        self._output = [-1, side, side, dim]

    def forward(self, x):
        across, heads, head_dim = self._across, self._heads, self._head_dim
        # From rows of windows (of all images), their rows, windows, columns … to window by window.
        # Six axes are the most that Paddle Lite transposes on ARM; hence no axis for the batch.
        x = self.qkv(x).reshape([-1, _WINDOW, across, _WINDOW, 3 * heads, head_dim])
        x = x.transpose([0, 2, 4, 1, 3, 5]).reshape([-1, 3 * heads, _WINDOW**2, head_dim])
        queries, keys, values = paddle.split(x, 3, axis=1)
        y = _attend(queries, keys, values, head_dim)
        y = y.reshape([-1, across, heads, _WINDOW, _WINDOW, head_dim])
        return self.proj(y.transpose([0, 3, 1, 4, 2, 5]).reshape(self._output))


class _MLP(nn.Layer):
    """[.., dim] → [.., dim]"""

    def __init__(self, dim: int, hidden: int):
        super().__init__()
        self.fc1 = nn.Linear(dim, hidden)
        self.fc2 = nn.Linear(hidden, dim)

    def forward(self, x):
        return self.fc2(functional.gelu(self.fc1(x)))


class _DropPath(nn.Dropout):
    """In training, zeroes a branch for whole images with probability `rate`, scaling the others up.

    Huang et al., "Deep Networks with Stochastic Depth" (2016). [N, H, W, dim] → the same shape
    """

    def __init__(self, rate: float):
        super().__init__(rate, axis=0)


class _Block(nn.Layer):
    """Attention and MLP, each behind a norm and beside a shortcut: [N, H, W, dim] → the same."""

    def __init__(self, dim: int, attention: nn.Layer, mlp_ratio: int, drop_path: float):
        super().__init__()
        self.norm1 = nn.LayerNorm(dim, epsilon=_EPSILON)
        self.attn = attention
        self.norm2 = nn.LayerNorm(dim, epsilon=_EPSILON)
        self.mlp = _MLP(dim, dim * mlp_ratio)
        self._drop_path = _DropPath(drop_path)

    def forward(self, x):
        x = x + self._drop_path(self.attn(self.norm1(x)))
        return x + self._drop_path(self.mlp(self.norm2(x)))


class _PatchEmbedding(nn.Layer):
    """Patches become tokens: [N, inputs, H, W] → [N, H/patch, W/patch, dim]."""

    def __init__(self, inputs: int, dim: int, patch: int):
        super().__init__()
        self.proj = nn.Conv2D(inputs, dim, patch, stride=patch)
        self.norm = nn.LayerNorm(dim)

    def forward(self, image):
        return self.norm(_to_tokens(self.proj(image)))


class _PositionEncoding(nn.Layer):
    """Adds what a depthwise convolution sees around each token: [N, dim, H, W] → the same shape.

    Chu et al., "Conditional Positional Encodings for Vision Transformers" (2021).
    """

    def __init__(self, dim: int):
        super().__init__()
        self.proj = nn.Sequential(nn.Conv2D(dim, dim, 3, padding=1, groups=dim))

    def forward(self, image):
        return image + self.proj(image)


class _Twins(nn.Layer):
    """[N, 3, size, size] → logits [N, class_num]."""

    def __init__(self, setting: _Setting, class_num: int, size: int, drop_path: float):
        super().__init__()
        _require_whole_maps(size, setting.windowed)
        self._size = size
        self.patch_embeds = nn.LayerList()
        self.blocks = nn.LayerList()
        self.pos_block = nn.LayerList()
        rates = iter(_growing(drop_path, sum(setting.depths)))
        inputs, side = 3, size
        for stage, (dim, heads) in enumerate(zip(setting.dims, setting.heads, strict=True)):
            self.patch_embeds.append(_PatchEmbedding(inputs, dim, _PATCHES[stage]))
            self.pos_block.append(_PositionEncoding(dim))
            side //= _PATCHES[stage]
            blocks = nn.LayerList()
            for number in range(setting.depths[stage]):
                if setting.windowed and number % 2 == 0:
                    attention = _WindowAttention(dim, heads, side)
                else:
                    attention = _GlobalAttention(dim, heads, side, _REDUCTIONS[stage])
                blocks.append(_Block(dim, attention, setting.mlp_ratios[stage], next(rates)))
            self.blocks.append(blocks)
            inputs = dim
        self.norm = nn.LayerNorm(inputs, epsilon=_EPSILON)
        self.head = nn.Linear(inputs, class_num)

    def forward(self, x):
        require_size(x, self._size)
        for stage, blocks in enumerate(self.blocks):
            x = self.patch_embeds[stage](x if stage == 0 else _to_map(x))
            first, *others = blocks
            x = _to_tokens(self.pos_block[stage](_to_map(first(x))))
            for block in others:
                x = block(x)
        # Over a map, not a list of tokens: Paddle Lite's mean on ARM expects four axes.
        return self.head(self.norm(x).mean([1, 2]))


def _require_whole_maps(size: int, windowed: bool) -> None:
    """Refuse an image size that a stage's patches, reductions or windows would not divide."""
    unit = 32 * _WINDOW if windowed else 32
    if size <= 0 or size % unit:
        raise ValueError(f"the image size must be a multiple of {unit} pixels, got {size}")


def _growing(rate: float, count: int) -> list[float]:
    """`count` numbers that grow evenly from 0 to `rate`."""
    return [rate * number / max(count - 1, 1) for number in range(count)]


def pcpvt_small(class_num: int = 1000, size: int = 224, drop_path: float = 0.0) -> nn.Layer:
    return _Twins(_SETTINGS["pcpvt_small"], class_num, size, drop_path)


def pcpvt_base(class_num: int = 1000, size: int = 224, drop_path: float = 0.0) -> nn.Layer:
    return _Twins(_SETTINGS["pcpvt_base"], class_num, size, drop_path)


def pcpvt_large(class_num: int = 1000, size: int = 224, drop_path: float = 0.0) -> nn.Layer:
    return _Twins(_SETTINGS["pcpvt_large"], class_num, size, drop_path)


def alt_gvt_small(class_num: int = 1000, size: int = 224, drop_path: float = 0.0) -> nn.Layer:
    return _Twins(_SETTINGS["alt_gvt_small"], class_num, size, drop_path)


def alt_gvt_base(class_num: int = 1000, size: int = 224, drop_path: float = 0.0) -> nn.Layer:
    return _Twins(_SETTINGS["alt_gvt_base"], class_num, size, drop_path)


def alt_gvt_large(class_num: int = 1000, size: int = 224, drop_path: float = 0.0) -> nn.Layer:
    return _Twins(_SETTINGS["alt_gvt_large"], class_num, size, drop_path)
