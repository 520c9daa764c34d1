"""The cache's limit: what was used least recently makes room, and nothing that a run reads."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from common.errors import UserError
from common.files import stamp
from common.paths import ROOT
from data.crop_room import crop_bytes
from data.crops import load_crops
from data.images import ImageSet
from data.preprocess import Preprocess
from tests.data.conftest import encoded, picture

ROW = 224 * 224 * 3
MORE = 3.5 * 4 * ROW / 1e9  # CACHE_GB that has room for three sets of four photos, not for four


@pytest.fixture
def sets(photo_folder) -> list[ImageSet]:
    """Five sets of four photos each."""
    return [
        ImageSet.open(
            photo_folder(
                {f"{n}.png": encoded(picture(30, 30, 10 * one + n), "PNG") for n in range(4)},
                f"set{one}",
            )
        )
        for one in range(5)
    ]


def load(images: ImageSet) -> bool:
    """Load a set's crops and let go of them; whether the cache had them."""
    decoded = []
    load_crops(images, Preprocess(), progress=lambda done, total: decoded.append(done))
    return not decoded


def test_what_was_used_least_recently_makes_room(sets, cache, monkeypatch, capfd):
    monkeypatch.setenv("CACHE_GB", str(MORE))
    assert [load(one) for one in sets[:3]] == [False] * 3
    assert load(sets[0])
    assert not load(sets[3])
    assert "made room (CACHE_GB=0.002" in capfd.readouterr().err
    assert [load(sets[one]) for one in (0, 2, 3)] == [True] * 3
    assert not load(sets[1])
    assert sum(crop_bytes().values()) <= MORE * 1e9


def test_a_clock_that_is_set_back_changes_nothing(sets, cache, monkeypatch):
    monkeypatch.setenv("CACHE_GB", str(MORE))
    keys = []
    for one in sets[:3]:
        load(one)
        keys += [key for key in crop_bytes() if key not in keys]
    # The times on the disk say that the first was used last.
    for years, key in enumerate(reversed(keys)):
        for path in (cache / "crops").glob(f"{key}.*"):
            os.utime(path, (3e7 * years, 3e7 * years))
            if path.suffix == ".npy":
                record = json.loads(path.with_suffix(".json").read_text())
                record["crops"] = stamp(path)
                path.with_suffix(".json").write_text(json.dumps(record))
    load(sets[3])
    assert [load(sets[one]) for one in (1, 2, 3)] == [True] * 3
    assert not load(sets[0])


HOLD = """
import sys
from data.crops import load_crops
from data.images import ImageSet
from data.preprocess import Preprocess
crops = load_crops(ImageSet.open(sys.argv[1]), Preprocess())
print(int(crops.array[0].sum()), flush=True)
sys.stdin.readline()
print(int(crops.array[0].sum()), len(load_crops(ImageSet.open(sys.argv[1]), Preprocess(),
      progress=lambda *_: sys.exit("decoded again"))), flush=True)
"""


def test_what_another_run_reads_is_spared_until_it_ends(sets, cache, monkeypatch):
    monkeypatch.setenv("CACHE_GB", str(MORE))
    folder = sets[0].paths[0].parent
    run = subprocess.Popen(
        [sys.executable, "-c", HOLD, folder],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    first = run.stdout.readline()
    for one in sets[1:]:
        load(one)
    out, _ = run.communicate("\n", timeout=60)
    assert (run.returncode, out.split()) == (0, [first.strip(), "4"])
    for one in sets[1:]:
        load(one)
    assert not load(sets[0])


def test_a_killed_run_spares_nothing(sets, cache, monkeypatch):
    run = subprocess.Popen(
        [sys.executable, "-c", HOLD, sets[0].paths[0].parent],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert run.stdout.readline()
    run.kill()
    run.communicate()
    monkeypatch.setenv("CACHE_GB", "0")
    load(sets[1])
    assert len(list((cache / "crops").glob("*.npy"))) == 1
    assert not load(sets[0])


def test_photos_beyond_the_limit_are_still_read(sets, monkeypatch, capfd):
    monkeypatch.setenv("CACHE_GB", "0.0001")
    crops = load_crops(sets[0], Preprocess())
    assert "more than CACHE_GB=0.0001: they are in use" in capfd.readouterr().err
    before = np.array(crops.array)
    other = load_crops(sets[1], Preprocess())
    assert len(crop_bytes()) == 2
    assert np.array_equal(crops.array, before)
    del crops, other
    load(sets[2])
    assert len(crop_bytes()) == 1


def test_half_made_crops_count_and_make_room(sets, cache, monkeypatch):
    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        load_crops(sets[0], Preprocess(), progress=interrupt)
    assert sum(crop_bytes().values()) >= 4 * ROW
    monkeypatch.setenv("CACHE_GB", "0")
    load(sets[1])
    assert list((cache / "crops").glob(".*")) == []


@pytest.mark.parametrize("order", ["", "{", "3", '["gone", 7]'])
def test_a_damaged_order_costs_nothing_but_the_order(sets, cache, monkeypatch, order):
    monkeypatch.setenv("CACHE_GB", str(MORE))
    for one in sets[:3]:
        load(one)
    (cache / "crops" / "order-of-use").write_text(order)
    load(sets[3])
    assert load(sets[3])
    assert sum(crop_bytes().values()) <= MORE * 1e9


@pytest.mark.parametrize("text", ["lots", "-1", "nan", "inf", "1 GB"])
def test_a_limit_that_is_none_is_refused(sets, monkeypatch, text):
    monkeypatch.setenv("CACHE_GB", text)
    with pytest.raises(UserError, match=f"CACHE_GB={text}: not a number of gigabytes"):
        load(sets[0])


def test_copied_crops_are_made_anew(sets, cache):
    load(sets[0])
    aside = Path(f"{cache}-copy")
    shutil.copytree(cache, aside)
    shutil.rmtree(cache)
    aside.rename(cache)
    assert not load(sets[0])
    assert load(sets[0])
