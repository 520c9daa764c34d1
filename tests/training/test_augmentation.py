"""What training does to photos: shapes, seeds, areas, and targets that stay probabilities."""

import numpy as np
import pytest

from tests.data.conftest import picture
from training import augmentation
from training.augmentation import Augmentation


def seeded(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


RECIPES = {
    "plain": Augmentation(crop=64),
    "autoaugment": Augmentation(crop=64, auto_augment="imagenet"),
    "twins": Augmentation(64, "bicubic", "pillow", None, (9, 0.5), random_erasing=0.25),
}


@pytest.mark.parametrize("augmentation", RECIPES.values(), ids=RECIPES)
@pytest.mark.parametrize("size", [(200, 100), (9, 300), (1, 1)])
def test_a_crop_of_the_right_size_that_the_seed_decides(augmentation, size):
    photo = picture(*size)
    crops = [augmentation(photo, seeded(seed)) for seed in range(20)]
    for seed, crop in enumerate(crops):
        assert crop.shape == (64, 64, 3)
        assert crop.dtype == np.uint8
        assert crop.flags.c_contiguous
        np.testing.assert_array_equal(crop, augmentation(photo, seeded(seed)))
    if size == (200, 100):
        assert len({crop.tobytes() for crop in crops}) == len(crops)


def test_photos_are_left_as_they_were():
    photo = picture(120, 80)
    before = photo.copy()
    for augment in RECIPES.values():
        for seed in range(30):
            augment(photo, seeded(seed))
    np.testing.assert_array_equal(photo, before)


def test_an_unknown_policy_is_refused():
    with pytest.raises(ValueError, match="auto_augment is 'cifar'"):
        Augmentation(auto_augment="cifar")


# ---- position ----


def test_boxes_have_the_published_areas_and_ratios():
    boxes = [
        augmentation._random_box(300, 400, (0.08, 1.0), (3 / 4, 4 / 3), seeded(seed))
        for seed in range(500)
    ]
    boxes = [box for box in boxes if box]
    assert len(boxes) > 450
    areas = np.array([rows * columns / 120_000 for _, _, rows, columns in boxes])
    ratios = np.array([columns / rows for _, _, rows, columns in boxes])
    assert 0.075 < areas.min() < 0.12
    assert 0.9 < areas.max() <= 1
    assert 0.73 < ratios.min() < 0.8
    assert 1.25 < ratios.max() < 1.37
    for top, left, rows, columns in boxes:
        assert 0 <= top <= 300 - rows
        assert 0 <= left <= 400 - columns


def test_a_strip_gives_the_middle():
    photo = np.zeros((10, 1000, 3), np.uint8)
    photo[:, 493:507] = 200
    assert augmentation.random_resized_crop(photo, 32, seeded()).min() == 200


def test_half_of_the_photos_are_mirrored():
    photo = picture(30, 20)
    flips = [augmentation.random_flip(photo, seeded(seed)) for seed in range(200)]
    mirrored = sum(np.array_equal(flip, photo[:, ::-1]) for flip in flips)
    kept = sum(np.array_equal(flip, photo) for flip in flips)
    assert mirrored + kept == 200
    assert 70 < mirrored < 130


# ---- policies ----


def test_the_policy_is_the_published_table():
    assert len(augmentation._IMAGENET_POLICY) == 25
    assert {name for pair in augmentation._IMAGENET_POLICY for name, _, _ in pair} <= set(
        augmentation._AUTO_AUGMENT
    )
    assert len(augmentation._RAND_AUGMENT) == 15


@pytest.mark.parametrize("name", augmentation._RAND_AUGMENT)
def test_every_operation_changes_the_photo_at_full_strength(name):
    photo = augmentation._to_pillow(picture(40, 40) // 2 + 64)
    changed = augmentation._apply(augmentation._RAND_AUGMENT[name], photo, 1.0, seeded(), "bicubic")
    assert changed.size == photo.size
    assert changed.mode == "RGB"
    assert not np.array_equal(np.asarray(changed), np.asarray(photo))


@pytest.mark.parametrize(
    ("name", "strength", "expected"),
    [
        ("Posterize", 8 / 9, [0, 96, 192]),  # 8 - round(3.6) = 4 bits
        ("Solarize", 0.5, [10, 100, 55]),  # inverts what is 128 and above
        ("Invert", 0.0, [245, 155, 55]),
        ("Color", 0.0, [10, 100, 200]),
    ],
)
def test_operations_against_values_worked_out_by_hand(name, strength, expected):
    pixel = augmentation._to_pillow(np.array([[[10, 100, 200]]], np.uint8))
    changed = augmentation._apply(
        augmentation._AUTO_AUGMENT[name], pixel, strength, seeded(), "bilinear"
    )
    assert np.asarray(changed).ravel().tolist() == expected


def test_rand_augment_adds_to_the_dark_half_only():
    pixel = augmentation._to_pillow(np.array([[[10, 127, 128]]], np.uint8))
    added = augmentation._apply(
        augmentation._RAND_AUGMENT["SolarizeAdd"], pixel, 0.9, seeded(), "bilinear"
    )
    assert np.asarray(added).ravel().tolist() == [109, 226, 128]


def test_rand_augment_leaves_a_quarter_of_the_photos_alone():
    photo = picture(32, 32)
    alone = sum(
        np.array_equal(augmentation.rand_augment(photo, seeded(seed)), photo) for seed in range(300)
    )
    assert 50 < alone < 100


# ---- erasing ----


def test_erasing_puts_noise_into_a_box_of_the_published_area():
    photo = np.zeros((100, 100, 3), np.uint8)
    shares = []
    for seed in range(200):
        changed = (augmentation.random_erasing(photo, seeded(seed)) != photo).any(2)
        rows, columns = changed.any(1), changed.any(0)
        assert changed.sum() > 0.95 * rows.sum() * columns.sum()  # one full box
        shares.append(rows.sum() * columns.sum() / 10_000)
    assert 0.015 < min(shares) < 0.05
    assert 0.28 < max(shares) < 0.345


def test_a_quarter_of_the_photos_is_erased():
    photo = np.zeros((64, 64, 3), np.uint8)
    augmentation = Augmentation(crop=64, random_erasing=0.25)
    erased = sum(augmentation(photo, seeded(seed)).any() for seed in range(400))
    assert 70 < erased < 130


# ---- batches ----


def test_targets_are_smoothed():
    targets = augmentation.soft_targets(np.array([2, 0]), classes=4, smoothing=0.1)
    np.testing.assert_allclose(targets, [[0.025, 0.025, 0.925, 0.025], [0.925] + [0.025] * 3])
    assert targets.dtype == np.float32
    np.testing.assert_array_equal(augmentation.soft_targets(np.array([1]), 3), [[0, 1, 0]])


def flat_batch() -> tuple[np.ndarray, np.ndarray]:
    """Photos of one value each, which is their label: float32 [8, 3, 16, 16]; targets [8, 8]."""
    batch = (
        np.ones((8, 3, 16, 16), np.float32) * np.arange(8, dtype=np.float32)[:, None, None, None]
    )
    return batch, augmentation.soft_targets(np.arange(8), 8)


@pytest.mark.parametrize("function", [augmentation.mixup, augmentation.cutmix])
def test_a_mixed_photo_holds_as_much_of_each_class_as_its_target_says(function):
    for seed in range(20):
        mixed, targets = function(*flat_batch(), 1.0, seeded(seed))
        assert mixed.dtype == targets.dtype == np.float32
        np.testing.assert_allclose(targets.sum(1), 1, rtol=1e-6)
        np.testing.assert_allclose(
            mixed.mean((1, 2, 3)), (targets * np.arange(8)).sum(1), rtol=1e-5, atol=1e-6
        )


@pytest.mark.parametrize("function", [augmentation.mixup, augmentation.cutmix])
def test_mixing_depends_on_the_seed_only_and_leaves_the_batch_alone(function):
    batch, targets = flat_batch()
    first, second = (function(batch, targets, 0.8, seeded(3)) for _ in range(2))
    np.testing.assert_array_equal(first[0], second[0])
    np.testing.assert_array_equal(first[1], second[1])
    np.testing.assert_array_equal(batch, flat_batch()[0])


@pytest.mark.parametrize(
    ("alphas", "cut"), [((1.0, 0.0), {False}), ((0.0, 1.0), {True}), ((0.8, 1.0), {True, False})]
)
def test_one_of_the_two_per_batch(alphas, cut):
    batch, targets = flat_batch()
    kinds = set()
    for seed in range(30):
        mixed, _ = augmentation.mix(batch, targets, seeded(seed), *alphas, 0.5)
        kinds.add(bool((mixed % 1 == 0).all()))  # a box brings whole values, a blend fractions
    assert kinds == cut
    unmixed, same = augmentation.mix(batch, targets, seeded(), 0.0, 0.0, 0.0)
    assert unmixed is batch
    assert same is targets
