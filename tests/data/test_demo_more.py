"""The demo's photos without labels. Needs the package registry."""

import os

import pytest

from common.errors import UserError
from data import demo_more
from data.images import ImageSet
from data.photo_folders import UNLABELLED
from tests.conftest import skipped_without_a_registry


def test_there_are_90_which_no_run_gathers_twice(monkeypatch):
    with skipped_without_a_registry():
        folder = demo_more.demo_more_photos()
    images = ImageSet.open(folder, labels=UNLABELLED)
    assert (len(images), images.labels) == (90, None)
    assert len(set(images.hashes)) == 90
    assert {"china.jpg", "flower.jpg", "grace_hopper.jpg"} < {path.name for path in images.paths}
    kept = folder.stat().st_ino
    assert demo_more.demo_more_photos().stat().st_ino == kept
    os.truncate(images.paths[0], 20)
    assert demo_more.demo_more_photos().stat().st_ino != kept
    assert images.paths[0].stat().st_size > 20
    monkeypatch.setattr(demo_more, "_SHA256", "0" * 64)
    with pytest.raises(UserError, match="are not the expected ones"):
        demo_more.demo_more_photos()
    assert not list(folder.parent.glob(".demo-more*"))
