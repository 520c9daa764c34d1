"""The frames of a video, as photos without labels."""

import cv2
import numpy as np
import pytest

from common.console import say_once
from common.errors import UserError
from data import video
from data.crops import load_crops
from data.images import ImageSet
from data.photo_folders import AS_FOUND, EITHER
from data.preprocess import Preprocess


@pytest.fixture
def clip(tmp_path):
    """Makes a video of 10 frames a second whose frames grow lighter: `clip(45)`."""
    say_once.cache_clear()

    def make(frames: int):
        path = tmp_path / "clip.avi"
        writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10.0, (64, 48))
        for number in range(frames):
            writer.write(np.full((48, 64, 3), 5 * number, np.uint8))
        writer.release()
        return path

    return make


def test_a_frame_a_second(clip, capsys):
    images = ImageSet.open(clip(45), labels=AS_FOUND)
    assert (images.name, len(images), images.labels) == ("clip.avi", 5, None)
    said = capsys.readouterr().err.splitlines()[-1]
    assert "clip.avi: 5 photos without labels (one in 10 of 45 frames; those of one scene" in said
    crops = load_crops(images, Preprocess()).array.mean((1, 2, 3))
    np.testing.assert_allclose(crops, [0, 50, 100, 150, 200], atol=3)


def test_a_long_one_is_taken_at_longer_steps(clip, monkeypatch):
    monkeypatch.setattr(video, "MOST", 3)
    images = ImageSet.open(clip(45), labels=EITHER)
    assert [path.name for path in images.paths] == ["00000000.jpg", "00000015.jpg", "00000030.jpg"]


def test_frames_are_taken_once_and_again_where_one_is_gone(clip, capsys):
    path = clip(25)
    images = ImageSet.open(path, labels=AS_FOUND)
    again = ImageSet.open(path, labels=AS_FOUND)
    assert capsys.readouterr().err.count("taking frames out") == 1
    assert images.hashes == again.hashes
    images.paths[1].unlink()
    assert ImageSet.open(path, labels=AS_FOUND).hashes == images.hashes


def test_what_needs_labels_takes_no_video(clip):
    with pytest.raises(UserError, match="frames of a video have no labels, which this needs"):
        ImageSet.open(clip(1))


def test_what_is_no_video_is_said_with_a_way_out(tmp_path, capfd):
    (tmp_path / "clip.mp4").write_bytes(b"no video" * 100)
    with pytest.raises(UserError, match=r"clip\.mp4: the video cannot be decoded; .* fps=1"):
        ImageSet.open(tmp_path / "clip.mp4", labels=AS_FOUND)
    assert "moov" not in capfd.readouterr().err
