"""The 17 networks take the published checkpoints and compute what these were trained for."""

import json

import numpy as np
import paddle
import pytest

from models import alexnet, darknet, layers, regnet, resnest, squeezenet, twins, vgg
from tests.conftest import SHARED
from tests.models import parity
from tests.models.outline import digest, outline, shapes_of

BUILDERS = {
    builder.__name__: builder
    for builder in (
        alexnet.AlexNet,
        squeezenet.SqueezeNet1_0,
        squeezenet.SqueezeNet1_1,
        vgg.VGG11,
        vgg.VGG13,
        vgg.VGG16,
        vgg.VGG19,
        darknet.DarkNet53,
        resnest.ResNeSt50,
        resnest.ResNeSt50_fast_1s1x64d,
        regnet.RegNetX_4GF,
        twins.pcpvt_small,
        twins.pcpvt_base,
        twins.pcpvt_large,
        twins.alt_gvt_small,
        twins.alt_gvt_base,
        twins.alt_gvt_large,
    )
}
TRACED = ["AlexNet", "SqueezeNet1_1", "ResNeSt50", "RegNetX_4GF", "pcpvt_small", "alt_gvt_small"]
# Where a family has a member without a vector, that one, so that each code path runs.
RESIZED = [
    "AlexNet",
    "SqueezeNet1_0",
    "VGG13",
    "DarkNet53",
    "ResNeSt50",
    "RegNetX_4GF",
    "pcpvt_base",
    "alt_gvt_base",
]


def input_size(name: str) -> int:
    return 256 if name == "DarkNet53" else 224


def logits(net: paddle.nn.Layer, images: np.ndarray) -> np.ndarray:
    with paddle.no_grad():
        return net(paddle.to_tensor(images)).numpy()


@pytest.mark.parametrize("name", BUILDERS)
def test_state_dict_has_the_published_names_and_shapes(name):
    shapes = shapes_of(name)
    if SHARED.is_dir():  # tells which differ
        text = (SHARED / f"facts/state_dict/{name}.json").read_text()
        published = {key: tuple(shape) for key, shape in json.loads(text)["tensors"].items()}
        assert shapes == published
    assert digest(shapes) == parity.PUBLISHED["state_dicts"][name]


@pytest.mark.parametrize("name", parity.PUBLISHED["logits"])
def test_logits_are_the_published_codes(name):
    net = BUILDERS[name]()
    net.eval()
    parity.fill(net)
    measured = logits(net, parity.images(input_size(name)))
    some = np.array(parity.PUBLISHED["logits"][name])
    assert parity.relative_difference(measured[:, :: parity.STEP], some) <= 1e-4
    if SHARED.is_dir():
        every = np.load(SHARED / f"parity/{name}.npy")
        assert parity.relative_difference(measured, every) <= 1e-4


@pytest.mark.parametrize("name", RESIZED)
def test_class_num_is_the_width_of_the_logits(name):
    net = BUILDERS[name](class_num=10)
    net.eval()
    size = input_size(name)
    assert logits(net, np.ones((1, 3, size, size), np.float32)).shape == (1, 10)


@pytest.mark.parametrize("name", TRACED)
def test_traced_graph_suits_every_target(name):
    size = input_size(name)
    spec = paddle.static.InputSpec([None, 3, size, size], "float32", "x")
    net = BUILDERS[name](class_num=10)
    net.eval()
    traced = paddle.jit.to_static(net, input_spec=[spec], full_graph=True)
    operators = traced.forward.concrete_program.main_program.global_block().ops
    names = {operator.name() for operator in operators}
    # Shape arithmetic bloats graphs; Paddle Lite on x86 has no `add_n`.
    assert not [name for name in names if "shape" in name and "reshape" not in name]
    assert "pd_op.add_n" not in names
    # Paddle Lite on x86 computes softmax over any other axis wrongly.
    softmaxes = [operator for operator in operators if operator.name() == "pd_op.softmax"]
    assert all(operator.attrs()["axis"] == -1 for operator in softmaxes)


def test_class_num_changes_nothing_but_the_last_layer():
    for name in BUILDERS:
        full, small = outline(name), outline(name, class_num=10)
        changed = {key for key in full if full[key].shape != small[key].shape}
        assert len(changed) == 2, name
        assert all(10 in small[key].shape for key in changed), name


def test_networks_share_a_process():
    states = [outline(name) for name in (*BUILDERS, *BUILDERS)]
    names = [tensor.name for state in states for tensor in state.values()]
    assert len(names) == len(set(names))


def test_published_dropout_halves_at_inference():
    dropout = layers.published_dropout()
    dropout.eval()
    assert dropout(paddle.ones([1, 4])).tolist() == [[0.5] * 4]


@pytest.mark.parametrize(
    ("builder", "size", "unit"),
    [(twins.pcpvt_small, 240, 32), (twins.alt_gvt_small, 256, 224), (twins.alt_gvt_small, 0, 224)],
)
def test_twins_refuse_a_size_that_leaves_partial_windows(builder, size, unit):
    with pytest.raises(ValueError, match=f"must be a multiple of {unit} pixels, got {size}"):
        builder(class_num=2, size=size)


@pytest.mark.parametrize("builder", [alexnet.AlexNet, vgg.VGG11, twins.pcpvt_small])
def test_images_of_the_wrong_size_are_refused(builder):
    with pytest.raises(ValueError, match=r"expected images of shape \[N, 3, 224, 224\], got"):
        builder(class_num=2)(paddle.zeros([1, 3, 256, 256]))


def test_twins_take_another_size():
    net = twins.pcpvt_small(class_num=3, size=64)
    net.eval()
    assert logits(net, np.ones((2, 3, 64, 64), np.float32)).shape == (2, 3)


def test_drop_path_acts_in_training_only():
    images = parity.images(64)
    plain = twins.pcpvt_small(class_num=3, size=64)
    dropping = twins.pcpvt_small(class_num=3, size=64, drop_path=0.5)
    dropping.set_state_dict(plain.state_dict())
    plain.eval()
    dropping.eval()
    expected = logits(plain, images)
    assert np.array_equal(logits(dropping, images), expected)
    dropping.train()
    assert not np.array_equal(logits(dropping, images), expected)


def test_drop_path_drops_whole_images():
    paddle.seed(1)
    drop = twins._DropPath(0.5)
    kept = drop(paddle.ones([64, 2, 2, 3])).numpy().reshape(64, -1)
    assert set(kept.min(axis=1)) == set(kept.max(axis=1)) == {0.0, 2.0}
    assert np.array_equal(kept.min(axis=1), kept.max(axis=1))


def test_drop_path_rates_grow_linearly():
    net = twins.pcpvt_small(class_num=2, size=64, drop_path=0.3)
    rates = [layer.p for layer in net.sublayers() if isinstance(layer, twins._DropPath)]
    assert np.allclose(rates, np.linspace(0, 0.3, 3 + 4 + 6 + 3))
