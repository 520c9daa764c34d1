"""What goes to nodes: batches of calls, inputs, and artifacts to start from."""

import json
from pathlib import Path

import numpy as np
import pytest

from calib.arithmetic import Floats
from calib.one_by_one import OneByOne, begun
from deploy.scale import calls as command_file
from deploy.scale import node
from deploy.scale.inputs import names_in
from deploy.scale.spread import batches
from runtimes.calls import Calls
from tests.calib.test_bias_correction import SHAPE, write_network
from tests.conftest import assert_refused

SCRIPT = "deploy/scale/calls.py"


@pytest.mark.parametrize(
    ("seconds", "slots", "expected"),
    [
        ([1.0] * 6, 2, [(0, 2), (3, 5)]),
        ([3.0, 1.0, 1.0, 1.0], 2, [(0, 0), (1, 3)]),  # of equal work
        ([1.0, 1.0], 8, [(0, 0), (1, 1)]),  # no more than there are calls
        ([0.0, 0.0, 0.0], 2, [(0, 0), (1, 2)]),
        ([40.0] * 6, 1, [(0, 1), (2, 2), (3, 4), (5, 5)]),  # of a minute
    ],
)
def test_batches_are_neighbours_of_about_equal_work(seconds, slots, expected):
    assert batches(seconds, slots) == expected


def a_network(folder: Path) -> Calls:
    """The blame of a small network in FP16, and the units of it."""
    model = write_network(folder / "model.onnx")
    arguments = {
        "arithmetic": Floats("fp16"),
        "batch": np.random.default_rng(6).standard_normal((12, *SHAPE), np.float32),
        "in_float": [],
        "threads": 1,
    }
    units, _ = OneByOne(model, **arguments).begin(seconds=60.0, at_most=12)
    return Calls(
        title="blame",
        opens=begun,
        source=Path(model),
        arguments={**arguments, "names": [name for name, _ in units]},
        method="blame",
        each=[{"number": number} for number in range(len(units))],
        seconds=[1.0] * len(units),
    )


def values_here(calls: Calls) -> list:
    """As JSON has them."""
    opened = calls.opens(source=str(calls.source), **calls.arguments)
    found = [getattr(opened, calls.method)(**one) for one in calls.each]
    return json.loads(json.dumps(found))


def test_calls_from_the_middle_give_the_same_to_the_last_bit(command, tmp_path):
    calls = a_network(tmp_path)
    command_file.write(calls, tmp_path)
    file = tmp_path / command_file.FILE
    done = command(SCRIPT, file, "--source", calls.source, "--first", 1, "--last", 2)
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert found == [{"row": row, "value": values_here(calls)[row]} for row in (1, 2)]


def test_what_has_no_calls_is_refused(command, tmp_path):
    file = tmp_path / "calls.pickle"
    file.write_text("no pickle")
    words = ("--source", file, "--first", 0, "--last", 0)
    assert_refused(command(SCRIPT, file, *words), "has no calls of this toolkit")
    assert_refused(command(SCRIPT, tmp_path / "none", *words), "there is no file")


def test_links_to_folders_are_followed_once(tmp_path):
    real, folder = tmp_path / "real", tmp_path / "photos"
    for one in (real, folder):
        one.mkdir()
    (real / "1.jpg").write_bytes(b"1")
    (folder / "a").symlink_to(real)
    (folder / "b").symlink_to(real)
    (real / "round").symlink_to(folder)
    assert {"a/1.jpg", "b/1.jpg"} <= set(names_in(folder))
    assert len(names_in(folder)) < 10


def test_a_job_starts_from_artifacts_and_the_photos_of_its_node(tmp_path):
    here = tmp_path / "received" / "photos"
    here.mkdir(parents=True)
    (here / "1.jpg").write_bytes(b"1")
    source = tmp_path / "input"
    source.mkdir()
    (source / "model.onnx").write_text("a file")
    paths = ["/driver/photos/1.jpg", "/driver/photos/2.jpg"]
    record = {"photos": {"photos": [{"path": path} for path in paths]}}
    (source / "calibration.json").write_text(json.dumps(record))
    scratch = tmp_path / "scratch"
    node.lay_out(
        scratch,
        {"Toy/calibration/onnx": ("1", ["calibration.json", "model.onnx"])},
        {"1": str(source), "2": str(here)},
        {"1": "/driver/build/Toy/calibration/onnx", "2": "/driver/photos"},
    )
    lies = scratch / "Toy" / "calibration" / "onnx"
    assert (lies / "model.onnx").read_text() == "a file"
    found = json.loads((lies / "calibration.json").read_text())["photos"]["photos"]
    assert [one["path"] for one in found] == [str(here / "1.jpg"), paths[1]]
    assert json.loads((source / "calibration.json").read_text()) == record
