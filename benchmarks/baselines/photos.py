"""What the plain scripts share: reading the list, cropping a photo, making it a network's input."""

import argparse
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

MEAN = np.array([0.485, 0.456, 0.406], np.float32)
STD = np.array([0.229, 0.224, 0.225], np.float32)


def arguments(*more: str) -> argparse.Namespace:
    """The command line of every script: the list of photos, `more` words, the sizes in pixels."""
    parser = argparse.ArgumentParser()
    for name in ("listing", *more):
        parser.add_argument(name)
    parser.add_argument("--resize", type=int, default=256)
    parser.add_argument("--crop", type=int, default=224)
    parser.add_argument("--pillow", action="store_true", help="resize with Pillow's bicubic")
    return parser.parse_args()


def read_list(listing: str) -> list[tuple[str, int]]:
    """The path and the label of each photo."""
    with Path(listing).open(encoding="utf-8", errors="surrogateescape") as lines:
        pairs = [line.rsplit(maxsplit=1) for line in lines]
    return [(path, int(label)) for path, label in pairs]


def crop_photo(path: str, options: argparse.Namespace) -> np.ndarray:
    """Read, decode, resize and crop: uint8 RGB [crop, crop, 3]."""
    photo = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR)
    height, width = photo.shape[:2]
    scale = options.resize / min(height, width)
    size = (round(width * scale), round(height * scale))
    if options.pillow:
        photo = np.asarray(Image.fromarray(photo).resize(size, Image.Resampling.BICUBIC))
    else:
        photo = cv2.resize(photo, size)
    left, top = (size[0] - options.crop) // 2, (size[1] - options.crop) // 2
    return photo[top : top + options.crop, left : left + options.crop, ::-1]


def crops(options: argparse.Namespace) -> Iterator[tuple[np.ndarray, int]]:
    """Each photo's crop, uint8 [crop, crop, 3], and its label."""
    for path, label in read_list(options.listing):
        yield crop_photo(path, options), label


def validate(infer: Callable[[np.ndarray], np.ndarray], options: argparse.Namespace) -> None:
    """Print how many photos `infer`, float32 [1, 3, S, S] to logits, gets right."""
    right = 0
    for crop, label in crops(options):
        scaled = (crop.astype(np.float32) / 255 - MEAN) / STD
        batch = np.ascontiguousarray(scaled.transpose(2, 0, 1)[None])
        right += int(infer(batch).argmax()) == label
    print(json.dumps({"right": right}))
