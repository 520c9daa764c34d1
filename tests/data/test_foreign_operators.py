"""Others' lists of operators as a `Preprocess`: what they compute, or a sentence."""

import numpy as np
import pytest

from common.errors import UserError
from data.foreign_operators import preprocess_of
from data.preprocess import Preprocess

MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
PILLOW_BICUBIC = {"interpolation": "bicubic", "library": "pillow"}
HALVES, OF_PIXELS = (0.5,) * 3, tuple(float(f"{value / 255:.9g}") for value in STD)


def clas(resize=None, crop=None, normalize=None) -> list:
    return [
        {"DecodeImage": {"to_rgb": True, "channel_first": False}},
        {"ResizeImage": {"resize_short": 256, **(resize or {})}},
        {"CropImage": {"size": 224, **(crop or {})}},
        {"NormalizeImage": {"scale": "1.0/255.0", "mean": MEAN, "std": STD, **(normalize or {})}},
        {"ToCHWImage": None},
    ]


def paddlex(resize=None, normalize=None) -> list:
    return [
        {
            "ResizeByShort": {
                "short_size": 256,
                "max_size": -1,
                "interp": "LINEAR",
                **(resize or {}),
            }
        },
        {"CenterCrop": {"crop_size": 224}},
        {"Normalize": {"mean": MEAN, "std": STD, "is_scale": True, **(normalize or {})}},
    ]


@pytest.mark.parametrize(
    ("operators", "changed"),
    [
        (clas(), {}),
        (paddlex(), {}),
        (paddlex({"interp": "CUBIC", "max_size": -1}), {"interpolation": "bicubic"}),
        (paddlex({"short_size": 300}), {"resize_short": 300}),
        (clas({"interpolation": "bicubic", "backend": "pil"}), PILLOW_BICUBIC),
        (clas({"interpolation": None, "backend": "PIL"}), {"library": "pillow"}),
        (clas({"interpolation": 2}), {"interpolation": "bicubic"}),
        (clas({"interpolation": 2, "backend": "pil"}), {"library": "pillow"}),
        (clas({"resize_short": 292.0}, {"size": [256, 256]}), {"resize_short": 292, "crop": 256}),
        (clas(normalize={"scale": 0.00392157, "order": "hwc", "channel_num": 3}), {}),
        (clas(normalize={"scale": "1/255", "mean": None}), {}),
        (clas(normalize={"scale": 1, "mean": [127.5] * 3}), {"mean": HALVES, "std": OF_PIXELS}),
        (
            [{"type": "ResizeImage", "resize_short": 256}, *clas()[2:]],
            {},
        ),
    ],
)  # fmt: skip
def test_operators_are_understood(operators, changed):
    assert preprocess_of(operators, "x.yml") == Preprocess(**changed)


@pytest.mark.parametrize(("given", "scale"), [(1.0, 1.0), ("2/255.", 2 / 255), (0.01, 0.01)])
def test_any_scale_computes_what_paddleclas_does(given, scale):
    mean, std = [10.0, 0.5, -3.0], [60.0, 0.25, 7.0]
    made = preprocess_of(clas(normalize={"scale": given, "mean": mean, "std": std}), "x.yml")
    crops = np.arange(256, dtype=np.uint8).repeat(3).reshape(1, 16, 16, 3)
    expected = (crops.astype(np.float64) * scale - mean) / std
    np.testing.assert_allclose(
        made.normalize(crops).transpose(0, 2, 3, 1), expected, rtol=1e-5, atol=1e-4
    )


@pytest.mark.parametrize("scaled", [True, False])
def test_paddlex_bounds_compute_what_it_does(scaled):
    low, high, mean, std = [10.0, 0.0, 5.0], [210.0, 255.0, 105.0], [0.1, 0.2, 0.3], [0.5, 2.0, 1.0]
    given = {"min_val": low, "max_val": high, "mean": mean, "std": std, "is_scale": scaled}
    made = preprocess_of(paddlex(normalize=given), "model.yml")
    crops = np.arange(256, dtype=np.uint8).repeat(3).reshape(1, 16, 16, 3)
    span = np.subtract(high, low) if scaled else 1
    expected = ((crops.astype(np.float64) - low) / span - mean) / std
    np.testing.assert_allclose(
        made.normalize(crops).transpose(0, 2, 3, 1), expected, rtol=1e-5, atol=1e-4
    )


@pytest.mark.parametrize(
    ("operators", "words"),
    [
        (clas({"resize_short": None, "size": 224}), ["ResizeImage", "stretches"]),
        (clas({"resize_short": -256}), ["resize_short", "-256"]),
        (clas({"resize_short": True}), ["resize_short", "True"]),
        (clas({"resize_short": "big"}), ["'big'"]),
        (clas({"resize_short": 10**9}), ["1000000000"]),
        (clas(crop={"size": -224}), ["CropImage", "-224"]),
        (clas(crop={"size": [224, 200]}), ["[224, 200]"]),
        (clas(crop={"size": 300}), ["300", "256"]),
        (clas({"interpolation": "nearest"}), ["interpolation", "'nearest'", "bilinear"]),
        (clas({"interpolation": 77}), ["77"]),
        (clas({"interpolation": ["bilinear"]}), ["interpolation"]),
        (clas({"backend": "tf"}), ["backend", "'tf'"]),
        (clas(normalize={"channel_num": 4}), ["channel_num", "4"]),
        (clas(normalize={"mean": [0.5, 0.5]}), ["mean has 2"]),
        (clas(normalize={"mean": "0.5"}), ["mean"]),
        (clas(normalize={"mean": [0.5, float("nan"), 0.5]}), ["mean has nan"]),
        (clas(normalize={"std": [0.5, 0.0, 0.5]}), ["std"]),
        (clas(normalize={"std": [0.5, float("inf"), 0.5]}), ["std has inf"]),
        (clas(normalize={"std": [10**400] * 3}), ["a huge number"]),
        (clas(normalize={"scale": "__import__('os').system('x')"}), ["scale"]),
        (clas(normalize={"scale": "1/0"}), ["scale"]),
        (clas(normalize={"scale": 0}), ["scale", "above 0"]),
        (paddlex({"max_size": 500}), ["max_size"]),
        (paddlex(normalize={"min_val": [255] * 3}), ["max_val is not above min_val"]),
        ([{"DecodeImage": {"to_rgb": False}}, *clas()[1:]], ["BGR"]),
        ([{"RandCropImage": {"size": 224}}, *clas()], ["RandCropImage"]),
        ([{"Resize": {"target_size": 224}}, *paddlex()[1:]], ["Resize: stretches"]),
        (clas()[:2] + clas()[3:], ["has no CropImage or CenterCrop"]),
        (clas()[:3], ["has no NormalizeImage"]),
        ([*clas(), {"CropImage": {"size": 3}}], ["CropImage", "twice"]),
        ([clas()[2], clas()[1], clas()[3]], ["ResizeImage", "too late"]),
        ([{"ResizeImage": 256}, *clas()[2:]], ["ResizeImage", "256"]),
        ([{"ResizeImage": {}, "CropImage": {}}], ["a dict of 2"]),
        ("ResizeImage", ["no list of operators"]),
        ({"a": 1}, ["no list of operators"]),
        ([3], ["3 is no operator"]),
    ],
)
def test_what_is_not_done_here_is_a_sentence(operators, words):
    with pytest.raises(UserError) as refused:
        preprocess_of(operators, "x.yml: PreProcess")
    assert str(refused.value).startswith("x.yml: PreProcess")
    for word in words:
        assert word in str(refused.value)
