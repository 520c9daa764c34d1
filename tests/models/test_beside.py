"""What lies beside a checkpoint of others: found, used and said, or refused in one sentence."""

import json

import pytest

from common.errors import UserError
from data.preprocess import Preprocess
from models.beside import NONE, find_beside, warn_of_init
from models.registry import MODELS
from models.weights import Weights

SPEC = MODELS["SqueezeNet1_1"]
OPERATORS = [
    {"ResizeImage": {"resize_short": 232}},
    {"CropImage": {"size": 192}},
    {"NormalizeImage": {"scale": "1.0/255.0", "mean": [0.5] * 3, "std": [0.5] * 3}},
]
THEIRS = Preprocess(resize_short=232, crop=192, mean=(0.5,) * 3, std=(0.5,) * 3)
NAMES = ("cat", "dog [small]", "猫")


def inference(**more) -> dict:
    return {"PreProcess": {"transform_ops": OPERATORS}, **more}


def topk(**what) -> dict:
    return inference(PostProcess={"Topk": {"topk": 1, **what}})


def training(**more) -> dict:
    loader = {"Eval": {"dataset": {"transform_ops": OPERATORS}}}
    return {"Arch": {"name": SPEC.name, "class_num": 3}, "DataLoader": loader, **more}


PADDLEX = {
    "Model": "SqueezeNet",
    "TransformsMode": "RGB",
    "Transforms": [
        {"ResizeByShort": {"short_size": 232, "max_size": -1}},
        {"CenterCrop": {"crop_size": 192}},
        {"Normalize": {"mean": [0.5] * 3, "std": [0.5] * 3}},
    ],
    "_Attributes": {"num_classes": 3, "labels": list(NAMES)},
}


@pytest.fixture
def weights(tmp_path):
    path = tmp_path / "mine.pdparams"
    path.write_bytes(b"some")
    return Weights(SPEC.name, "file", path, "a" * 64)


def put(weights, name, value) -> None:
    """A file beside the weights; JSON is YAML, too."""
    path = weights.path.parent / name
    path.parent.mkdir(exist_ok=True)
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    path.write_text(text, encoding="utf-8")


@pytest.mark.parametrize(
    ("files", "names"),
    [
        ({"inference.yml": topk(label_list=list(NAMES))}, NAMES),
        ({"inference.yml": topk(label_name_list=list(NAMES))}, NAMES),
        ({"inference.yml": inference()}, None),
        ({"inference/inference.yml": inference(), "label_list.txt": "a\nb\nc"}, ("a", "b", "c")),
        ({"inference.yml": inference(), "label_list.txt": "0 cat\n1 dog [small]\n2 猫\n"}, NAMES),
        ({"inference.yaml": topk(class_id_map_file="/far/away/my.txt"), "my.txt": "2 猫\n0 cat\n"},
         ("cat", "1", "猫")),
        ({"inference.yml": topk(class_id_map_file="C:\\data\\my.txt"),
          "my.txt": "\ufeffcat\r\ndog [small]\r\n猫"}, NAMES),
        ({"inference.yml": topk(class_id_map_file="../imagenet1k_label_list.txt")}, None),
        ({"model.yml": PADDLEX}, NAMES),
        ({"mine.yaml": training()}, None),
        ({"flowers_config.yaml": training(), "labels.txt": "cat\ndog [small]\n猫\n"}, NAMES),
        ({"compose.yml": {"services": {}}, "x.yaml": "a: [", "z.yml": training()}, None),
    ],
)  # fmt: skip
def test_configs_are_used_and_said_with_both_preprocessings(weights, capsys, files, names):
    for name, value in files.items():
        put(weights, name, value)
    found = find_beside(SPEC, weights, 3)
    assert found.preprocess == THEIRS
    assert found.names == names
    said = " ".join(capsys.readouterr().err.split())
    assert "warning: " in said
    assert "crop 192 (published: 224)" in said
    assert "mean (0.5, 0.5, 0.5) (published: (0.485, 0.456, 0.406))" in said
    assert "CONFIG=none" in said


def test_the_published_preprocessing_is_no_warning(weights, capsys):
    operators = [
        {"ResizeImage": {"resize_short": 256}},
        {"CropImage": {"size": 224}},
        {"NormalizeImage": None},
    ]
    put(weights, "inference.yml", {"PreProcess": {"transform_ops": operators}})
    assert find_beside(SPEC, weights, 3).preprocess == SPEC.preprocess
    said = capsys.readouterr().err
    assert "warning" not in said
    assert "inference.yml" in said
    assert "as published" in said


