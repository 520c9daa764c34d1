"""How a photo becomes a network's input: one `Preprocess` value per model.

The steps and the order of their floating-point operations are those of PaddleClas
(`ppcls/data/preprocess/ops/operators.py`: DecodeImage, ResizeImage, CropImage, NormalizeImage,
ToCHWImage), so that the results are equal to the last bit.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from common.errors import UserError
from data.decode import BadPhotoError, decode_photo

if TYPE_CHECKING:
    import numpy as np

_LIBRARIES = ("opencv", "pillow")
_INTERPOLATIONS = ("bilinear", "bicubic")
# Resizing keeps the proportions, so a strip one pixel wide grows 256-fold in length too.
_MAX_RESIZED_PIXELS = 2**28


@dataclass(frozen=True)
class Preprocess:
    """Resize the short side, cut the centre out, scale and shift each channel.

    `resize_short` and `crop` are in pixels; `library` is the one that resizes (they round
    differently); `mean` and `std` are per RGB channel, of values scaled to 0..1.
    """

    resize_short: int = 256
    crop: int = 224
    interpolation: str = "bilinear"
    library: str = "opencv"
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)

    def __post_init__(self) -> None:
        if self.interpolation not in _INTERPOLATIONS:
            raise ValueError(f"interpolation is {self.interpolation!r}, not in {_INTERPOLATIONS}")
        if self.library not in _LIBRARIES:
            raise ValueError(f"library is {self.library!r}, not in {_LIBRARIES}")
        if not 0 < self.crop <= self.resize_short:
            raise ValueError(f"crop {self.crop} does not fit into short side {self.resize_short}")
        if len(self.mean) != 3 or len(self.std) != 3 or 0 in self.std:
            raise ValueError(f"mean {self.mean} and std {self.std} are not three usable numbers")

    def to_json(self) -> dict[str, Any]:
        """A JSON object that `from_json` turns back into an equal value."""
        return {
            **dataclasses.asdict(self),
            "mean": list(self.mean),
            "std": list(self.std),
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Preprocess:
        """The value that `to_json` was called on."""
        try:
            return cls(**{**value, "mean": tuple(value["mean"]), "std": tuple(value["std"])})
        except (KeyError, TypeError, ValueError) as error:
            raise UserError(f"not a description of a preprocess: {str(error)[:200]}") from error

    @property
    def geometry(self) -> dict[str, Any]:
        """The part that decides the crop's pixels: models that agree on it share cached crops."""
        return {
            "resize_short": self.resize_short,
            "crop": self.crop,
            "interpolation": self.interpolation,
            "library": self.library,
        }

    @staticmethod
    def decode(data: bytes) -> np.ndarray:
        """The pixels of a photo file: uint8 RGB [height, width, 3] (see `data.decode`)."""
        return decode_photo(data)

    def crop_photo(self, rgb: np.ndarray) -> np.ndarray:
        """The centre of a photo, uint8 RGB [height, width, 3] → uint8 [crop, crop, 3]."""
        import numpy as np

        height, width = rgb.shape[:2]
        size = self.resized_size(rgb)
        if size[0] * size[1] > _MAX_RESIZED_PIXELS:
            raise BadPhotoError(f"too narrow a strip ({width}x{height} pixels)")
        left, top = (size[0] - self.crop) // 2, (size[1] - self.crop) // 2
        resized = self.resize(rgb, size)
        return np.ascontiguousarray(resized[top : top + self.crop, left : left + self.crop])

    def resized_size(self, rgb: np.ndarray) -> tuple[int, int]:
        """The width and height that a photo, uint8 RGB [height, width, 3], is resized to."""
        height, width = rgb.shape[:2]
        percent = float(self.resize_short) / min(width, height)
        return round(width * percent), round(height * percent)

    def resize(self, rgb: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """A photo, uint8 RGB [height, width, 3], of another size (width, height)."""
        if self.library == "pillow":
            import numpy as np
            from PIL import Image

            method = Image.Resampling[self.interpolation.upper()]
            return np.asarray(Image.fromarray(rgb).resize(size, method))
        import cv2

        kernel = {"bilinear": cv2.INTER_LINEAR, "bicubic": cv2.INTER_CUBIC}[self.interpolation]
        return cv2.resize(rgb, size, interpolation=kernel)

    def normalize(self, crops: np.ndarray) -> np.ndarray:
        """Crops, uint8 [N, S, S, 3] → a network's input, float32 [N, 3, S, S].

        The formula is `(x * float32(1/255) - mean) / std`, all in float32. There are only 256
        different x, so it is worked out once for each and looked up: ten times as fast.
        """
        import cv2
        import numpy as np

        values = np.arange(256, dtype=np.uint8).astype(np.float32)[:, None]
        mean, std = np.array(self.mean, np.float32), np.array(self.std, np.float32)
        table = np.ascontiguousarray(((values * np.float32(1.0 / 255.0) - mean) / std).T)
        batch = np.empty((len(crops), 3, *crops.shape[1:3]), np.float32)
        for photo, planes in zip(crops, batch, strict=True):
            for channel, plane in enumerate(cv2.split(photo)):
                cv2.LUT(plane, table[channel], dst=planes[channel])
        return batch
