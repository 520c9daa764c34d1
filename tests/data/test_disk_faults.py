"""Photos and crops where the disk, the clock or the file system are not as one would wish."""

import os
import shlex
import subprocess
import sys
import time
from pathlib import Path

import pytest

from common.paths import ROOT
from data import hashes
from tests.conftest import assert_refused
from tests.data.conftest import encoded, picture

LOAD = """
import resource, sys
from common.cli import run
from data.crops import load_crops
from data.images import ImageSet
from data.preprocess import Preprocess

def main():
    if sys.argv[2:]:
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]),) * 2)
    decoded = []
    crops = load_crops(
        ImageSet.open(sys.argv[1]), Preprocess(), progress=lambda done, _: decoded.append(done)
    )
    print(len(crops), int(crops.array.sum()), "decoded" if decoded else "kept")
    return 0

run(main)
"""


def load(*words: object) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-c", LOAD, *map(str, words)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )


def left_in(cache: Path) -> set[str]:
    return {path.suffix for path in (cache / "crops").iterdir()}


def test_a_file_that_may_not_get_so_large(ten_photos, cache):
    """As with `ulimit -f`, and on FAT beyond 4 GB. The write in its way ends in its middle."""
    assert_refused(load(ten_photos, 1_000_000), "larger than a file may be there", "XDG_CACHE_HOME")
    assert left_in(cache) == {".lock"}
    done = load(ten_photos)
    assert done.stdout.split()[::2] == ["10", "decoded"], done.stderr


def test_a_cache_that_gets_full_and_is_read_only_later(ten_photos, small_disk):
    words = shlex.join([sys.executable, "-c", LOAD, str(ten_photos)])
    disk = small_disk.path
    done = small_disk.run(
        "1m",
        f"cd {ROOT}; export XDG_CACHE_HOME={disk}\n"
        f"{words}; echo status $?; find {disk} -type f ! -name '*.lock' ! -path '*-hashes/*'\n"
        f"mount -o remount,size=20m {disk}; {words}\n"
        f"mount -o remount,ro {disk}; {words}; echo status $?\n"
        f"CACHE_GB=0 {words}",
    )
    assert done.stderr.count("no space left on the disk") == 1, done.stderr
    first, whole, kept, zero, last = done.stdout.splitlines()
    assert (first, zero) == ("status 2", "status 0")
    assert whole.endswith(" decoded")
    assert kept == last == whole.replace("decoded", "kept")


def test_a_read_only_cache_is_named(ten_photos, small_disk):
    words = shlex.join([sys.executable, "-c", LOAD, str(ten_photos)])
    done = small_disk.run(
        "1m",
        f"cd {ROOT}; mount -o remount,ro {small_disk.path}; "
        f"XDG_CACHE_HOME={small_disk.path} {words}",
    )
    assert_refused(done, "XDG_CACHE_HOME", str(small_disk.path))


# ---- what a photo is known by ----


def replaced(path: Path, seed: int) -> None:
    """Put another photo in the place of one: of the same size and times, in the same inode."""
    before = path.stat()
    with path.open("r+b") as stream:
        stream.write(encoded(picture(40, 30, seed), "BMP"))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    after = path.stat()
    assert (before.st_size, before.st_mtime_ns, before.st_ino) == (
        *(after.st_size, after.st_mtime_ns, after.st_ino),
    )


@pytest.mark.parametrize(
    "offset", [10, -86_400, -20 * 365 * 86_400], ids=["later", "a day back", "long ago"]
)
def test_a_photo_replaced_by_another_of_its_size_and_time(tmp_path, monkeypatch, offset):
    """Whatever the clock says: the change time, which no tool sets, tells them apart."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    path, other = tmp_path / "a.bmp", tmp_path / "b.bmp"
    for seed, one in enumerate((path, other)):
        one.write_bytes(encoded(picture(40, 30, seed), "BMP"))
    real = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: real() + offset * 10**9)
    first, kept = hashes.content_hashes([path, other])
    assert first != kept
    time.sleep(0.02)  # beyond a tick of the kernel's clock
    replaced(path, seed=2)
    again, still = hashes.content_hashes([path, other])
    assert again not in (first, kept)
    assert still == kept


def test_a_photo_from_the_future_is_read_each_time(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    path = tmp_path / "a.bmp"
    path.write_bytes(encoded(picture(40, 30), "BMP"))
    os.utime(path, (4e9, 4e9))
    [first] = hashes.content_hashes([path])
    path.write_bytes(encoded(picture(40, 30, 1), "BMP"))
    os.utime(path, (4e9, 4e9))
    [second] = hashes.content_hashes([path])
    assert first != second
