"""How Paddle Lite's ARM kernels compute layers in FP16: every product and every sum rounded.

For inside a child process: numpy and numba. Values are float16 arrays; a sum takes its terms one
by one, each fused with its product and rounded to float16, as the instruction `fmla` does it.
A 3×3 convolution is one of four: Winograd's F(4×4, 3×3) or F(2×2, 3×3), depthwise, or a matrix
product like all others. Winograd's transforms are where FP16 overflows long before the result.
"""

import math

import numba
import numpy as np

_TILES_AT_ONCE = 8  # that a thread takes; how many there are decides between the two transforms
_LANES = 8  # float16 numbers in a vector register

# Rows of the transforms of F(4×4, 3×3) and F(2×2, 3×3): weights, input, output.
_WEIGHTS = {
    4: np.array(
        [
            [1 / 4, 0, 0],
            [-1 / 6, -1 / 6, -1 / 6],
            [-1 / 6, 1 / 6, -1 / 6],
            [1 / 24, 1 / 12, 1 / 6],
            [1 / 24, -1 / 12, 1 / 6],
            [0, 0, 1],
        ],
        np.float16,
    ),
    2: np.array([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]], np.float16),
}
_INPUTS = {
    4: np.array(
        [
            [4, 0, -5, 0, 1, 0],
            [0, -4, -4, 1, 1, 0],
            [0, 4, -4, -1, 1, 0],
            [0, -2, -1, 2, 1, 0],
            [0, 2, -1, -2, 1, 0],
            [0, 4, 0, -5, 0, 1],
        ]
    ),
    2: np.array([[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]]),
}
# How many times a layer's input the transformed input can be at most: 100, or 4.
INPUT_GAIN = {side: int(np.abs(rows).sum(axis=1).max()) ** 2 for side, rows in _INPUTS.items()}


def tile(weights: tuple[int, ...], groups: int, strides, dilations, output: tuple[int, int]) -> int:
    """The outputs that a tile of Winograd's has on a side, 4 or 2; 0 where it is not used.

    `weights` is the shape [out, in / groups, kh, kw], `output` [height, width]; one thread.
    """
    out_channels, in_channels, height, width = weights
    once = set(strides) == {1} and set(dilations) == {1} and groups == 1
    if (height, width) != (3, 3) or not once or min(out_channels, in_channels) <= 8:
        return 0
    return 2 if math.prod(output) // _TILES_AT_ONCE < 16 else 4


@numba.njit(inline="always")
def _round(value):
    """float32 to the nearest float16, as a float32: eleven bits, infinity beyond 65504."""
    size = abs(value)
    wide = value * np.float32(8193.0)
    near = wide - (wide - value)
    near = (value + np.float32(0.75)) - np.float32(0.75) if size < np.float32(2**-14) else near
    return math.copysign(np.float32(np.inf), value) if size >= np.float32(65520.0) else near


@numba.njit(cache=True)
def _multiply(left, right, start):
    """[m, k] × [k, n] + start [m], all float32 that float16 holds; sums in the order of k."""
    rows, depth = left.shape
    columns = right.shape[1]
    result = np.empty((rows, columns), np.float32)
    for row in range(rows):
        sums = result[row]
        sums[:] = start[row]
        for place in range(depth):
            factor = left[row, place]
            line = right[place]
            for column in range(columns):
                sums[column] = _round(sums[column] + factor * line[column])
    return result


def multiply(left: np.ndarray, right: np.ndarray, bias: np.ndarray | None = None) -> np.ndarray:
    """float16 [m, k] × [k, n] (+ bias [m], that the sums begin with) → float16 [m, n]."""
    start = np.zeros(len(left), np.float16) if bias is None else bias
    wide = (np.ascontiguousarray(one, np.float32) for one in (left, right, start))
    return _multiply(*wide).astype(np.float16)


def multiply_vector(left: np.ndarray, vector: np.ndarray) -> np.ndarray:
    """float16 [m, k] × [k] → float16 [m]: eight sums side by side, then added in pairs."""
    short = -left.shape[1] % _LANES
    terms = np.pad(left, ((0, 0), (0, short))).reshape(len(left), -1, _LANES)
    vector = np.pad(vector, (0, short)).reshape(-1, _LANES)
    lanes = [
        multiply(terms[:, :, lane], vector[:, lane : lane + 1])[:, 0] for lane in range(_LANES)
    ]
    while len(lanes) > 1:
        lanes = [one + other for one, other in zip(lanes[::2], lanes[1::2], strict=True)]
    return lanes[0]


@np.errstate(over="ignore", invalid="ignore")
def convolve(
    image: np.ndarray,
    weights: np.ndarray,
    bias: np.ndarray | None,
    *,
    groups: int,
    strides: tuple[int, int],
    pads: tuple[int, int, int, int],
    dilations: tuple[int, int],
) -> np.ndarray:
    """float16 [C, H, W] → [channels, H', W'], by the kernel that Paddle Lite chooses.

    `pads` are top, left, bottom, right; `bias`, float16 [channels], is the convolution's own.
    """
    top, left, bottom, right = pads
    padded = np.pad(image, ((0, 0), (top, bottom), (left, right)))
    spans = [
        (size - dilation * (kernel - 1) - 1) // stride + 1
        for size, dilation, kernel, stride in zip(
            padded.shape[1:], dilations, weights.shape[2:], strides, strict=True
        )
    ]
    side = tile(weights.shape, groups, strides, dilations, tuple(spans))
    if side:
        return _winograd(padded, weights, bias, side, spans)
    parts = []
    for group in range(groups):
        mine = np.array_split(padded, groups)[group]
        kernel = np.array_split(weights, groups)[group]
        start = None if bias is None else np.array_split(bias, groups)[group]
        columns = _columns(mine, kernel.shape[2:], strides, dilations, spans)
        parts.append(multiply(kernel.reshape(len(kernel), -1), columns, start))
    return np.concatenate(parts).reshape(-1, *spans)


