"""Crops: decoded once, whole or absent, shared by every later run."""

import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import PIL
import psutil
import pytest

from common.errors import UserError
from common.paths import ROOT
from data import crop_files, decode_many
from data.crops import Crops, load_crops
from data.images import ImageSet
from data.preprocess import Preprocess
from runtimes.environments import Environment
from tests.data import published
from tests.data.conftest import encoded, picture

PREPROCESS = Preprocess()


@pytest.fixture(params=["threads", "processes"])
def either_way(request, monkeypatch):
    """Run the test with threads, as small sets do, and with processes, as large ones do."""
    if request.param == "processes":
        monkeypatch.setattr(decode_many, "PROCESSES_FROM", 0)


def expected_crops(images: ImageSet, preprocess: Preprocess = PREPROCESS) -> np.ndarray:
    return np.stack(
        [
            published.crop(
                published.decode(path.read_bytes()), preprocess.resize_short, preprocess.crop
            )
            for path in images.paths
        ]
    )


class Progress:
    def __init__(self):
        self.calls = []

    def __call__(self, done: int, total: int) -> None:
        self.calls.append((done, total))


def test_real_photos_become_the_published_input(photos):
    images = ImageSet.open(photos(50))
    crops = load_crops(images, PREPROCESS)
    expected = expected_crops(images)
    assert np.array_equal(crops.array, expected)
    assert crops.labels.tolist() == images.labels
    batches = list(crops.batches(16, PREPROCESS))
    assert [len(batch) for batch in batches] == [16, 16, 16, 2]
    normalized = np.stack([published.normalize(crop) for crop in expected])
    assert np.array_equal(np.concatenate(batches), normalized)


def test_crops_labels_and_identity(ten_photos, either_way):
    images, progress = ImageSet.open(ten_photos), Progress()
    crops = load_crops(images, PREPROCESS, progress=progress)
    assert np.array_equal(crops.array, expected_crops(images))
    assert crops.array.dtype == np.uint8
    assert isinstance(crops.array, np.memmap)
    assert crops.labels.dtype == np.int64
    assert crops.labels.tolist() == list(range(10))
    assert (crops.sha256, crops.name, crops.skipped) == (images.sha256, "photos", [])
    assert sorted(progress.calls) == progress.calls
    assert progress.calls[-1] == (10, 10)
    assert len(crops) == 10


def test_the_second_load_decodes_nothing(ten_photos):
    images = ImageSet.open(ten_photos)
    first = load_crops(images, PREPROCESS)
    again = Progress()
    second = load_crops(ImageSet.open(ten_photos), PREPROCESS, progress=again)
    assert again.calls == []
    assert np.array_equal(first.array, second.array)


def test_models_that_crop_alike_share_crops(ten_photos):
    images, again = ImageSet.open(ten_photos), Progress()
    load_crops(images, PREPROCESS)
    load_crops(images, Preprocess(mean=(0.5, 0.5, 0.5)), progress=again)
    images.labels = images.labels[::-1]
    crops = load_crops(images, PREPROCESS, progress=again)
    assert again.calls == []
    assert crops.labels.tolist() == list(range(10))[::-1]


@pytest.mark.parametrize(
    "other",
    [
        Preprocess(resize_short=292, crop=256),
        Preprocess(resize_short=257),
        Preprocess(library="pillow"),
        Preprocess(library="pillow", interpolation="bicubic"),
    ],
)
def test_another_preprocess_makes_other_crops(ten_photos, other):
    images, again = ImageSet.open(ten_photos), Progress()
    first = load_crops(images, PREPROCESS)
    second = load_crops(images, other, progress=again)
    assert again.calls
    assert second.array.shape == (10, other.crop, other.crop, 3)
    assert first.sha256 == second.sha256
    assert not np.array_equal(first.array, second.array)


def test_a_changed_photo_makes_other_crops(ten_photos):
    images = ImageSet.open(ten_photos)
    before = load_crops(images, PREPROCESS)
    images.paths[4].write_bytes(encoded(picture(300, 300, seed=99)))
    after = load_crops(images, PREPROCESS)
    differs = [not np.array_equal(*pair) for pair in zip(before.array, after.array, strict=True)]
    assert differs == [row == 4 for row in range(10)]
    assert before.sha256 != after.sha256


