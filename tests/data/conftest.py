"""A cache of their own for all tests of this folder, and photos to test with."""

import io
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Path:
    """An empty cache folder: no test touches the user's."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "paddle-portage"


def picture(width: int, height: int, seed: int = 0) -> np.ndarray:
    """A coloured picture with noise, without symmetry: uint8 RGB [height, width, 3]."""
    random = np.random.default_rng(seed)
    coarse = random.integers(0, 240, (5, 7, 3), np.uint8)
    smooth = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR)
    return smooth + random.integers(0, 16, smooth.shape, np.uint8)


def encoded(image: Image.Image | np.ndarray, kind: str = "JPEG", **options) -> bytes:
    """The bytes of an image file."""
    stream = io.BytesIO()
    if isinstance(image, np.ndarray):
        image = Image.fromarray(image)
    image.save(stream, kind, **options)
    return stream.getvalue()


@pytest.fixture
def photo_folder(tmp_path):
    """Makes a folder with a list out of {file name: bytes}; labels count up from 0."""

    def make(files: dict[str, bytes], name: str = "photos") -> Path:
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        for file, data in files.items():
            (folder / file).write_bytes(data)
        lines = [f"{file} {label}\n" for label, file in enumerate(files)]
        (folder / "val_list.txt").write_text("".join(lines))
        return folder

    return make


@pytest.fixture
def ten_photos(photo_folder) -> Path:
    """A folder with ten small photos and their list."""
    sizes = [(300 + 10 * n, 260 + 7 * n) for n in range(10)]
    return photo_folder(
        {f"{n}.jpg": encoded(picture(*size, seed=n)) for n, size in enumerate(sizes)}
    )
