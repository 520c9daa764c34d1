"""Every kind of photo decodes to what OpenCV makes of it, or is refused with its reason."""

import io
import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image

from data.decode import BadPhotoError, decode_photo
from tests.data import published
from tests.data.conftest import encoded, picture

RGB = picture(310, 207)
IMAGE = Image.fromarray(RGB)
SIXTEEN_BITS = np.arange(310 * 207, dtype=np.uint16).reshape(207, 310)


def with_alpha() -> Image.Image:
    image = IMAGE.convert("RGBA")
    image.putalpha(Image.fromarray(RGB[..., 1]))
    return image


def sixteen_bit_rgb() -> bytes:
    pixels = np.random.default_rng(0).integers(0, 65536, (40, 50, 3), np.uint16)
    return cv2.imencode(".png", pixels)[1].tobytes()


KINDS = {
    "baseline JPEG": encoded(IMAGE),
    "progressive JPEG": encoded(IMAGE, progressive=True),
    "grey JPEG": encoded(IMAGE.convert("L")),
    "CMYK JPEG": encoded(IMAGE.convert("CMYK")),
    "JPEG with data after its end": encoded(IMAGE) + b"appended by a camera",
    "PNG": encoded(IMAGE, "PNG"),
    "palette PNG": encoded(IMAGE.convert("P"), "PNG"),
    "palette PNG with transparency": encoded(IMAGE.convert("P"), "PNG", transparency=3),
    "PNG with alpha": encoded(with_alpha(), "PNG"),
    "grey PNG": encoded(IMAGE.convert("L"), "PNG"),
    "grey PNG with alpha": encoded(with_alpha().convert("LA"), "PNG"),
    "black-and-white PNG": encoded(IMAGE.convert("1"), "PNG"),
    "grey 16-bit PNG": encoded(Image.fromarray(SIXTEEN_BITS), "PNG"),
    "RGB 16-bit PNG": sixteen_bit_rgb(),
    "16-bit TIFF": encoded(Image.fromarray(SIXTEEN_BITS), "TIFF"),
    "CMYK TIFF": encoded(IMAGE.convert("CMYK"), "TIFF"),
    "BMP": encoded(IMAGE, "BMP"),
    "GIF": encoded(IMAGE, "GIF"),
    "WebP": encoded(IMAGE, "WEBP"),
    "JPEG 2000": encoded(IMAGE, "JPEG2000"),
    "one pixel wide": encoded(picture(1, 300)),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_that_opencv_knows_decodes_to_its_bits(kind):
    rgb = decode_photo(KINDS[kind])
    assert rgb.dtype == np.uint8
    assert rgb.flags.c_contiguous
    assert np.array_equal(rgb, published.decode(KINDS[kind]))


def test_sixteen_bits_become_their_upper_eight():
    grey = decode_photo(KINDS["grey 16-bit PNG"])
    assert np.array_equal(grey, np.dstack([SIXTEEN_BITS >> 8] * 3))


def test_alpha_is_dropped_not_blended():
    assert np.array_equal(decode_photo(encoded(with_alpha(), "PNG")), RGB)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(IMAGE, exif=exif)
    rgb = decode_photo(data)
    assert np.array_equal(rgb, published.decode(data))
    with Image.open(io.BytesIO(data)) as image:
        from PIL import ImageOps

        upright = np.asarray(ImageOps.exif_transpose(image))
    assert rgb.shape == upright.shape
    assert np.abs(rgb.astype(int) - upright).mean() < 1


@pytest.mark.parametrize("kind", ["TGA", "PCX", "ICO", "SGI"])
def test_what_opencv_cannot_read_goes_through_pillow(kind):
    image = IMAGE.resize((256, 128))
    rgb = decode_photo(encoded(image, kind, **({"sizes": [(256, 128)]} if kind == "ICO" else {})))
    assert np.array_equal(rgb, np.asarray(image))


def test_pillows_pixel_limit_does_not_stop_a_huge_photo(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    assert np.array_equal(decode_photo(encoded(IMAGE, "TGA")), RGB)
    assert Image.MAX_IMAGE_PIXELS == 1000


def test_a_photo_of_108_megapixels():
    data = cv2.imencode(".jpg", np.full((9000, 12000), 77, np.uint8))[1].tobytes()
    rgb = decode_photo(data)
    assert rgb.shape == (9000, 12000, 3)
    assert np.all(rgb[::500, ::500] == 77)


@pytest.mark.parametrize("cut", [1, 2, 3, 10, 300, 5000])
@pytest.mark.parametrize("kind", ["baseline JPEG", "progressive JPEG", "CMYK JPEG"])
def test_a_truncated_jpeg_is_refused(kind, cut):
    with pytest.raises(BadPhotoError, match="truncated JPEG"):
        decode_photo(KINDS[kind][:-cut])


@pytest.mark.parametrize("keep", [3, 25, 200])
def test_a_jpeg_cut_off_within_its_head_is_refused(keep):
    with pytest.raises(BadPhotoError, match="truncated JPEG"):
        decode_photo(KINDS["baseline JPEG"][:keep])


def test_the_end_of_an_exif_thumbnail_is_not_taken_for_the_end_of_the_photo():
    thumbnail = encoded(IMAGE.resize((80, 60)))
    exif = b"Exif\0\0" + thumbnail
    data = encoded(IMAGE)
    segment = b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif
    data = data[:2] + segment + data[2:]
    assert decode_photo(data).shape == RGB.shape
    with pytest.raises(BadPhotoError, match="truncated JPEG"):
        decode_photo(data[:-1000])


def test_a_jpeg_whose_second_half_was_never_written_is_refused():
    data = KINDS["baseline JPEG"]
    half = len(data) // 2
    with pytest.raises(BadPhotoError, match="truncated JPEG"):
        decode_photo(data[:half] + bytes(len(data) - half))


@pytest.mark.parametrize("cut", [1, 12, 13, 500])
def test_a_truncated_png_is_refused(cut):
    with pytest.raises(BadPhotoError, match="truncated PNG"):
        decode_photo(KINDS["PNG"][:-cut])


def test_a_png_with_flipped_pixel_bytes_is_refused():
    data = bytearray(KINDS["PNG"])
    data[len(data) // 2] ^= 0xFF
    with pytest.raises(BadPhotoError, match="damaged PNG"):
        decode_photo(bytes(data))


def test_a_png_with_a_damaged_comment_decodes_as_opencv_does():
    comment = b"tEXtComment\0hello"
    chunk = (len(comment) - 4).to_bytes(4, "big") + comment + b"\0\0\0\0"  # a wrong checksum
    data = KINDS["PNG"][:33] + chunk + KINDS["PNG"][33:]
    assert np.array_equal(decode_photo(data), published.decode(data))


@pytest.mark.parametrize("kind", ["BMP", "GIF", "WebP", "16-bit TIFF", "JPEG 2000"])
@pytest.mark.parametrize("part", [0.05, 0.5, 0.98])
def test_other_truncated_photos_are_refused(kind, part, capfd):
    data = KINDS[kind]
    with pytest.raises(BadPhotoError):
        decode_photo(data[: int(len(data) * part)])
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("kind", ["baseline JPEG", "PNG"])
def test_a_refused_photo_leaves_no_noise_on_standard_error(kind, capfd):
    with pytest.raises(BadPhotoError):
        decode_photo(KINDS[kind][:-100])
    assert capfd.readouterr().err == ""


def with_size(kind: str, width: int, height: int) -> bytes:
    """A small photo whose head says that it has another size."""
    data = bytearray(KINDS[kind])
    if kind == "PNG":
        data[16:24] = struct.pack(">II", width, height)
        data[29:33] = zlib.crc32(data[12:29]).to_bytes(4, "big")
    elif kind == "GIF":
        data[6:10] = struct.pack("<HH", width, height)
    else:
        frame = data.index(b"\xff\xc0")
        data[frame + 5 : frame + 9] = struct.pack(">HH", height, width)
    return bytes(data)


@pytest.mark.parametrize("kind", ["baseline JPEG", "PNG", "GIF"])
def test_a_small_file_of_very_many_pixels_takes_no_memory(kind):
    with pytest.raises(BadPhotoError, match=r"too many pixels \(65500x65400\)"):
        decode_photo(with_size(kind, 65500, 65400))


def test_a_png_that_is_too_short_for_its_pixels_takes_no_memory():
    with pytest.raises(BadPhotoError, match="truncated PNG"):
        decode_photo(with_size("PNG", 16000, 16000))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty file"),
        (b"<html>404 not found</html>", "not a photo of any known format"),
        (bytes(5000), "not a photo of any known format"),
        (encoded(Image.fromarray(RGB[..., 0].astype(np.float32)), "TIFF"), "no RGB form"),
    ],
    ids=["empty", "a web page", "zeros", "floating-point TIFF"],
)
def test_what_is_no_photo_is_refused_with_its_reason(data, reason):
    with pytest.raises(BadPhotoError, match=reason):
        decode_photo(data)