@pytest.mark.parametrize("library", [cv2, PIL])
def test_another_version_of_a_library_makes_other_crops(ten_photos, monkeypatch, library):
    images, again = ImageSet.open(ten_photos), Progress()
    load_crops(images, PREPROCESS)
    monkeypatch.setattr(library, "__version__", "999")
    load_crops(images, PREPROCESS, progress=again)
    assert again.calls


def test_batches_for_another_crop_are_refused(ten_photos):
    crops = load_crops(ImageSet.open(ten_photos), PREPROCESS)
    with pytest.raises(ValueError, match="crops of 224 pixels, not 256"):
        next(crops.batches(4, Preprocess(resize_short=292, crop=256)))


# ---- bad photos ----


@pytest.fixture
def some_bad(photo_folder) -> Path:
    good = encoded(picture(300, 280))
    return photo_folder(
        {
            "0 good.jpg": good,
            "1 cut.jpg": good[:-500],
            "2 good.jpg": encoded(picture(280, 300)),
            "3 page.jpg": b"<html>not found</html>",
            "4 empty.png": b"",
            "5 good.png": encoded(picture(280, 310), "PNG"),
        }
    )


def test_unreadable_photos_are_all_named_in_one_error(some_bad, either_way, capfd):
    with pytest.raises(UserError) as caught:
        load_crops(ImageSet.open(some_bad), PREPROCESS)
    said = str(caught.value)
    assert "\n" not in said
    assert said.startswith("3 of 6 photos cannot be read: ")
    assert f"{some_bad}/1 cut.jpg (truncated JPEG)" in said
    assert f"{some_bad}/3 page.jpg (not a photo of any known format)" in said
    assert f"{some_bad}/4 empty.png (empty file)" in said
    assert "--skip-bad" in said
    assert "good" not in said
    assert capfd.readouterr().err == ""


def test_skip_bad_goes_on_without_them_and_counts_them(some_bad, either_way):
    images, progress = ImageSet.open(some_bad), Progress()
    crops = load_crops(images, PREPROCESS, skip_bad=True, progress=progress)
    assert [Path(name).name for name in crops.skipped] == [
        "1 cut.jpg",
        "3 page.jpg",
        "4 empty.png",
    ]
    assert crops.labels.tolist() == [0, 2, 5]
    good = ImageSet("good", [images.paths[row] for row in (0, 2, 5)], [0, 2, 5])
    assert np.array_equal(crops.array, expected_crops(good))
    assert crops.sha256 == good.sha256
    assert progress.calls[-1] == (6, 6)


def test_the_error_is_remembered_and_skipping_afterwards_decodes_nothing(some_bad):
    images, again = ImageSet.open(some_bad), Progress()
    with pytest.raises(UserError):
        load_crops(images, PREPROCESS)
    with pytest.raises(UserError, match=r"1 cut\.jpg"):
        load_crops(images, PREPROCESS, progress=again)
    assert len(load_crops(images, PREPROCESS, skip_bad=True, progress=again)) == 3
    assert again.calls == []


def test_a_repaired_photo_is_decoded(some_bad):
    for name in ("1 cut.jpg", "3 page.jpg", "4 empty.png"):
        (some_bad / name).write_bytes(encoded(picture(260, 260)))
    assert len(load_crops(ImageSet.open(some_bad), PREPROCESS)) == 6


def test_many_unreadable_photos_are_counted(photo_folder):
    files = {f"{n:02}.jpg": b"x" for n in range(30)} | {"good.jpg": encoded(picture(50, 50))}
    with pytest.raises(UserError) as caught:
        load_crops(ImageSet.open(photo_folder(files)), PREPROCESS)
    assert "19.jpg" in str(caught.value)
    assert "20.jpg" not in str(caught.value)
    assert "and 10 more" in str(caught.value)


@pytest.mark.parametrize("skip_bad", [False, True])
def test_nothing_but_unreadable_photos_is_always_an_error(photo_folder, skip_bad):
    images = ImageSet.open(photo_folder({"a.jpg": b"", "b.jpg": b"x"}))
    with pytest.raises(UserError, match="2 of 2 photos cannot be read") as caught:
        load_crops(images, PREPROCESS, skip_bad=skip_bad)
    assert "--skip-bad" not in str(caught.value)


