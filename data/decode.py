"""The bytes of a photo file → RGB pixels, exactly as OpenCV hands them to the published pipelines.

What each kind of photo becomes is what `cv2.imdecode(data, IMREAD_COLOR)` makes of it: grey gives
three equal channels, a palette its colours, 16 bits their upper 8, CMYK the colours of OpenCV's own
formula, an animation its first frame; alpha is dropped, EXIF (and PNG eXIf) orientation is applied.
A format that OpenCV cannot read goes through Pillow with the same rules.
"""

from __future__ import annotations

import contextlib
import functools
import threading
import zlib
from collections.abc import Iterator
from types import ModuleType
from typing import TYPE_CHECKING

from data.photo_files import image_kind

if TYPE_CHECKING:
    import numpy as np

_SILENT = 0  # of OpenCV's log levels
# More than any camera's photo has; a file of some kilobytes can say that it has 2^32, and take the
# machine's memory. A photo of as many takes 0.8 GB.
_MOST_PIXELS = 2**28
_PNG_CHANNELS = {2: 3, 4: 2, 6: 4}  # by the colour type in its head; others have one
_DEFLATES = 1032  # to one: the most that Deflate can compress
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}  # JPEG's markers that begin a frame


class BadPhotoError(Exception):
    """A photo that cannot be used; the text is the reason, a few words without the file's name."""


def decode_photo(data: bytes) -> np.ndarray:
    """The pixels of a photo file: uint8 [height, width, 3], RGB, upright.

    Raises BadPhotoError for anything that is not a whole photo.
    """
    import numpy as np

    if reason := _damage(data):
        raise BadPhotoError(reason)
    cv2 = _opencv()
    try:
        # The same bits as IMREAD_COLOR with its channels reversed, without the pass over them.
        rgb = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)
    except cv2.error:  # more than 2^30 pixels, or no memory for them
        rgb = None
    return _decode_with_pillow(data) if rgb is None else rgb


@functools.cache
def _opencv() -> ModuleType:
    import cv2  # here, so that commands which decode nothing start faster

    # Its complaints about a photo go to standard error line by line; ours is one sentence.
    cv2.setLogLevel(_SILENT)
    return cv2


def _damage(data: bytes) -> str | None:
    """Why a photo is known to be damaged, or too large, before any decoder sees it, or None.

    Decoders differ here: some fill the missing part with grey and say nothing, others also write
    to standard error, past every setting.
    """
    if not data:
        return "empty file"
    if data.startswith(b"version https://git-lfs"):
        return "no photo but what Git LFS has for it: run git lfs pull"
    if data.startswith(b"\xff\xd8"):
        return _jpeg_damage(data)
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return _png_damage(data)
    if image_kind(data) != "WebP":  # which has no more than that
        return _size_damage(data)
    return None


def _too_many(width: int, height: int) -> str | None:
    if width * height > _MOST_PIXELS:
        return f"too many pixels ({width}x{height})"
    return None


def _size_damage(data: bytes) -> str | None:
    """Whether Pillow, which reads no more than a head here, tells of too many pixels."""
    import io

    from PIL import Image

    with _without_limit():
        try:
            with Image.open(io.BytesIO(data)) as image:
                return _too_many(*image.size)
        except Exception:  # noqa: BLE001 - what it is, the decoders will tell
            return None


def _jpeg_damage(data: bytes) -> str | None:
    """Whether a frame has too many pixels, or no end-of-image marker follows the first scan
    (ITU-T T.81, annex B).

    The segments before the scan are stepped over, since an EXIF thumbnail is a JPEG of its own.
    Inside a scan 0xFF is always followed by 0x00 or a restart marker, so nothing looks like the
    end but the end. It need not be the last thing in the file: cameras append more.
    """
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:  # a fill byte
            at += 1
            continue
        if marker == 0xDA:  # start of scan
            return None if data.rfind(b"\xff\xd9", at) > 0 else "truncated JPEG"
        if marker in _FRAMES:
            height, width = (int.from_bytes(data[at + n : at + n + 2], "big") for n in (5, 7))
            if reason := _too_many(width, height):
                return reason
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return "truncated JPEG"


def _png_damage(data: bytes) -> str | None:
    """Walk the chunks of a PNG: all there, and those that carry pixels undamaged."""
    width, height = (int.from_bytes(data[n : n + 4], "big") for n in (16, 20))
    if reason := _too_many(width, height):
        return reason
    bits = data[24] * _PNG_CHANNELS.get(data[25], 1) if len(data) > 25 else 0
    if width * height * bits // 8 > _DEFLATES * len(data):
        return "truncated PNG"
    at, view = 8, memoryview(data)
    while at + 12 <= len(data):
        end = at + 12 + int.from_bytes(data[at : at + 4], "big")
        kind = data[at + 4 : at + 8]
        if end > len(data):
            break
        critical = not kind[0] & 0x20
        if critical and zlib.crc32(view[at + 4 : end - 4]) != int.from_bytes(
            data[end - 4 : end], "big"
        ):
            return "damaged PNG (wrong checksum)"
        if kind == b"IEND":
            return None
        at = end
    return "truncated PNG"


_one_at_a_time = threading.Lock()  # Pillow's pixel limit and Python's warnings are global


@contextlib.contextmanager
def _without_limit() -> Iterator[None]:
    """Pillow without its own limit, which guards servers against strangers' files, and is lower."""
    import warnings

    from PIL import Image

    with _one_at_a_time, warnings.catch_warnings(action="ignore"):
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = limit


def _decode_with_pillow(data: bytes) -> np.ndarray:
    import io

    import numpy as np
    from PIL import Image, ImageOps, UnidentifiedImageError

    with _without_limit():
        try:
            with Image.open(io.BytesIO(data)) as image:
                if image.mode[0] in "IF":  # Pillow would clip these to white, not scale them
                    raise BadPhotoError(f"samples of a kind ({image.mode}) that has no RGB form")
                return np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
        except UnidentifiedImageError:
            kind = image_kind(data)
            known = f"{kind}, which is not read here: save it as JPEG"
            raise BadPhotoError(known if kind else "not a photo of any known format") from None
        except (BadPhotoError, MemoryError):
            raise
        except Exception as error:  # its plugins raise a dozen types on damaged data
            raise BadPhotoError(f"damaged: {error}") from error
