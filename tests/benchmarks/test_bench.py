"""`make bench`: both sides do the same work, and their times become ratios."""

import json
import re
import types

import numpy as np
import pytest
from PIL import Image

from benchmarks import bench
from benchmarks.parts import Part, Sample
from common.errors import StepError
from tests.conftest import assert_refused


@pytest.fixture
def class_folders(tmp_path):
    """Six photos in one folder per class; the grey one and the PNG are decoded like the others."""
    random = np.random.default_rng(3)
    for number in range(6):
        pixels = random.integers(0, 256, (240 + 9 * number, 330 - 11 * number, 3), np.uint8)
        folder = tmp_path / "photos" / ("7", "42")[number % 2]
        folder.mkdir(parents=True, exist_ok=True)
        photo = Image.fromarray(pixels).convert("L" if number == 1 else "RGB")
        photo.save(folder / f"a photo {number}.{'png' if number == 2 else 'jpg'}")
    return tmp_path / "photos"


@pytest.mark.parametrize("model", ["SqueezeNet1_1", "DarkNet53", "pcpvt_small"])
def test_the_loader_and_the_plain_loop_give_the_same_crops(command, class_folders, tmp_path, model):
    done = command(
        *("benchmarks/bench.py", "--only", "loader", "--rounds", "1", "--model", model),
        *("--data", class_folders),
    )
    assert done.returncode == 0, done.stderr
    row = next(line for line in done.stdout.splitlines() if line.startswith("load photos"))
    assert re.search(r"\d+ photos/s +0 % +\d+ photos/s +0 % +\d+\.\d\d", row)
    assert "same crops, bit for bit" in done.stdout

    kept = json.loads((tmp_path / "build" / "bench.json").read_text())
    assert (kept["model"], kept["rounds"], kept["weights"]) == (model, 1, None)
    assert (kept["data"]["name"], kept["data"]["images"]) == ("photos", 6)
    assert kept["environment"]["cpu"]
    assert kept["environment"]["versions"]["main"]["onnx"]
    (part,) = kept["parts"]
    ours, plain = part["ours"], part["plain"]
    assert ours["rounds_s"] == [{"load_crops": ours["median_s"]}]
    assert plain["rounds_s"] == [{"loader.py": plain["median_s"]}]
    assert part["ratio"] == pytest.approx(plain["median_s"] / ours["median_s"])


def test_rounds_alternate_and_become_a_median_a_spread_and_a_ratio():
    order = []
    take = {
        "ours": iter([1.0, 1.5, 1.1]),
        "plain": iter([3.0, 3.3, 3.3]),
    }

    def side(name):
        def run(setting):
            order.append(name)
            return Sample({"first": next(take[name]), "second": 1.0}, "equal")

        return run

    entry = bench._measure(_part(side("ours"), side("plain")), types.SimpleNamespace(), rounds=3)
    assert order == ["ours", "plain", "plain", "ours", "ours", "plain"]
    assert entry["ours"]["median_s"] == pytest.approx(2.1)
    assert entry["ours"]["spread"] == pytest.approx(0.5 / 2.1)
    assert entry["plain"]["rounds_s"][0] == {"first": 3.0, "second": 1.0}
    assert entry["ratio"] == pytest.approx(4.3 / 2.1)
    assert entry["noisy"]


def test_sides_that_decide_differently_are_an_error():
    part = _part(
        lambda setting: Sample({"a": 1.0}, {"onnx": 14}),
        lambda setting: Sample({"b": 1.0}, {"onnx": 13}),
    )
    with pytest.raises(StepError, match=r"ours gives \{'onnx': 14\}, .* \{'onnx': 13\}"):
        bench._measure(part, types.SimpleNamespace(), rounds=1)


def _part(ours, plain) -> Part:
    return Part("toy", "toy", ours, plain, lambda setting, outcome: "equal")


def test_mistakes_are_one_line(command, tmp_path):
    start = ("benchmarks/bench.py", "--only")
    assert_refused(command(*start, "lodaer"), "unknown 'lodaer'", "did you mean loader")
    assert_refused(command(*start, "loader", "--data", tmp_path / "absent"), "absent", "no such")
    assert_refused(command(*start, "loader", "--rounds", "0"), "--rounds", "at least 1")
    assert_refused(command(*start, "chain", "--weights", "random"), "reads .pdparams files only")
