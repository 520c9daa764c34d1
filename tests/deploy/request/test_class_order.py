"""Photos whose classes are numbered as a checkpoint of others numbers its own."""

import pytest

from common import files
from convert.artifact import Artifact
from convert.builds import NAMES
from data.images import ImageSet
from deploy.request.judging import numbered_as


@pytest.fixture
def graph(tmp_path) -> Artifact:
    folder = tmp_path / "inference"
    folder.mkdir()
    files.write_json(folder / NAMES, ["dog", "cat", "bird"])
    return Artifact(folder, {"model": "VGG11", "build": "VGG11-pets"})


def a_set(paths, names):
    return ImageSet("pets", paths, [0, 1, 2], names)


def test_class_folders_count_as_the_models_classes(graph, tmp_path, capsys):
    for name in ("bird", "cat", "dog"):
        (tmp_path / "pets" / name).mkdir(parents=True)
        (tmp_path / "pets" / name / "1.png").write_bytes(b"\x89PNG\r\n\x1a\n" + name.encode())
    images = numbered_as(graph, ImageSet.open(tmp_path / "pets", 3))
    told = {
        path.parent.name: label for path, label in zip(images.paths, images.labels, strict=True)
    }
    assert told == {"dog": 0, "cat": 1, "bird": 2}
    assert images.class_names == ["dog", "cat", "bird"]
    assert "numbered as those of VGG11-pets" in capsys.readouterr().err


def test_other_names_are_a_warning(graph, capsys):
    images = numbered_as(graph, a_set([], ["chat", "chien", "oiseau"]))
    assert images.labels == [0, 1, 2]
    said = capsys.readouterr().err
    assert "warning: pets calls its classes chat, chien, oiseau, and VGG11-pets dog, cat" in said


def test_what_has_no_names_or_the_same_stays_as_it_is(graph, tmp_path, capsys):
    for names in (None, ["dog", "cat", "bird"]):
        images = a_set([], names)
        assert numbered_as(graph, images) is images
    assert numbered_as(Artifact(tmp_path, {}), a_set([], ["a", "b", "c"])).labels == [0, 1, 2]
    assert capsys.readouterr().err == ""
