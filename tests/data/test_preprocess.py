"""A photo becomes the same input, to the last bit, as in the published pipelines."""

import json

import numpy as np
import pytest

from common.errors import UserError
from data.decode import BadPhotoError
from data.images import ImageSet
from data.preprocess import Preprocess
from tests.data import published
from tests.data.conftest import encoded, picture

DARKNET = Preprocess(resize_short=292, crop=256)
TWINS = Preprocess(interpolation="bicubic", library="pillow")
PUBLISHED = pytest.mark.parametrize(
    ("preprocess", "short", "side", "pillow_bicubic"),
    [(Preprocess(), 256, 224, False), (DARKNET, 292, 256, False), (TWINS, 256, 224, True)],
    ids=["most models", "DarkNet53", "Twins"],
)


@PUBLISHED
def test_real_photos_become_the_published_input(photos, preprocess, short, side, pillow_bicubic):
    for path in ImageSet.open(photos(50)).paths:
        data = path.read_bytes()
        crop = preprocess.crop_photo(preprocess.decode(data))
        expected = published.crop(published.decode(data), short, side, pillow_bicubic)
        assert np.array_equal(crop, expected), path.name
        normalized = preprocess.normalize(crop[None])[0]
        assert same_bits(normalized, published.normalize(expected)), path.name


@PUBLISHED
@pytest.mark.parametrize(
    ("width", "height"),
    [(500, 375), (375, 501), (224, 224), (31, 97), (1836, 333), (1, 300), (300, 1), (1, 1)],
)
def test_photos_of_any_size_become_the_published_crop(
    width, height, preprocess, short, side, pillow_bicubic
):
    rgb = picture(width, height)
    crop = preprocess.crop_photo(rgb)
    assert crop.shape == (side, side, 3)
    assert crop.dtype == np.uint8
    assert crop.flags.c_contiguous
    assert np.array_equal(crop, published.crop(rgb, short, side, pillow_bicubic))


def test_every_value_of_every_channel_is_normalized_to_the_published_bits():
    values = np.arange(256, dtype=np.uint8).reshape(16, 16)
    crops = np.stack([np.stack([values, values[::-1], values.T], axis=-1), np.zeros((16, 16, 3))])
    crops = crops.astype(np.uint8)
    batch = Preprocess(resize_short=16, crop=16).normalize(crops)
    assert batch.shape == (2, 3, 16, 16)
    assert batch.flags.c_contiguous
    assert same_bits(batch, np.stack([published.normalize(crop) for crop in crops]))


def test_a_read_only_batch_and_an_empty_one_are_normalized():
    crops = np.zeros((2, 224, 224, 3), np.uint8)
    crops.flags.writeable = False
    assert Preprocess().normalize(crops).shape == (2, 3, 224, 224)
    assert Preprocess().normalize(crops[:0]).shape == (0, 3, 224, 224)


def test_own_mean_and_std_are_used():
    preprocess = Preprocess(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
    white = np.full((1, 224, 224, 3), 255, np.uint8)
    assert np.all(preprocess.normalize(white) == 1.0)
    assert np.all(preprocess.normalize(white * 0) == -1.0)


def test_a_strip_too_narrow_to_resize_is_a_bad_photo():
    with pytest.raises(BadPhotoError, match="too narrow a strip"):
        Preprocess().crop_photo(np.zeros((20_000, 1, 3), np.uint8))


def test_json_round_trip():
    for preprocess in (Preprocess(), DARKNET, TWINS):
        text = json.dumps(preprocess.to_json())
        assert Preprocess.from_json(json.loads(text)) == preprocess
        assert hash(Preprocess.from_json(json.loads(text))) == hash(preprocess)


@pytest.mark.parametrize(
    "damage", [{"crop": 500}, {"mean": None}, {"library": "torch"}, {"sharpen": 1}, {"std": [1, 1]}]
)
def test_json_that_describes_no_preprocess_is_refused(damage):
    with pytest.raises(UserError, match="not a description of a preprocess"):
        Preprocess.from_json(Preprocess().to_json() | damage)


def test_json_without_a_field_is_refused():
    value = Preprocess().to_json()
    del value["std"]
    with pytest.raises(UserError, match="std"):
        Preprocess.from_json(value)


@pytest.mark.parametrize(
    "wrong",
    [
        {"crop": 300},
        {"crop": 0},
        {"interpolation": "cubic"},
        {"library": "cv2"},
        {"std": (1, 0, 1)},
    ],
)
def test_impossible_values_are_refused(wrong):
    with pytest.raises(ValueError, match=r"\w"):
        Preprocess(**wrong)


def test_decoding_belongs_to_the_pipeline():
    data = encoded(picture(320, 240))
    assert np.array_equal(Preprocess.decode(data), published.decode(data))


def same_bits(one: np.ndarray, other: np.ndarray) -> bool:
    other = np.ascontiguousarray(other)
    assert one.dtype == other.dtype == np.float32
    return np.array_equal(one.view(np.uint32), other.view(np.uint32))