def test_a_photo_that_vanished_is_unreadable(ten_photos):
    images = ImageSet.open(ten_photos)
    images.paths[7].unlink()
    with pytest.raises(UserError, match=r"7\.jpg \(no such file or directory\)"):
        load_crops(images, PREPROCESS)
    crops = load_crops(images, PREPROCESS, skip_bad=True)
    assert 7 not in crops.labels


def test_a_reason_that_may_pass_is_not_remembered(ten_photos, monkeypatch):
    images = ImageSet.open(ten_photos)

    def no_memory(data: bytes):
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(Preprocess, "decode", staticmethod(no_memory))
        with pytest.raises(UserError, match="too large for this machine's memory"):
            load_crops(images, PREPROCESS)
    assert len(load_crops(images, PREPROCESS)) == 10


def test_a_name_that_is_not_utf_8_can_be_reported(photo_folder):
    name = os.fsdecode(b"caf\xe9.jpg")
    folder = photo_folder({"good.jpg": encoded(picture(50, 50))})
    (folder / name).touch()
    images = ImageSet("set", [folder / "good.jpg", folder / name], [0, 1])
    crops = load_crops(images, PREPROCESS, skip_bad=True)
    assert json.dumps(crops.skipped, ensure_ascii=False).encode()


def test_a_huge_photo_among_small_ones(photo_folder):
    huge = np.zeros((9000, 12000), np.uint8)
    huge[:, ::3] = 200
    images = ImageSet.open(
        photo_folder({"huge.png": encoded(huge, "PNG", compress_level=1), "small.png": encoded(
            picture(90, 70), "PNG")})
    )  # fmt: skip
    assert np.array_equal(load_crops(images, PREPROCESS).array, expected_crops(images))


def test_a_set_without_photos():
    with pytest.raises(UserError, match="no photos"):
        load_crops(ImageSet("none", [], []), PREPROCESS)


# ---- the cache ----


def entry(cache: Path, suffix: str) -> Path:
    [path] = (cache / "crops").glob(f"*{suffix}")
    return path


@pytest.mark.parametrize(
    "damage",
    [
        lambda npy, record: os.truncate(npy, npy.stat().st_size - 1000),
        lambda npy, record: os.truncate(npy, 10),
        lambda npy, record: npy.unlink(),
        lambda npy, record: npy.write_bytes(bytes(npy.stat().st_size)),
        lambda npy, record: record.unlink(),
        lambda npy, record: record.write_text("{"),
        lambda npy, record: record.write_text("[]"),
        lambda npy, record: record.write_text('{"crops": 1}'),
    ],
    ids=[
        *("cut short", "cut to ten bytes", "crops gone", "crops overwritten"),
        *("record gone", "record cut", "record of another kind", "record without bad photos"),
    ],
)
def test_a_damaged_entry_is_decoded_anew(ten_photos, cache, damage):
    images, again = ImageSet.open(ten_photos), Progress()
    load_crops(images, PREPROCESS)
    damage(entry(cache, ".npy"), entry(cache, ".json"))
    crops = load_crops(images, PREPROCESS, progress=again)
    assert again.calls
    assert np.array_equal(crops.array, expected_crops(images))


def test_an_entry_is_an_ordinary_npy_file(some_bad, cache):
    load_crops(ImageSet.open(some_bad), PREPROCESS, skip_bad=True)
    path = entry(cache, ".npy")
    assert np.load(path).shape == (3, 224, 224, 3)
    assert path.stat().st_size == 128 + 3 * 224 * 224 * 3


def test_an_interrupted_run_is_gone_on_with(ten_photos, cache, either_way):
    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    images, again = ImageSet.open(ten_photos), Progress()
    with pytest.raises(KeyboardInterrupt):
        load_crops(images, PREPROCESS, progress=interrupt, workers=1)
    assert list((cache / "crops").glob("*.npy")) == []
    crops = load_crops(images, PREPROCESS, progress=again)
    assert np.array_equal(crops.array, expected_crops(images))
    assert again.calls == [(8, 10), (10, 10)]  # the eight were there
    assert list((cache / "crops").glob(".*")) == []


def test_an_error_leaves_nothing_behind(ten_photos, cache, either_way):
    def fail(done: int, total: int) -> None:
        raise UserError("no")

    with pytest.raises(UserError):
        load_crops(ImageSet.open(ten_photos), PREPROCESS, progress=fail)
    assert [path.suffix for path in (cache / "crops").iterdir()] == [".lock"]


