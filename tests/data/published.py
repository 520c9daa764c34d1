"""The published preprocessing, written down step by step as PaddleClas runs it, for comparison."""

import cv2
import numpy as np
from PIL import Image


def decode(data: bytes) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(data, "uint8"), 1)[:, :, ::-1]


def crop(rgb: np.ndarray, short: int, side: int, pillow_bicubic: bool = False) -> np.ndarray:
    img_h, img_w = rgb.shape[:2]
    percent = float(short) / min(img_w, img_h)
    w = int(round(img_w * percent))  # noqa: RUF046
    h = int(round(img_h * percent))  # noqa: RUF046
    if pillow_bicubic:
        rgb = np.asarray(Image.fromarray(rgb).resize((w, h), Image.BICUBIC))
    else:
        rgb = cv2.resize(rgb, (w, h), interpolation=cv2.INTER_LINEAR)
    w_start, h_start = (w - side) // 2, (h - side) // 2
    return rgb[h_start : h_start + side, w_start : w_start + side, :]


def normalize(img: np.ndarray) -> np.ndarray:
    mean = np.array([0.485, 0.456, 0.406]).reshape((1, 1, 3)).astype("float32")
    std = np.array([0.229, 0.224, 0.225]).reshape((1, 1, 3)).astype("float32")
    img = (img.astype("float32") * np.float32(1.0 / 255.0) - mean) / std
    return img.transpose((2, 0, 1))
