"""Photos streamed without a cache: the same input, in order, and the unreadable ones named."""

from pathlib import Path

import numpy as np
import pytest

from common.errors import UserError
from data import stream
from data.images import ImageSet
from data.preprocess import Preprocess
from data.stream import Stream
from tests.colours import write_photos


def opened(root: Path) -> ImageSet:
    return ImageSet.open(root, 3)


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> Path:
    return write_photos(tmp_path_factory.mktemp("photos") / "colours", per_class=20)


class TestStream:
    def test_gives_what_the_model_is_fed_in_the_order_asked_for(self, photos, monkeypatch):
        monkeypatch.setattr(stream, "CHUNK", 4)
        monkeypatch.setattr(stream, "BATCH", 3)
        images, preprocess = opened(photos), Preprocess(resize_short=36, crop=32)
        rows = [30, 2, 59, 3, 4, 5, 11]
        seen = list(Stream(images, preprocess).batches(rows, "test"))
        assert np.concatenate([kept for kept, _ in seen]).tolist() == rows
        for row, photo in zip(rows, np.concatenate([batch for _, batch in seen]), strict=True):
            crop = preprocess.crop_photo(preprocess.decode(images.paths[row].read_bytes()))
            np.testing.assert_array_equal(photo, preprocess.normalize(crop[None])[0])

    def test_names_all_photos_that_cannot_be_read(self, tmp_path):
        root = write_photos(tmp_path / "colours", 4)
        for name in ("blue/001.png", "red/003.png"):
            (root / name).write_text("no photo")
        photos_streamed = Stream(opened(root), Preprocess())
        with pytest.raises(UserError, match=r"2 of 12 .*001\.png.*003\.png.*--skip-bad"):
            list(photos_streamed.batches(range(12), "test"))

    def test_leaves_them_out_when_told_to(self, tmp_path):
        root = write_photos(tmp_path / "colours", 4)
        (root / "red/003.png").write_text("no photo")
        photos_streamed = Stream(opened(root), Preprocess(), skip_bad=True)
        rows = np.concatenate([rows for rows, _ in photos_streamed.batches(range(12), "test")])
        assert rows.tolist() == list(range(11))
        assert list(photos_streamed.bad) == [11]
