"""The published recipes, and the learning rates that follow from them."""

import math
from dataclasses import replace
from fnmatch import fnmatch

import pytest

from common.errors import UserError
from models.registry import MODELS
from training.recipes import learning_rate, recipe

TWINS = [name for name, spec in MODELS.items() if spec.family == "twins"]


@pytest.mark.parametrize("name", MODELS)
def test_every_model_has_a_recipe_for_its_own_photos(name):
    published, preprocess = recipe(name), MODELS[name].preprocess
    assert published.crop == preprocess.crop
    assert (published.interpolation, published.library) == (
        preprocess.interpolation,
        preprocess.library,
    )
    assert len(published.lr) == 1 + len(published.decay_epochs)
    hash(published)


@pytest.mark.parametrize(
    ("name", "epochs", "batch", "lr", "weight_decay"),
    [
        ("AlexNet", 120, 64, 0.01, 1e-4),
        ("SqueezeNet1_0", 120, 128, 0.02, 1e-4),
        ("SqueezeNet1_1", 120, 128, 0.02, 1e-4),
        ("VGG11", 90, 128, 0.1, 2e-4),
        ("VGG13", 90, 64, 0.01, 3e-4),
        ("VGG16", 90, 64, 0.01, 4e-4),
        ("VGG19", 150, 64, 0.01, 4e-4),
        ("DarkNet53", 200, 64, 0.1, 1e-4),
        ("ResNeSt50", 300, 64, 0.1, 7e-5),
        ("ResNeSt50_fast_1s1x64d", 300, 64, 0.1, 7e-5),
        ("RegNetX_4GF", 120, 64, 0.1, 1e-4),
        *((name, 300, 128, 1e-3, 0.05) for name in TWINS),
    ],
)
def test_published_figures(name, epochs, batch, lr, weight_decay):
    found = recipe(name)
    assert (found.epochs, found.batch, found.lr[0], found.weight_decay) == (
        epochs,
        batch,
        lr,
        weight_decay,
    )


def test_what_makes_the_later_recipes_different():
    assert recipe("DarkNet53").mixup == 0.2
    assert recipe("DarkNet53").label_smoothing == 0.1
    assert recipe("DarkNet53").crop == 256
    assert recipe("ResNeSt50") == recipe("ResNeSt50_fast_1s1x64d")
    assert recipe("ResNeSt50").auto_augment == "imagenet"
    assert recipe("RegNetX_4GF").decay_epochs == (30, 60, 90)


def test_the_twins_differ_in_their_drop_path_only():
    rates = {name: recipe(name).drop_path for name in TWINS}
    assert list(rates.values()) == [0.2, 0.3, 0.5, 0.2, 0.3, 0.5]
    assert len({replace(recipe(name), drop_path=0.0) for name in TWINS}) == 1
    twins = recipe("pcpvt_small")
    assert (twins.optimizer, twins.betas, twins.epsilon) == ("adamw", (0.9, 0.999), 1e-8)
    assert (twins.mixup, twins.cutmix, twins.switch_probability) == (0.8, 1.0, 0.5)
    assert (twins.rand_augment, twins.random_erasing) == ((9, 0.5), 0.25)


@pytest.mark.parametrize("name", ["pcpvt_small", "alt_gvt_small"])
def test_twins_weight_decay_spares_norms_biases_and_positional_convolutions(name):
    def decayed(parameter: str) -> bool:
        return not any(fnmatch(parameter, pattern) for pattern in recipe(name).no_decay)

    parameters = {
        parameter: tuple(value.shape)
        for parameter, value in MODELS[name].build(class_num=2).named_parameters()
    }
    assert not any(decayed(parameter) for parameter, shape in parameters.items() if len(shape) == 1)
    spared = [p for p, shape in parameters.items() if len(shape) > 1 and not decayed(p)]
    assert spared == [f"pos_block.{stage}.proj.0.weight" for stage in range(4)]


def test_an_unknown_model():
    with pytest.raises(UserError, match="unknown model 'VGG15': did you mean VGG1"):
        recipe("VGG15")


# ---- learning rates ----


@pytest.mark.parametrize(
    ("epoch", "lr"), [(0, 0.01), (29.9, 0.01), (30, 1e-3), (60, 1e-4), (90, 1e-5), (119, 1e-5)]
)
def test_step_decay(epoch, lr):
    assert learning_rate(recipe("AlexNet"), round(epoch * 10), 10) == lr


def test_cosine():
    squeezenet = recipe("SqueezeNet1_1")
    assert learning_rate(squeezenet, 0, 100) == 0.02
    assert learning_rate(squeezenet, 60 * 100, 100) == pytest.approx(0.01)  # half way
    assert learning_rate(squeezenet, 40 * 100, 100) == pytest.approx(0.015)  # cos 60° = ½
    last = 0.01 * (1 + math.cos(math.pi * 11999 / 12000))
    assert learning_rate(squeezenet, 11999, 100) == pytest.approx(last)


def test_warm_up_then_cosine_to_the_least():
    twins = recipe("pcpvt_small")
    assert learning_rate(twins, 0, 10, devices=8) == pytest.approx(2e-6)
    assert learning_rate(twins, 25, 10, devices=8) == pytest.approx((2e-6 + 1e-3) / 2)
    assert learning_rate(twins, 50, 10, devices=8) == pytest.approx(1e-3)
    half_way = 50 + 2950 // 2
    assert learning_rate(twins, half_way, 10, devices=8) == pytest.approx((2e-5 + 1e-3) / 2)
    assert learning_rate(twins, 3000, 10, devices=8) == pytest.approx(2e-5)


def test_devices_scale_the_rate_where_the_page_says_so():
    twins, squeezenet = recipe("alt_gvt_base"), recipe("SqueezeNet1_0")
    assert learning_rate(twins, 700, 10, 4) == learning_rate(twins, 700, 10, 8) / 2
    assert learning_rate(squeezenet, 700, 10, 4) == learning_rate(squeezenet, 700, 10, 1)


def test_fewer_epochs_keep_the_curve():
    for name in ("AlexNet", "SqueezeNet1_1", "pcpvt_small"):
        published = recipe(name)
        short = published.shortened(published.epochs // 10)
        for epoch in range(short.epochs):
            assert learning_rate(short, epoch * 100, 100) == pytest.approx(
                learning_rate(published, epoch * 1000, 100)
            )


def test_another_height_keeps_the_shape_and_no_device_changes_it():
    twins = recipe("pcpvt_small").with_lr(5e-4)
    assert learning_rate(twins, 50, 10, devices=1) == pytest.approx(5e-4)
    assert learning_rate(twins, 0, 10, devices=4) == pytest.approx(1e-6)
    assert recipe("AlexNet").with_lr(0.1).lr == pytest.approx((0.1, 0.01, 0.001, 0.0001))
