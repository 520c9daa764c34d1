"""`make bench-many`: its photos, and how it judges the time left that was shown."""

import pytest

from benchmarks import bench_many
from data.crops import load_crops
from data.images import ImageSet
from data.preprocess import Preprocess


def lines(title: str, start: float, seconds: float, guess: float, total: int = 1000) -> list:
    """What work that takes so long, evenly, says every ten seconds; its guesses are so much off."""
    found = []
    for at in range(10, int(seconds), 10):
        left = guess * (seconds - at)
        done = round(total * at / seconds)
        found.append((start + at, f"  {title}: {done} of {total} photos, about {left:.0f} s left"))
    return found


def test_a_time_left_that_was_right():
    said = [*lines("decoding photos", 0, 100, 1.0), (101.0, "  ranges      0.1 s  a/file")]
    assert bench_many._off(said, 150) == pytest.approx([0] * 9, abs=0.05)


@pytest.mark.parametrize("guess", [0.5, 2.0])
def test_a_time_left_that_was_wrong(guess):
    said = [(0.0, "  something else"), *lines("a on onnx fp32", 5, 205, guess), (211.0, "the end")]
    off = bench_many._off(said, 220)
    assert off[0] == pytest.approx(guess - 1, abs=0.15)
    assert max(map(abs, off)) > 0.4


def test_the_first_tenth_and_the_last_seconds_do_not_count():
    said = [
        (10.0, "  decoding photos: 10 of 1000 photos, about 9000 s left"),
        (20.0, "  decoding photos: 900 of 1000 photos, about 50 s left"),
        (25.0, "  decoding photos: 1000 of 1000 photos, about 0 s left"),
        (26.0, "  decoding photos: 7 of an unknown number of photos"),
    ]
    assert bench_many._off(said, 30) == []
    assert bench_many._off([], 30) == []


def test_its_photos_are_of_all_kinds_and_sizes_and_made_once(tmp_path, cache_of_the_tests_own):
    listing = bench_many._photos(tmp_path, 100)
    images = ImageSet.open(listing, 10)
    assert len(images) == len(set(images.hashes)) == 100
    assert {path.suffix for path in images.paths} == {".jpg", ".png", ".webp"}
    sizes = sorted(path.stat().st_size for path in images.paths)
    assert sizes[-1] > 20 * sizes[50]
    assert len(load_crops(images, Preprocess())) == 100
    before = listing.stat().st_mtime_ns
    assert bench_many._photos(tmp_path, 100) == listing
    assert listing.stat().st_mtime_ns == before


def test_a_share_of_the_work():
    even = [(cpu, f"  a: {10 * cpu} of 100 photos, about 5 s left") for cpu in range(1, 11)]
    assert bench_many._off_work(even) == pytest.approx([0] * 8)
    late = [(cpu**2, f"  a: {10 * cpu} of 100 photos, about 5 s left") for cpu in range(1, 11)]
    assert min(bench_many._off_work(late)) < -0.5