LOAD = """
import os, sys, time
{first}
from data import decode_many
from data.images import ImageSet
from data.crops import load_crops
from data.preprocess import Preprocess
decode_many.PROCESSES_FROM = {processes_from}
def progress(done, total):
    print(done, flush=True)
    {then}
crops = load_crops(ImageSet.open({folder!r}), Preprocess(), progress=progress, workers=2)
print("sum", int(crops.array.sum()))
"""


def start_load(
    folder: Path, then: str = "pass", processes_from: int = 4000, first: str = ""
) -> subprocess.Popen:
    code = LOAD.format(folder=str(folder), then=then, processes_from=processes_from, first=first)
    return subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )


def test_two_runs_at_once_decode_once(ten_photos):
    runs = [start_load(ten_photos, then="time.sleep(0.5)") for _ in range(2)]
    outputs = [run.communicate(timeout=60)[0].split() for run in runs]
    assert [run.returncode for run in runs] == [0, 0]
    assert sorted(len(output) for output in outputs) == [2, 4]  # "8", "10" of one run only
    assert outputs[0][-1] == outputs[1][-1]


@pytest.mark.parametrize("processes_from", [0, 4000], ids=["processes", "threads"])
def test_a_killed_run_leaves_no_entry_and_the_next_one_cleans_up(ten_photos, cache, processes_from):
    run = start_load(ten_photos, then="time.sleep(60)", processes_from=processes_from)
    assert run.stdout.readline()
    workers = psutil.Process(run.pid).children(recursive=True)
    assert bool(workers) == (processes_from == 0)
    run.kill()
    run.communicate()
    assert list((cache / "crops").glob("*.npy")) == []
    assert len(list((cache / "crops").glob(".*.part"))) == 1
    _, alive = psutil.wait_procs(workers, timeout=10)
    assert alive == []

    # Another set's run cleans up, too.
    other = Preprocess(resize_short=300)
    load_crops(ImageSet.open(ten_photos), other)
    assert list((cache / "crops").glob(".*")) == []
    images = ImageSet.open(ten_photos)
    assert np.array_equal(load_crops(images, PREPROCESS).array, expected_crops(images))


KEPT_AT_ONCE = """
from data import crop_files
crop_files._SAVE_EVERY = 0
"""


@pytest.mark.parametrize("processes_from", [0, 4000], ids=["processes", "threads"])
def test_what_a_killed_run_decoded_is_not_decoded_again(photo_folder, cache, processes_from):
    names = {f"{n:02}.jpg": encoded(picture(60, 50, seed=n)) for n in range(40)}
    names["03.jpg"] = b"no photo"
    folder = photo_folder(names)
    run = start_load(*(folder, "time.sleep(60 if done >= 24 else 0)", processes_from, KEPT_AT_ONCE))
    while run.stdout.readline().strip() != "24":
        assert run.poll() is None
    run.kill()
    run.communicate()
    [part] = (cache / "crops").glob(".*.part")
    load_crops(ImageSet.open(folder), Preprocess(resize_short=300), skip_bad=True)
    assert part.exists()  # another set's run does not clean that up

    images, again = ImageSet.open(folder), Progress()
    crops = load_crops(images, PREPROCESS, skip_bad=True, progress=again)
    assert again.calls[0] == (24, 40)
    assert crops.skipped == [str(folder / "03.jpg")]
    good = images.take([row for row in range(40) if row != 3])
    assert np.array_equal(crops.array, expected_crops(good))


@pytest.mark.parametrize(
    "damage",
    [
        lambda part, journal: part.write_bytes(part.read_bytes()) and part.rename(f"{part}x"),
        lambda part, journal: journal.write_text("{"),
        lambda part, journal: journal.write_text('{"photos": 10, "inode": 1, "done": [0]}'),
        lambda part, journal: journal.write_text("[]"),
        lambda part, journal: journal.unlink(),
    ],
    ids=["part gone", "journal cut", "another file's journal", "no journal", "journal gone"],
)
def test_a_part_that_is_not_what_its_journal_says_is_decoded_anew(ten_photos, cache, damage):
    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    images, again = ImageSet.open(ten_photos), Progress()
    with pytest.raises(KeyboardInterrupt):
        load_crops(images, PREPROCESS, progress=interrupt, workers=1)
    damage(*sorted((cache / "crops").glob(".*.part*")))
    crops = load_crops(images, PREPROCESS, progress=again, workers=1)
    assert again.calls == [(8, 10), (10, 10)]
    assert np.array_equal(crops.array, expected_crops(images))


