"""A tiny labelled set that is easy to tell apart: photos of one colour or another."""

from pathlib import Path

import cv2
import numpy as np

COLOURS = ("blue", "green", "red")  # the order of OpenCV's channels, and of the alphabet
SIX = (*COLOURS, "cyan", "yellow", "magenta")  # then those of two channels


def write_photos(root: Path, per_class: int, names=COLOURS) -> Path:
    """Small noisy photos, one folder per class, each class brighter in channels of its own."""
    generator = np.random.default_rng(0)
    for number_of_class, name in enumerate(names):
        channels = {number_of_class % 3, (number_of_class + number_of_class // 3) % 3}
        (root / name).mkdir(parents=True)
        for number in range(per_class):
            photo = generator.integers(0, 80, (40, 48, 3), np.uint8)
            photo[..., list(channels)] += 100
            assert cv2.imwrite(str(root / name / f"{number:03}.png"), photo)
    return root