def test_a_list_of_labels_alone_names_the_classes(weights, capsys):
    put(weights, "label_list.txt", "cat\ndog [small]\n猫\n")
    found = find_beside(SPEC, weights, 3)
    assert (found.preprocess, found.names) == (SPEC.preprocess, NAMES)
    assert "label_list.txt" in capsys.readouterr().err


def test_another_file_is_named_and_none_takes_none(weights, tmp_path, capsys):
    put(weights, "inference.yml", "[damaged")
    put(weights, "elsewhere/x.cfg", inference())
    assert find_beside(SPEC, weights, 3, str(tmp_path / "elsewhere" / "x.cfg")).preprocess == THEIRS
    capsys.readouterr()
    assert find_beside(SPEC, weights, 3, NONE).preprocess == SPEC.preprocess
    assert capsys.readouterr().err == ""
    with pytest.raises(UserError, match=r"absent\.yml cannot be read"):
        find_beside(SPEC, weights, 3, str(tmp_path / "absent.yml"))


def test_nothing_is_taken_that_is_of_another(weights, tmp_path, capsys):
    put(weights, "VGG11.yaml", {**training(), "Arch": {"name": "VGG11", "class_num": 3}})
    assert find_beside(SPEC, weights, 3).preprocess == SPEC.preprocess
    assert "VGG11.yaml is of VGG11, not of SqueezeNet1_1: left out" in capsys.readouterr().err
    put(weights, "inference.yml", inference())
    for origin in ("official", "demo", "random"):
        other = Weights(SPEC.name, origin, weights.path, "a" * 64)
        assert find_beside(SPEC, other, 1000).preprocess == SPEC.preprocess
    put(weights, "mine.split.json", {})  # as beside what was trained here
    assert find_beside(SPEC, weights, 3).preprocess == SPEC.preprocess


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("inference.yml", topk(label_list=["a", "b"]), ["is of 2 classes", "tells 3 apart"]),
        ("model.yml", {**PADDLEX, "_Attributes": {"num_classes": 5}}, ["is of 5 classes"]),
        ("mine.yml", {**training(), "Arch": {"class_num": 1000}}, ["is of 1000 classes"]),
        ("label_list.txt", "a\nb\n", ["is of 2 classes"]),
        ("label_list.txt", "0 a\n0 b\n2 c\n", ["twice"]),
        ("label_list.txt", "0 a\n1 b\n3 c\n", ["class 3", "counted from 0"]),
        ("inference.yml", topk(label_list=["a", True, "b"]), ["in quotes"]),
        ("inference.yml", topk(label_list="a b c"), ["no list of texts"]),
        ("inference.yml", topk(label_list=["a", "", "b"]), ["class 1 has no name"]),
        ("inference.yml", {"PreProcess": 5}, ["does not say how photos are prepared"]),
        ("inference.yml", "just text", ["does not say how photos are prepared"]),
        ("inference.yml", {"PreProcess": {"transform_ops": 5}}, ["no list of operators"]),
        ("model.yml", {**PADDLEX, "TransformsMode": "BGR"}, ["BGR"]),
        ("inference.yml", "[damaged", ["line 1"]),
    ],
)
def test_faults_are_a_sentence_that_says_how_to_go_on(weights, name, value, words):
    put(weights, name, value)
    with pytest.raises(UserError) as refused:
        find_beside(SPEC, weights, 3)
    for word in (name, *words, "CONFIG=none"):
        assert word in str(refused.value)


def test_a_list_that_is_no_text(weights):
    weights.path.with_name("labels.txt").write_bytes(b"\x89PNG\r\n\x1a\n\0\0")
    with pytest.raises(UserError, match=r"labels\.txt: .* photos or names is a text file"):
        find_beside(SPEC, weights, 3)


def test_a_training_says_that_it_prepares_photos_otherwise(weights, capsys):
    put(weights, "inference.yml", inference())
    warn_of_init(SPEC, weights)
    assert "crop 192 (published: 224)" in capsys.readouterr().err
    put(weights, "inference.yml", "[damaged")
    warn_of_init(SPEC, weights)
    assert capsys.readouterr().err == ""