def _columns(image, kernel, strides, dilations, spans) -> np.ndarray:
    """The patches that a convolution multiplies: [C · kh · kw, H' · W']."""
    height, width = spans
    parts = [
        image[
            :,
            row * dilations[0] : row * dilations[0] + (height - 1) * strides[0] + 1 : strides[0],
            column * dilations[1] : column * dilations[1] + (width - 1) * strides[1] + 1 : strides[
                1
            ],
        ]
        for row in range(kernel[0])
        for column in range(kernel[1])
    ]
    return np.stack(parts, axis=1).reshape(-1, height * width)


def transformed_weights(weights: np.ndarray, side: int) -> np.ndarray:
    """[out, in, 3, 3] → [side + 2, side + 2, out, in], rounded to the type after each dimension."""
    rows = _WEIGHTS[side].astype(np.float32)
    once = (weights.astype(np.float32) @ rows.T).astype(weights.dtype)  # [out, in, 3, column]
    twice = rows @ once.astype(np.float32)  # [out, in, row, column]
    return np.ascontiguousarray(twice.astype(weights.dtype).transpose(2, 3, 0, 1))


def sum_bound(kernels: np.ndarray, side: int) -> float:
    """How many times a layer's input Winograd's sums can be at most, for transformed weights."""
    gains = np.abs(_INPUTS[side]).sum(axis=1)
    sums = np.abs(kernels).sum(axis=3).max(axis=2)  # [row, column]
    return float((gains[:, None] * gains * sums).max())


def winograd_sums(padded: np.ndarray, kernels: np.ndarray, side: int, spans) -> np.ndarray:
    """What Winograd's output transform begins with: [side + 2, side + 2, channels, tiles].

    `padded` [C, H, W] and `kernels`, the transformed weights, are both float16, for the kernels'
    arithmetic, or float32.
    """
    channels = len(padded)
    down, across = (-(-span // side) for span in spans)
    whole = np.zeros((channels, down * side + 2, across * side + 2), padded.dtype)
    whole[:, : padded.shape[1], : padded.shape[2]] = padded
    window = np.lib.stride_tricks.sliding_window_view(whole, (side + 2, side + 2), axis=(1, 2))
    tiles = window[:, ::side, ::side].reshape(channels, -1, side + 2, side + 2)
    into = _into_4 if side == 4 else _into_2
    tiles = into(into(tiles.transpose(3, 2, 0, 1)).swapaxes(0, 1))  # [row, column, C, tile]
    if padded.dtype != np.float16:
        return kernels @ tiles
    shape = (*kernels.shape[:3], tiles.shape[3])
    sums = np.empty(shape, np.float16)
    for place in np.ndindex(shape[:2]):
        sums[place] = multiply(kernels[place], tiles[place])
    return sums


def _winograd(padded, weights, bias, side: int, spans) -> np.ndarray:
    """A 3×3 convolution of a padded image, float16 [C, H, W], in tiles of side × side outputs."""
    out_of = _out_of_4 if side == 4 else _out_of_2
    down, across = (-(-span // side) for span in spans)
    sums = winograd_sums(padded, transformed_weights(weights, side), side, spans)
    done = out_of(out_of(sums).swapaxes(0, 1))  # [column, row, out, tile]
    if bias is not None:
        done = done + bias[:, None]
    done = done.reshape(side, side, len(weights), down, across).transpose(2, 3, 1, 4, 0)
    return done.reshape(len(weights), down * side, across * side)[:, : spans[0], : spans[1]]


# One dimension of the transforms, along the first axis. The order of the sums decides what
# overflows: compilers that may reorder them (Paddle Lite is built so) take the factor 4 out of two
# products, and its sum, up to 8 times a value, is what becomes infinite first on real ARM code.


def _into_4(x: np.ndarray) -> np.ndarray:
    four, five, two = np.float16(4), np.float16(5), np.float16(2)
    apart, twice = x[4] - x[2], two * (x[1] - x[3])
    return np.stack(
        [
            (four * x[0] - five * x[2]) + x[4],
            (x[3] + x[4]) - four * (x[1] + x[2]),
            (x[4] - x[3]) + four * (x[1] - x[2]),
            apart - twice,
            apart + twice,
            (four * x[1] - five * x[3]) + x[5],
        ]
    )


def _out_of_4(x: np.ndarray) -> np.ndarray:
    near, near_apart = x[1] + x[2], x[1] - x[2]
    far, far_apart = x[3] + x[4], x[3] - x[4]
    return np.stack(
        [
            (x[0] + near) + far,
            near_apart + np.float16(2) * far_apart,
            near + np.float16(4) * far,
            (near_apart + np.float16(8) * far_apart) + x[5],
        ]
    )


def _into_2(x: np.ndarray) -> np.ndarray:
    return np.stack([x[0] - x[2], x[1] + x[2], x[2] - x[1], x[1] - x[3]])


def _out_of_2(x: np.ndarray) -> np.ndarray:
    return np.stack([(x[0] + x[1]) + x[2], (x[1] - x[2]) - x[3]])
