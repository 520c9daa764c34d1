"""Builds: one checkpoint each, what they are called, and how a user names them."""

import pytest

from common import files
from common.errors import UserError
from convert import builds
from convert.artifact import Build, Step, produce
from convert.builds import Chosen, choose, place, weights_of, words_for
from models.registry import MODELS
from models.state import write_state
from models.weights import Weights, random_state

SPEC = MODELS["SqueezeNet1_1"]


@pytest.fixture
def checkpoint(tmp_path, monkeypatch, build_folder):
    """Make a checkpoint of so many classes in the weights folder: `checkpoint("flowers", 6)`."""
    monkeypatch.setenv("WEIGHTS_DIR", str(tmp_path / "weights"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def make(name: str, classes: int = 1000, suffix: str = ".safetensors") -> Weights:
        path = tmp_path / "weights" / f"{name}{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_state(path, random_state({"out.weight": (4, classes), "out.bias": (classes,)}))
        return of_file(path)

    return make


def of_file(path) -> Weights:
    return Weights(SPEC.name, "file", path, files.sha256(path))


def word(origin: str) -> Weights:
    return Weights(SPEC.name, origin, None, files.sha256_of([origin]))


def put(weights: Weights, class_num: int, name: str | None = None) -> str:
    """Leave what an export leaves, as far as names matter; returns the name of the build."""
    name = place(SPEC, weights, class_num, name)
    step = Step(
        *("export", Build(SPEC.name, name), "inference", "fp32", {"weights": weights.sha256}),
        *({"class_num": class_num}, {}, ()),
    )

    def make(folder):
        (folder / builds.PARAMETERS).write_bytes(b"parameters")
        path = str(weights.path.resolve()) if weights.path else None
        facts = {"weights": weights.label, "weights_sha256": weights.sha256, "weights_path": path}
        return {**facts, "class_num": class_num}

    produce(step, make, shows=builds.PARAMETERS)
    return name


@pytest.mark.parametrize(
    ("name", "classes", "expected"),
    [
        ("SqueezeNet1_1_pretrained", 1000, "SqueezeNet1_1"),
        ("SqueezeNet1_1", 1000, "SqueezeNet1_1"),
        ("fixtures/SqueezeNet1_1_pretrained", 10, "SqueezeNet1_1-fixtures"),
        ("SqueezeNet1_1_flowers", 6, "SqueezeNet1_1-flowers"),
        ("SqueezeNet1_1_flowers/best", 6, "SqueezeNet1_1-flowers"),
        ("my net, v2", 1000, "SqueezeNet1_1-my_net_v2"),
    ],
)
def test_published_weights_have_the_models_folder_and_others_their_own(
    checkpoint, name, classes, expected
):
    assert put(checkpoint(name, classes), classes) == expected


def test_a_name_of_signs_alone_is_the_contents(checkpoint):
    weights = checkpoint("花/最好", 6)
    assert put(weights, 6) == f"SqueezeNet1_1-{weights.sha256[:8]}"


def test_published_weights_of_two_kinds_do_not_share_a_folder(checkpoint, capsys):
    assert put(word("demo"), 1000) == SPEC.name
    assert put(word("official"), 1000) == "SqueezeNet1_1-official"
    assert "holds the files of demo weights, so these go to" in capsys.readouterr().err
    assert put(word("demo"), 1000) == SPEC.name
    assert put(word("random"), 1000) == "SqueezeNet1_1-random"


def test_two_checkpoints_of_one_name_do_not_share_a_folder(checkpoint):
    put(checkpoint("a/flowers", 6), 6)
    with pytest.raises(UserError, match="NAME=SqueezeNet1_1-flowers-2") as error:
        put(checkpoint("b/flowers", 5), 5)
    assert "a/flowers.safetensors" in str(error.value)
    assert put(checkpoint("b/flowers", 5), 5, "others") == "others"
    with pytest.raises(UserError, match="NAME=others-2"):
        put(checkpoint("a/flowers", 6), 6, "others")


def test_what_is_not_lost_is_replaced_and_what_was_measured_kept(checkpoint, build_folder, capsys):
    put(checkpoint("flowers", 6), 6)
    results = build_folder / "SqueezeNet1_1-flowers" / "results"
    results.mkdir()
    (results / "onnx-fp32.json").write_text("measured")
    former = builds.exported("SqueezeNet1_1-flowers").facts["weights_sha256"]
    assert put(checkpoint("flowers", 7), 7) == "SqueezeNet1_1-flowers"
    assert "flowers.safetensors has changed since it was exported" in capsys.readouterr().err
    assert not (results / "onnx-fp32.json").exists()
    assert (results / f"of-{former[:12]}" / "onnx-fp32.json").read_text() == "measured"

    assert put(word("random"), 1000) == put(word("demo"), 1000) == SPEC.name
    assert "SqueezeNet1_1 was of random weights" in capsys.readouterr().err


# ---- what a user names ----


def test_a_build_is_named_instead_of_its_model(checkpoint):
    weights = checkpoint("SqueezeNet1_1_flowers", 6)
    name = "SqueezeNet1_1-flowers"
    for found in (choose(name), choose(None, name)):  # before there is any build of it
        assert (found.spec, found.folder) == (SPEC, name)
        assert weights_of(found, None).sha256 == weights.sha256
    put(weights, 6)
    put(weights, 6, "mine")
    assert choose(None, "mine") == choose("mine") == Chosen(SPEC, "mine")
    assert weights_of(choose("mine"), None).path == weights.path
    assert builds.class_count(weights) == 6
    assert list(builds.builds()) == [name, "mine"]
    assert choose(SPEC.name, "other") == Chosen(SPEC, "other")
    named = choose(SPEC.name, SPEC.name)  # as the model, whatever the weights
    assert put(weights, 6, named.name) == SPEC.name


def test_two_checkpoints_that_would_be_called_alike_are_told_apart(checkpoint):
    adapted = checkpoint("SqueezeNet1_1_flowers", 6)
    assert words_for(SPEC, adapted.file) == "MODEL=SqueezeNet1_1-flowers"
    trained = checkpoint("SqueezeNet1_1_flowers/best", 5)
    with pytest.raises(UserError, match=r"best\.safetensors would both be SqueezeNet1_1-flowers"):
        choose("SqueezeNet1_1-flowers")
    assert words_for(SPEC, trained.file) == f"MODEL={SPEC.name} WEIGHTS={trained.path}"


def test_a_renamed_folder_is_the_build_of_its_new_name(checkpoint, build_folder):
    put(word("demo"), 1000)
    (build_folder / SPEC.name).rename(build_folder / "kept")
    assert builds.exported("kept").build == Build(SPEC.name, "kept")
    assert builds.exported(SPEC.name) is None


@pytest.mark.parametrize(
    ("model", "name", "words"),
    [
        (None, None, "no model is named"),
        ("SqueezeNet1_1-flowres", None, "did you mean SqueezeNet1_1-flowers"),
        (None, "flowres", "unknown model 'flowres', and no build here is called so"),
        ("../weights", None, "unknown model"),
        (SPEC.name, "../weights", "cannot be the name of a build"),
        (SPEC.name, "apk", "cannot be the name of a build"),
        (SPEC.name, "a b", "cannot be the name of a build"),
        (SPEC.name, "VGG16", "VGG16 is a model's name"),
        ("VGG16", "mine", "mine is a build of SqueezeNet1_1, not of VGG16"),
    ],
)
def test_names_that_are_none_are_refused(checkpoint, model, name, words):
    put(checkpoint("SqueezeNet1_1_flowers", 6), 6)
    put(word("demo"), 1000, "mine")
    with pytest.raises(UserError, match=words) as error:
        choose(model, name)
    assert "\n" not in str(error.value)


def test_a_checkpoint_that_has_changed_is_told_of(checkpoint, capsys):
    put(checkpoint("flowers", 6), 6)
    graph = builds.exported("SqueezeNet1_1-flowers")
    capsys.readouterr()
    builds.say_if_changed(graph)
    assert capsys.readouterr().err == ""
    checkpoint("flowers", 7)
    builds.say_if_changed(graph)
    assert "make export MODEL=SqueezeNet1_1-flowers" in capsys.readouterr().err
