"""Many photos take time, and no more memory than few."""

import subprocess
import sys
from pathlib import Path

import pytest

from common.paths import ROOT
from tests.data.conftest import encoded, picture

FEW, MANY = 200, 2000
READ = """
import resource, sys
from data.crops import load_crops
from data.images import ImageSet
from data.preprocess import Preprocess

preprocess = Preprocess()
crops = load_crops(ImageSet.open(sys.argv[1]), preprocess)
print(sum(len(batch) for batch in crops.batches(10, preprocess)))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.fixture
def many(tmp_path) -> list[str]:
    """A folder of so many photos, of which no two are alike, and their lines in a list."""
    kinds = [(kind, encoded(picture(48, 40), kind)) for kind in ("JPEG", "PNG", "WEBP")]
    lines = []
    for number in range(MANY):
        kind, data = kinds[number % 3]
        name = f"{number:04}.{kind.lower()}"
        (tmp_path / name).write_bytes(data + b"%d" % number)  # what comes after a photo is ignored
        lines.append(f"{name} {number % 10}\n")
    return lines


def read(folder: Path, lines: list[str]) -> int:
    """Peak resident memory, in KiB, of a process that decodes photos and reads all crops."""
    listing = folder / f"{len(lines)}.txt"
    listing.write_text("".join(lines))
    done = subprocess.run(
        [sys.executable, "-c", READ, listing], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    count, peak = map(int, done.stdout.split())
    assert count == len(lines)
    return peak


def test_ten_times_the_photos_take_no_more_memory(many, tmp_path, cache):
    few = read(tmp_path, many[:FEW])
    assert read(tmp_path, many) <= 1.2 * few
    assert read(tmp_path, many) <= 1.2 * few  # out of the cache
    assert (cache / "crops").is_dir()
