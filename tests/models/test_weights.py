import pickle
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from common import fetch
from common.errors import UserError
from common.files import sha256
from common.paths import ROOT, cache_root
from models import demo_weights
from models.registry import MODELS
from models.state import read_state, write_state
from models.weights import (
    Weights,
    available,
    class_count,
    find_weights,
    load_state,
    random_state,
)
from tests.conftest import SHARED, needs_shared, skipped_without_a_registry
from tests.models.outline import shapes_of


@dataclass(frozen=True)
class Spec:
    """As much of a ModelSpec as weights need, with an address that nobody answers."""

    name: str = "SqueezeNet1_1"
    weights_url: str = "http://127.0.0.1:9/SqueezeNet1_1_pretrained.pdparams"


SPEC = Spec()
ALEXNET = Spec("AlexNet", "http://127.0.0.1:9/AlexNet_pretrained.pdparams")

# A network in small: two convolutions with a normalisation, and a classifier of 5 classes.
SHAPES = {
    "conv1.weight": (8, 3, 3, 3),
    "conv1.bias": (8,),
    "norm.weight": (8,),
    "norm.bias": (8,),
    "norm._mean": (8,),
    "norm._variance": (8,),
    "conv2.weight": (16, 8, 1, 1),
    "conv2.bias": (16,),
    "fc.weight": (16, 5),
    "fc.bias": (5,),
}