def test_cleaning_up_spares_what_another_run_is_writing(ten_photos, cache):
    run = start_load(ten_photos, then="time.sleep(1)")
    assert run.stdout.readline()
    load_crops(ImageSet.open(ten_photos), Preprocess(resize_short=300))
    assert len(list((cache / "crops").glob(".*.part"))) == 1
    assert "sum" in run.communicate(timeout=60)[0]
    assert run.returncode == 0


def test_a_killed_process_costs_no_photo(ten_photos, monkeypatch):
    monkeypatch.setattr(decode_many, "PROCESSES_FROM", 0)

    def kill_workers(done: int, total: int) -> None:
        if done == 80:
            for child in psutil.Process().children():
                child.kill()

    images = ImageSet("many", sorted(ten_photos.glob("*.jpg")) * 20, [0] * 200)
    crops = load_crops(images, PREPROCESS, progress=kill_workers)
    assert np.array_equal(crops.array, expected_crops(images))


def test_a_photo_that_kills_the_decoder_is_a_bad_photo(ten_photos, monkeypatch, tmp_path):
    """Needs processes: with threads it would kill the caller."""
    monkeypatch.setattr(decode_many, "PROCESSES_FROM", 0)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))  # where the children find this:
    (tmp_path / "sitecustomize.py").write_text(
        "import os, zlib\n"
        "original = zlib.crc32\n"
        "zlib.crc32 = lambda data, *start: os.abort() if b'KILL' in bytes(data) else original(data)"
    )
    bomb = encoded(picture(60, 60), "PNG")
    (ten_photos / "4.jpg").write_bytes(bomb.replace(b"IDAT", b"IDATKILL"))
    images = ImageSet.open(ten_photos)
    with pytest.raises(UserError, match=r"1 of 10 .*/4\.jpg \(its decoding was killed"):
        load_crops(images, PREPROCESS)
    crops = load_crops(images, PREPROCESS, skip_bad=True)
    assert crops.labels.tolist() == [0, 1, 2, 3, 5, 6, 7, 8, 9]


def test_processes_that_do_not_start_are_an_error_of_one_line(ten_photos, monkeypatch, capfd):
    monkeypatch.setattr(decode_many, "PROCESSES_FROM", 0)
    monkeypatch.setattr(Environment, "python", Path("/bin/false"))
    with pytest.raises(UserError, match="do not start: the tool ended with status 1; run: make"):
        load_crops(ImageSet.open(ten_photos), PREPROCESS)


def test_a_full_disk_is_an_error_of_its_own(ten_photos, cache, monkeypatch, either_way):
    monkeypatch.setattr(crop_files, "decode_many", full_disk)
    with pytest.raises(OSError, match="No space left"):
        load_crops(ImageSet.open(ten_photos), PREPROCESS)
    assert [path.suffix for path in (cache / "crops").iterdir()] == [".lock"]


def full_disk(paths, preprocess, file, *rest, **options):
    return decode_many.decode_many(paths, preprocess, Path("/dev/full"), *rest, **options)


def test_a_script_without_a_main_guard_can_load(ten_photos, tmp_path):
    script = tmp_path / "script.py"
    code = LOAD.format(folder=str(ten_photos), then="pass", processes_from=0, first="")
    script.write_text(f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{code}")
    run = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=60)
    assert (run.returncode, run.stderr) == (0, "")
    assert run.stdout.count("sum") == 1


def test_what_was_read_can_be_let_go_of(tmp_path):
    path = tmp_path / "crops.npy"
    np.save(path, np.arange(64 << 20, dtype=np.uint8).reshape(-1, 64, 64, 16))
    crops = Crops(np.load(path, mmap_mode="r"), np.zeros(1, int), "", "")
    before = psutil.Process().memory_info().rss
    total = int(crops.array.sum(dtype=np.int64))
    assert psutil.Process().memory_info().rss - before > 48 << 20
    crops.release()
    assert psutil.Process().memory_info().rss - before < 16 << 20
    assert int(crops.array.sum(dtype=np.int64)) == total
