"""`make explain BLAME=1`: what each layer costs, and the shortest list that is to stay in float."""

import json

import pytest

from common import files
from models.state import read_state, write_state
from tests.conftest import assert_refused

SCRIPT = "deploy/explain.py"
# The first layer of the sixth fire module reads the fifth's, of which a few channels are large.
READER = "Conv.16"
CHANNELS = slice(0, 4)


@pytest.fixture(scope="module")
def runner(session_command, weights, photos, tmp_path_factory):
    """Make what runs commands on SqueezeNet1_1 with changed weights, in a build of its own."""
    data = photos(24)

    def of(change):
        folder = tmp_path_factory.mktemp("changed")
        state = read_state(weights / "SqueezeNet1_1_pretrained.pdparams")
        change(state)
        path = folder / "SqueezeNet1_1_pretrained.pdparams"
        write_state(path, state)

        def run(script, *arguments):
            return session_command(
                *(script, "--model", "SqueezeNet1_1", "--weights", path, "--data", data),
                *arguments,
                BUILD_DIR=folder / "build",
            )

        run.folder = folder
        return run

    return of


def enlarge(state: dict, maker: str, readers: tuple[str, ...], factor: float) -> None:
    """Make some channels of a tensor many times as large as all others; they count as much as ever
    for those that read it, so that in float the network is the same."""
    state[f"{maker}._conv.weight"][CHANNELS] *= factor
    state[f"{maker}._conv.bias"][CHANNELS] *= factor
    for reader in readers:
        state[f"{reader}._conv.weight"][:, CHANNELS] /= factor


@pytest.fixture(scope="module")
def run(runner):
    """Run a command on a network with one layer that reads such a tensor."""
    return runner(lambda state: enlarge(state, "_conv5._conv_path1", ("_conv6._conv",), 300.0))


@pytest.fixture(scope="module")
def ncnn(run):
    """What the layers of ncnn's INT8 cost, and the list for four decisions of five."""
    words = ("--target", "ncnn", "--precision", "int8", "--method", "minmax")
    done = run(SCRIPT, *words, "--want", "80", "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_layer_with_an_absurd_range_is_the_dearest(ncnn):
    by_layer = {cost["layer"]: cost for cost in ncnn["costs"]}
    assert len(by_layer) == 26
    planted = by_layer.pop(READER)
    others = by_layer.values()
    assert planted["alone"]["error"] > 3 * max(cost["alone"]["error"] for cost in others)
    assert planted["without"]["error"] < min(cost["without"]["error"] for cost in others) / 2
    # The simulation is of the same arithmetic as the file.
    assert ncnn["execution"] == "native"
    assert ncnn["everything"]["error"] == pytest.approx(ncnn["file"]["error"], rel=0.15)


def test_the_shortest_list_is_that_layer_and_its_file_agrees_as_it_says(ncnn, run):
    found = ncnn["shortest"]
    assert found["keep_float"] == [READER]
    assert (found["want"], found["execution"]) == (0.8, "native")
    low, high = found["agreement_ci95"]
    assert low <= found["agreement"] <= high
    assert found["agreement"] >= 0.8 > found["attempts"][0]["agreement"]

    # Meanwhile the file is the one that it was; one with that layer in float is as was said.
    lies = run.folder / "build" / "SqueezeNet1_1" / "ncnn" / "int8"
    assert ncnn["files"] == {name: files.sha256(lies / name) for name in ncnn["files"]}
    words = ("--target", "ncnn", "--precision", "int8", "--json", "--keep-float", READER)
    validated = json.loads(run("deploy/validate.py", *words).stdout)
    assert validated["drift"]["agreement"] == found["agreement"]


@pytest.mark.parametrize("want", ["0", "101", "-5", "much", "nan"])
def test_a_wish_that_is_no_share_is_refused(command, want):
    words = ("--model", "SqueezeNet1_1", "--target", "ncnn", f"--want={want}")
    assert_refused(command(SCRIPT, *words), want, "percent")


def test_fp32_has_nothing_to_blame(command):
    words = ("--model", "SqueezeNet1_1", "--target", "onnx", "--precision", "fp32", "--blame")
    assert_refused(command(SCRIPT, *words), "onnx in fp32 computes as Paddle does")
