"""The bytes of a photo file → RGB pixels, exactly as OpenCV hands them to the published pipelines.

What each kind of photo becomes is what `cv2.imdecode(data, IMREAD_COLOR)` makes of it: grey gives
three equal channels, a palette its colours, 16 bits their upper 8, CMYK the colours of OpenCV's own
formula, an animation its first frame; alpha is dropped, EXIF (and PNG eXIf) orientation is applied.
A format that OpenCV cannot read goes through Pillow with the same rules.
"""

from __future__ import annotations

import functools
import threading
import zlib
from types import ModuleType
from typing import TYPE_CHECKING

from data.photo_files import image_kind

if TYPE_CHECKING:
    import numpy as np

_SILENT = 0  # of OpenCV's log levels


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
    """Why a photo is known to be damaged before any decoder sees it, or None.

    Decoders differ here: some fill the missing part with grey and say nothing, others also write
    to standard error, past every setting.
    """
    if not data:
        return "empty file"
    if data.startswith(b"version https://git-lfs"):
        return "no photo but what Git LFS has for it: run git lfs pull"
    if data.startswith(b"\xff\xd8") and not _jpeg_ends(data):
        return "truncated JPEG"
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return _png_damage(data)
    return None


def _jpeg_ends(data: bytes) -> bool:
    """Whether an end-of-image marker follows the first scan (ITU-T T.81, annex B).

    The segments before the scan are stepped over, since an EXIF thumbnail is a JPEG of its own.
    Inside a scan 0xFF is always followed by 0x00 or a restart marker, so nothing looks like the
    end but the end. It need not be the last thing in the file: cameras append more.
    """
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:  # a fill byte
            at += 1
        elif marker == 0xDA:  # start of scan
            return data.rfind(b"\xff\xd9", at) > 0
        else:
            at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return False


def _png_damage(data: bytes) -> str | None:
    """Walk the chunks of a PNG: all there, and those that carry pixels undamaged."""
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


def _decode_with_pillow(data: bytes) -> np.ndarray:
    import io
    import warnings

    import numpy as np
    from PIL import Image, ImageOps, UnidentifiedImageError

    with _one_at_a_time, warnings.catch_warnings(action="ignore"):
        # The limit guards servers against strangers' files; these photos are the user's own.
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
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
        finally:
            Image.MAX_IMAGE_PIXELS = limit