@pytest.fixture(autouse=True)
def places(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("WEIGHTS_DIR", str(tmp_path / "weights"))
    monkeypatch.setattr(fetch, "FIRST_PAUSE", 0.0)
    (tmp_path / "weights").mkdir()


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "weights"


def put(path: Path, shapes=SHAPES) -> Path:
    write_state(path, random_state(shapes))
    return path


def one_line(error) -> str:
    text = str(error.value)
    assert "\n" not in text
    return text


# ---- finding ----


def test_importing_does_not_import_paddle():
    code = "import sys, models.weights; sys.exit('paddle' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


def test_with_no_weights_at_all_every_option_is_named(folder):
    assert available(SPEC) is None
    with pytest.raises(UserError) as error:
        find_weights(SPEC, None)
    text = one_line(error)
    for option in ("official", "demo", "random", "<file or folder>", str(folder), "WEIGHTS_DIR"):
        assert option in text
    with pytest.raises(UserError) as error:
        find_weights(ALEXNET, "", "INIT")
    assert "demo" not in one_line(error)
    assert "INIT=official" in one_line(error)
    assert "WEIGHTS=" not in one_line(error)  # which such a command has not


@pytest.mark.parametrize(
    "name", ["_pretrained.pdparams", "_pretrained.safetensors", ".pdparams", ".safetensors"]
)
def test_the_weights_folder_is_looked_into_first(folder, name):
    path = put(folder / f"SqueezeNet1_1{name}")
    found = find_weights(SPEC, None)
    assert found == available(SPEC) == Weights("SqueezeNet1_1", "file", path, sha256(path))
    assert found.label == sha256(path)
    assert available(ALEXNET) is None


def test_then_an_official_download_then_the_demo_weights():
    demo = put(demo_weights.demo_path())
    assert available(SPEC).label == "demo"
    official = put(cache_root() / "weights" / "SqueezeNet1_1_pretrained.pdparams")
    found = available(SPEC)
    assert (found.origin, found.path, found.label) == ("official", official, "official")
    official.unlink()
    assert find_weights(SPEC, None).path == demo
    assert available(ALEXNET) is None


def test_an_official_file_that_changed_is_refused():
    official = put(cache_root() / "weights" / "SqueezeNet1_1_pretrained.pdparams")
    available(SPEC)
    put(official, {"other": (1,)})
    with pytest.raises(UserError, match="not the expected file"):
        available(SPEC)


def test_official_without_network_says_where_to_put_the_file():
    with pytest.raises(UserError) as error:
        find_weights(SPEC, "official")
    expected = cache_root() / "weights" / "SqueezeNet1_1_pretrained.pdparams"
    assert str(expected) in one_line(error)
    put(expected)
    assert find_weights(SPEC, "official").label == "official"


def test_a_file_and_a_folder_can_be_named(tmp_path):
    path = put(tmp_path / "elsewhere" / "SqueezeNet1_1.pdparams")
    by_file, by_folder = find_weights(SPEC, str(path)), find_weights(SPEC, str(path.parent))
    assert by_file == by_folder == Weights("SqueezeNet1_1", "file", path, sha256(path))
    with pytest.raises(UserError, match=r"AlexNet_pretrained\.pdparams or .* is expected"):
        find_weights(ALEXNET, str(path.parent))


def test_a_home_folder_is_expanded(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    path = put(tmp_path / "mine.pdparams")
    assert find_weights(SPEC, "~/mine.pdparams").path == path


def test_a_missing_file_or_a_mistyped_word_says_what_to_do():
    with pytest.raises(UserError, match=r"no file or folder demmo \(did you mean demo\?\)"):
        find_weights(SPEC, "demmo")
    with pytest.raises(UserError, match=r"absent\.pdparams .*WEIGHTS=official") as error:
        find_weights(SPEC, "/nowhere/absent.pdparams")
    one_line(error)


def test_demo_is_for_one_model_only():
    with pytest.raises(UserError, match="demo weights exist for SqueezeNet1_1 only"):
        find_weights(ALEXNET, "demo")


def test_random_weights_have_no_file_and_a_hash_per_model():
    found = find_weights(SPEC, "random")
    assert (found.origin, found.path, found.label) == ("random", None, "random")
    assert found == find_weights(SPEC, "random")
    assert found.sha256 != find_weights(ALEXNET, "random").sha256


# ---- random values ----


def test_random_values_follow_the_published_recipe():
    state = random_state(SHAPES)
    assert {name: value.shape for name, value in state.items()} == SHAPES
    assert all(value.dtype == np.float32 for value in state.values())
    assert ((state["norm._variance"] >= 0.5) & (state["norm._variance"] <= 1.5)).all()
    assert ((state["norm.weight"] >= 0.8) & (state["norm.weight"] <= 1.2)).all()
    # Written out for one tensor; 1170699990 is the CRC-32 of "conv2.weight".
    generator = np.random.default_rng(1170699990)
    expected = generator.standard_normal((16, 8, 1, 1)) * np.sqrt(2 / 8)
    np.testing.assert_allclose(state["conv2.weight"], expected, rtol=1e-6)


def test_a_tensor_does_not_depend_on_its_neighbours():
    alone = random_state({"fc.weight": [16, 5]})
    np.testing.assert_array_equal(alone["fc.weight"], random_state(SHAPES)["fc.weight"])


# ---- loading ----


def weights(path: Path) -> Weights:
    return Weights("tiny", "file", path, sha256(path))


@pytest.mark.parametrize("suffix", [".pdparams", ".safetensors"])
def test_what_fits_is_loaded_in_the_networks_order(folder, suffix):
    state = random_state(dict(reversed(SHAPES.items())))
    write_state(folder / f"tiny{suffix}", state)
    loaded = load_state(weights(folder / f"tiny{suffix}"), SHAPES)
    assert list(loaded) == list(SHAPES)
    for name, value in loaded.items():
        np.testing.assert_array_equal(value, state[name])


def test_random_weights_are_generated():
    loaded = load_state(find_weights(SPEC, "random"), SHAPES)
    np.testing.assert_array_equal(loaded["fc.bias"], random_state(SHAPES)["fc.bias"])


def test_shapes_may_be_lists(folder):
    path = put(folder / "tiny.pdparams")
    assert load_state(weights(path), {name: list(shape) for name, shape in SHAPES.items()})


def test_a_misfit_names_the_first_few_of_each_kind_and_counts_them(folder):
    shapes = {name: shape for name, shape in SHAPES.items() if not name.startswith("norm")}
    shapes |= {"conv1.weight": (8, 1, 3, 3), "aux.weight": (1,)}
    with pytest.raises(UserError) as error:
        load_state(weights(put(folder / "tiny.pdparams", shapes)), SHAPES)
    assert one_line(error).endswith(
        "tiny.pdparams does not fit tiny: 4 missing (norm.weight, norm.bias, norm._mean, …); "
        "1 extra (aux.weight); 1 of another shape (conv1.weight (8, 1, 3, 3) not (8, 3, 3, 3))"
    )


def test_weights_of_another_network_are_said_to_be_that(folder):
    path = put(folder / "tiny.pdparams", {f"stage_{name}": s for name, s in SHAPES.items()})
    with pytest.raises(UserError, match="belongs to another network than tiny: 10 missing") as e:
        load_state(weights(path), SHAPES)
    assert "10 extra (stage_conv1.weight, stage_conv1.bias, stage_norm.weight, …)" in one_line(e)


def test_another_number_of_classes_has_a_sentence_of_its_own(folder):
    path = put(folder / "tiny.pdparams", SHAPES | {"fc.weight": (16, 10), "fc.bias": (10,)})
    with pytest.raises(UserError, match="has 10 classes, asked for 5; pass CLASSES=10") as error:
        load_state(weights(path), SHAPES)
    one_line(error)


def test_integers_where_floats_belong_are_refused(folder):
    state = random_state(SHAPES)
    state["conv2.weight"] = np.zeros(SHAPES["conv2.weight"], np.int8)
    write_state(folder / "tiny.pdparams", state)
    with pytest.raises(UserError, match=r"conv2\.weight holds int8, not floats"):
        load_state(weights(folder / "tiny.pdparams"), SHAPES)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_not_finite_are_refused(folder, value):
    state = random_state(SHAPES)
    state["norm.bias"][3] = value
    write_state(folder / "tiny.pdparams", state)
    with pytest.raises(UserError, match=r"norm\.bias holds values that are infinite") as error:
        load_state(weights(folder / "tiny.pdparams"), SHAPES)
    one_line(error)


def test_a_truncated_file_is_one_line(folder):
    path = put(folder / "tiny.pdparams")
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(UserError, match="is cut short") as error:
        load_state(weights(path), SHAPES)
    one_line(error)


def test_hostile_names_cannot_break_the_line(folder):
    state = random_state(SHAPES) | {"a\nb\x1b[2J": np.zeros(1, np.float32)}
    (folder / "tiny.pdparams").write_bytes(pickle.dumps(state, 4))
    with pytest.raises(UserError, match=r"1 extra \(a b \[2J\)") as error:
        load_state(weights(folder / "tiny.pdparams"), SHAPES)
    one_line(error)


@pytest.mark.parametrize("model", MODELS)
def test_the_number_of_classes_is_read_from_every_networks_names(model):
    shapes = sorted(shapes_of(model).items(), reverse=True)  # in an order that says nothing
    state = {name: np.broadcast_to(np.float32(0), shape) for name, shape in shapes}
    assert class_count(state) == 1000


def test_a_state_without_a_classifier_says_so():
    with pytest.raises(UserError, match="no layer that could be a classifier"):
        class_count({"norm.weight": np.zeros(4), "norm.bias": np.zeros(4)})


def test_weights_of_the_sibling_are_refused(folder):
    found = find_weights(SPEC, str(put(folder / "theirs.pdparams", shapes_of("SqueezeNet1_0"))))
    with pytest.raises(
        UserError, match=r"does not fit SqueezeNet1_1: .* of another shape"
    ) as error:
        load_state(found, shapes_of("SqueezeNet1_1"))
    one_line(error)
    with pytest.raises(UserError, match="belongs to another network than SqueezeNet1_1"):
        load_state(found, shapes_of("AlexNet"))


# ---- demo weights ----


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """The demo weights in a cache of their own, fetched once."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        with skipped_without_a_registry():
            return find_weights(SPEC, "demo")


def test_demo_weights_are_fetched_converted_and_labelled(demo):
    assert demo.label == "demo"
    assert demo.path.name == "SqueezeNet1_1_demo.pdparams"
    assert demo.sha256 == sha256(demo.path)
    assert class_count(read_state(demo.path)) == 1000


def test_demo_weights_are_the_same_bytes_each_time(demo, tmp_path):
    state = read_state(demo.path)
    write_state(tmp_path / "again.pdparams", state)
    assert sha256(tmp_path / "again.pdparams") == demo.sha256


def test_demo_weights_fit_the_network(demo):
    assert load_state(demo, shapes_of("SqueezeNet1_1"))


@needs_shared
def test_demo_weights_equal_the_known_conversion(demo):
    state = read_state(demo.path)
    known = read_state(SHARED / "data" / "weights" / "SqueezeNet1_1_pretrained.pdparams")
    for name, value in known.items():
        # Only the first layer is computed; the others are moved, or doubled, exactly.
        tolerance = 1e-5 if name.startswith("_conv.") else 0
        np.testing.assert_allclose(state[name], value, rtol=0, atol=tolerance)


def test_the_first_layer_sees_what_caffes_saw():
    generator = np.random.default_rng(2)
    shapes = {"conv1": (3, 3, 3, 64), "conv10": (1, 1, 512, 1000)}
    for fire in range(2, 10):
        shapes |= {f"fire{fire}/{part}": (1, 1, 2, 2) for part in ("squeeze1x1", "expand1x1")}
        shapes[f"fire{fire}/expand3x3"] = (3, 3, 2, 2)
    caffe = {
        name: [generator.standard_normal(shape), generator.standard_normal(shape[-1])]
        for name, shape in shapes.items()
    }
    state = demo_weights.convert(caffe)
    assert {tuple(value.shape) for name, value in state.items() if "_conv1." in name} == {
        (2, 2, 1, 1), (2, 2, 3, 3), (2,),
    }  # fmt: skip
    photo = generator.uniform(0, 255, (3, 3, 3))  # height, width, RGB
    kernel, bias = caffe["conv1"]
    blob = photo[:, :, ::-1] - [104.006, 116.669, 122.679]
    expected = np.einsum("hwi,hwio->o", blob, kernel) + bias
    ours = (photo / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    actual = np.einsum("hwi,oihw->o", ours, state["_conv.weight"]) + state["_conv.bias"]
    np.testing.assert_allclose(actual, expected, rtol=1e-4)
    np.testing.assert_array_equal(
        state["_conv9.weight"][:, :, 0, 0], 2 * caffe["conv10"][0][0, 0].T
    )


def test_a_folder_for_weights_that_is_none(tmp_path, monkeypatch):
    monkeypatch.setenv("WEIGHTS_DIR", str(put(tmp_path / "net.pdparams", {})))
    with pytest.raises(UserError, match=r"net\.pdparams is no folder for weights; name one: WEI"):
        find_weights(SPEC, None)
