"""Kinds: photos, lists of them, and lists of classes."""

import io
import math
from pathlib import Path

import numpy as np

from benchmarks.faults.kinds import Kind, Specimen, require
from benchmarks.faults.mutators import BYTES, TEXT
from benchmarks.faults.structured import JPEG, PNG
from data.decode import decode_photo
from data.images import ImageSet
from data.photo_files import AS_FOUND
from data.preprocess import Preprocess
from deploy.packages.labels import read_names

_CLASSES = 4


def kinds() -> list[Kind]:
    read = "photos, to a crop"
    return [
        Kind("jpeg", read, _jpegs, ("p.jpg",), JPEG, _photo, 700),
        Kind("png", read, _pngs, ("p.png",), PNG, _photo, 700),
        Kind("webp", read, _webps, ("p.webp",), BYTES, _photo, 500),
        Kind("gif-bmp-tiff", read, _others, ("p.img",), BYTES, _photo, 300),
        Kind("list", "a list of photos", _lists, ("val_list.txt",), TEXT, _list, 900),
        Kind("classes", "a list of classes", _names, ("classes.txt",), TEXT, _labels, 400),
    ]


def _picture(side: int = 48) -> np.ndarray:
    """A photo of nothing, with slopes and noise, uint8 [side, side, 3]."""
    rng = np.random.default_rng(1)
    slope = np.add.outer(np.arange(side), np.arange(side))[..., None] * np.array([1, 2, 3])
    return (slope + rng.integers(0, 40, (side, side, 3))).astype(np.uint8)


def encoded(form: str, mode: str = "RGB", **options: object) -> bytes:
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(_picture()).convert(mode).save(stream, form, **options)
    return stream.getvalue()


def _jpegs() -> list[Specimen]:
    from PIL import Image

    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "a photo"
    found = (
        encoded("JPEG"), encoded("JPEG", progressive=True, exif=exif), encoded("JPEG", "L"),
        encoded("JPEG", "CMYK"),
    )  # fmt: skip
    return [{"p.jpg": data} for data in found]


def _pngs() -> list[Specimen]:
    return [{"p.png": encoded("PNG", one)} for one in ("RGB", "RGBA", "P", "L", "1")]


def _webps() -> list[Specimen]:
    return [{"p.webp": encoded("WEBP", lossless=one)} for one in (False, True)]


def _others() -> list[Specimen]:
    forms = ("GIF", "BMP", "TIFF", "PPM", "JPEG2000", "ICO")
    return [{"p.img": encoded(one)} for one in forms]


def _photo(folder: Path, good: Specimen) -> bool:
    """A photo's pixels and its crop: of the form that is promised, whatever was damaged."""
    pixels = decode_photo((folder / next(iter(good))).read_bytes())
    require(pixels.dtype == np.uint8 and pixels.ndim == 3 and pixels.shape[2] == 3, "no RGB")
    require(math.prod(pixels.shape) > 0, "no pixel")
    crop = Preprocess().crop_photo(pixels)
    require(crop.shape == (224, 224, 3), "no crop")
    return True


_PHOTOS = [f"images/{number}.jpg" for number in range(6)]


def _lists() -> list[Specimen]:
    photo = encoded("JPEG")
    photos = dict.fromkeys(_PHOTOS, photo)
    lines = [f"{name} {number % _CLASSES}" for number, name in enumerate(_PHOTOS)]
    named = [f"{name},{'abcd'[number % _CLASSES]}" for number, name in enumerate(_PHOTOS)]
    quoted = ["path\tlabel", *(f'"{name}"\t{n % 4}' for n, name in enumerate(_PHOTOS))]
    texts = ("\n".join(one) + "\n" for one in (lines, named, quoted, _PHOTOS))
    return [{"val_list.txt": text.encode(), **photos} for text in texts]


def _list(folder: Path, _: Specimen) -> bool:
    """The photos of a list: all there, and a label of the model's for each, or for none."""
    found = ImageSet.open(folder / "val_list.txt", _CLASSES, labels=AS_FOUND)
    require(found.paths and all(path.is_file() for path in found.paths), "a photo is absent")
    if found.labels is not None:
        require(len(found.labels) == len(found.paths), "another number of labels")
        require(all(0 <= label < _CLASSES for label in found.labels), "a label beyond the classes")
    return True


def _names() -> list[Specimen]:
    texts = ("cat\ndog\nbird\nfish\n", "0 cat\n1 dog\n2 bird\n3 fish\n", "猫\n狗\n鸟\n鱼\n")
    return [{"classes.txt": text.encode()} for text in texts]


def _labels(folder: Path, _: Specimen) -> bool:
    names = read_names(folder / "classes.txt", _CLASSES)
    require(len(names) == _CLASSES and all(names), "no name for each class")
    return True
