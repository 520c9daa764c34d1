"""Which builds the photos of a command are for, where no build is named."""

import pytest

from convert.artifact import Build, Step, produce
from deploy.request.building import choose_builds
from deploy.request.own_photos import with_photos


@pytest.fixture
def two_builds(build_folder, tmp_path, monkeypatch):
    """One of ImageNet's classes, and one of six."""
    monkeypatch.setenv("WEIGHTS_DIR", str(tmp_path / "none"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name, classes in (("VGG16", 1000), ("VGG16-six", 6)):
        step = Step("put", Build("VGG16", name), "inference", "fp32", {}, {}, {}, ())

        def make(folder, classes=classes):
            (folder / "inference.pdiparams").write_bytes(b"parameters")
            return {"class_num": classes, "weights": "a" * 64, "weights_sha256": "a" * 64}

        produce(step, make, shows="inference.pdiparams")
    return choose_builds(None, None, None)


def test_builds_of_other_classes_are_skipped_with_a_word(two_builds, capsys):
    assert [one.folder for one in two_builds] == ["VGG16", "VGG16-six"]
    assert [one.folder for one in with_photos(two_builds, "demo")] == ["VGG16"]
    said = capsys.readouterr().err
    assert "skipped, with other classes than the 1000 of demo's photos: VGG16-six" in said
    assert with_photos(two_builds, "cifar10") == []
    assert with_photos(two_builds, "/any/folder") == two_builds
