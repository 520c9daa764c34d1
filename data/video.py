"""The frames of a video as photos without labels: one a second, kept in the user's cache.

Frames that follow each other are nearly the same photo, which would make any statement about many
photos look better founded than it is; a second apart they are at least not equal.
"""

import os
from pathlib import Path

from common import files
from common.console import say
from common.errors import StepError, UserError
from common.files import atomic_folder, locked
from common.hashes import cached_sha256
from common.paths import cache_root
from data.photo_files import Holding, printable
from runtimes.worker import Worker

MOST = 1000  # frames: some 0.5 GB of those of full HD
_SUFFIXES = (
    *(".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".3gp", ".wmv", ".flv"),
    *(".mts", ".m2ts", ".ogv"),
)
_QUALITY = 95  # of JPEG, in percent: PNG would take ten times the space
_USUAL, _FASTEST = 25.0, 1000.0  # frames a second: where a file does not say, or cannot be right
_LIMIT = 3600.0  # seconds that decoding may take
_FACTS = "frames.json"


def is_video(path: Path) -> bool:
    """Whether a file is a video, by its name."""
    return path.suffix.lower() in _SUFFIXES and path.is_file()


def frames_of(video: Path) -> Holding:
    """Frames of a video, a second apart, or further where that would be more than MOST.

    Decoded once; UserError where OpenCV cannot read it.
    """
    folder = cache_root() / "video-frames" / f"{cached_sha256(video)[:32]}-{MOST}"
    facts = _facts(folder)
    if facts is None:
        with locked(folder.with_suffix(".lock")):
            facts = _facts(folder)
            if facts is None:
                with atomic_folder(folder) as scratch:
                    facts = _in_child(video, scratch)
                    files.write_json(scratch / _FACTS, facts)
    note = (
        f"one in {facts['step']} of {facts['frames']} frames; those of one scene are alike, and "
        "decide less than as many photos of different things"
    )
    return Holding(sorted(folder.glob("*.jpg")), None, note=note)


def _facts(folder: Path) -> dict[str, int] | None:
    """What is known of frames that are there, all of them."""
    facts = files.read_json(folder / _FACTS)
    try:
        there = len(list(folder.glob("*.jpg")))
        return facts if facts and facts["written"] == there > 0 else None
    except (KeyError, TypeError):
        return None


def _in_child(video: Path, folder: Path) -> dict[str, int]:
    say(f"  {printable(video.name)}: taking frames out of the video")
    label = f"{printable(video)}: the video cannot be decoded"
    remedy = f"ffmpeg -i {video.name} -vf fps=1 frames/%06d.jpg, and DATA=frames"
    try:
        with Worker("main", label) as worker:
            facts = worker.call(
                _write_frames, limit=_LIMIT, video=video.absolute(), folder=folder, most=MOST
            )
    except StepError as error:
        raise UserError(f"{error}; write its frames as photos: {remedy}") from None
    if not facts["written"]:
        raise UserError(f"{label}; write its frames as photos: {remedy}")
    return facts


def _write_frames(video: Path, folder: Path, most: int) -> dict[str, int]:
    """Write frames as JPEG, evenly spaced; how many frames there are, every which was taken, and
    how many were written."""
    import cv2

    total, rate = _length(video)
    step = max(1, round(rate), -(-total // most))
    capture, written, at = cv2.VideoCapture(os.fspath(video)), 0, 0
    while capture.grab():
        if at % step == 0 and written < most:
            whole, frame = capture.retrieve()
            name = folder / f"{at:08}.jpg"
            if whole and cv2.imwrite(str(name), frame, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY]):
                written += 1
        at += 1
    capture.release()
    return {"frames": at, "step": step, "written": written}


def _length(video: Path) -> tuple[int, float]:
    """How many frames there are, counted where the file does not say, and how many a second."""
    import cv2

    capture = cv2.VideoCapture(os.fspath(video))
    total, rate = int(capture.get(cv2.CAP_PROP_FRAME_COUNT)), capture.get(cv2.CAP_PROP_FPS)
    if total <= 0:
        total = sum(1 for _ in iter(capture.grab, False))
    capture.release()
    return total, rate if 0 < rate < _FASTEST else _USUAL
