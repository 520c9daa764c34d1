"""`make clean-cache`: what is made again goes, and is counted; what may be a user's own stays."""

import os
import re
import subprocess
import sys
from pathlib import Path

import filelock
import pytest

from common.paths import ROOT
from data.crops import load_crops
from data.images import ImageSet
from data.preprocess import Preprocess
from tests.conftest import assert_refused

CLEAN = "deploy/clean_cache.py"
OWN = ("weights/VGG11_pretrained.pdparams", "android/debug.p12", "known-downloads.json", "mine/x")
MADE = ("hashes/a.json", "photo-hashes/b.json", "video-frames/c-1000/1.jpg")
FETCHED = ("packages/p.whl", "demo-photos/images/a.jpg", "demo-more/b.jpg", "cifar10/val_list.txt")


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    cache = tmp_path / "cache" / "paddle-portage"
    for name in (*OWN, *MADE, *FETCHED):
        (cache / name).parent.mkdir(parents=True, exist_ok=True)
        (cache / name).write_bytes(os.urandom(200_000))
    return cache


def there(cache: Path, names: tuple[str, ...]) -> list[bool]:
    return [(cache / name).exists() for name in names]


def freed(done: subprocess.CompletedProcess) -> float:
    assert done.returncode == 0, done.stderr
    return float(re.search(r"freed: ([\d,.]+) MB", done.stdout)[1])


def test_what_is_made_again_goes_and_is_counted(cache, command, photos):
    load_crops(ImageSet.open(photos(8)), Preprocess())
    done = command(CLEAN)
    assert freed(done) == pytest.approx(1.2 + 3 * 0.2, abs=0.1)
    assert re.search(r"crops +decoded photos +1\.2 +0\.0", done.stdout)
    assert re.search(
        r"cifar10 +CIFAR-10's photos +0\.0 +0\.2 +downloaded: DOWNLOADS=1", done.stdout
    )
    assert list((cache / "crops").glob("*.npy")) == []
    assert there(cache, MADE) == [False] * 3
    assert all(there(cache, (*OWN, *FETCHED)))
    assert freed(command(CLEAN)) == 0


def test_downloads_go_when_asked_for(cache, command):
    assert freed(command(CLEAN, "--downloads")) == pytest.approx(7 * 0.2, abs=0.1)
    assert not any(there(cache, (*MADE, *FETCHED)))
    assert all(there(cache, OWN))


def test_what_another_run_works_on_stays(cache, command, photos):
    crops = load_crops(ImageSet.open(photos(8)), Preprocess())
    with filelock.FileLock(cache / "packages" / ".p.lock"):
        done = command(CLEAN, "--downloads")
    assert done.returncode == 0
    assert done.stdout.count("the rest is in use by another run") == 6  # with all photos
    assert len(list((cache / "crops").glob("*.npy"))) == len(crops) // 8
    assert there(cache, MADE) == [False, False, True]
    assert there(cache, FETCHED) == [True] * 4


def test_a_cache_that_is_not_there(tmp_path, monkeypatch, command):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "none"))
    assert freed(command(CLEAN)) == 0
    assert not (tmp_path / "none").exists()


def test_bad_words_are_refused(command, tmp_path):
    assert_refused(command(CLEAN, "--download"), "there is no argument --download")
    assert_refused(command(CLEAN, CACHE_GB="lots"), "CACHE_GB=lots")
    done = subprocess.run(
        ["make", f"PYTHON={sys.executable}", "clean-cache", "CACHE_GB=-2"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env=os.environ | {"XDG_CACHE_HOME": str(tmp_path)},
        timeout=60,
    )
    assert done.returncode == 2
    assert "CACHE_GB=-2: not a number of gigabytes" in done.stderr
