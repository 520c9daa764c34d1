"""What a server may say of a model, and which of it can be judged."""

import pytest

from common.errors import UserError
from runtimes.served.description import describe
from tests.runtimes.served.played import Played

SERVER = {"name": "triton", "version": "2.51.0", "extensions": ["binary_tensor_data"]}


def described(config=None, **changes):
    played = Played(**{"shape": (-1, 3, 224, 224), "outputs": (("y", (-1, 1000)),), **changes})
    return describe("http://host:80", SERVER, played.metadata(), config or {}, 1000, 224)


def test_tensors_in_and_logits_out():
    found = described()
    assert (found["takes"], found["batch"], found["fixed"]) == ("tensors", 8, False)
    assert (found["input"]["name"], found["output"]) == ("input0", "y")
    assert (found["server"], found["server_version"], found["version"]) == ("triton", "2.51.0", "1")


@pytest.mark.parametrize("shape", [(-1,), (-1, 1), (-1, -1)])
def test_files_in(shape):
    assert described(datatype="BYTES", shape=shape)["takes"] == "photos"


@pytest.mark.parametrize(
    ("shape", "config", "batch", "fixed"),
    [
        ((1, 3, 224, 224), {}, 1, True),
        ((32, 3, 224, 224), {}, 32, True),
        ((-1, 3, 224, 224), {"max_batch_size": 4}, 4, False),
        ((-1, 3, 224, 224), {"max_batch_size": 64}, 8, False),
        ((-1, 3, -1, -1), {"max_batch_size": 0}, 8, False),
    ],
)
def test_how_many_photos_at_a_time(shape, config, batch, fixed):
    found = described(config, shape=shape)
    assert (found["batch"], found["fixed"]) == (batch, fixed)


def test_of_several_outputs_the_one_with_the_classes():
    assert described(outputs=(("features", (-1, 512)), ("y", (-1, 1000, 1, 1))))["output"] == "y"
    assert described(outputs=(("y", (-1, -1)),))["output"] == "y"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"inputs": 2}, r"has 2 inputs \(input0, input1\), and a classifier of photos has one"),
        ({"inputs": 0}, r"has 0 inputs \(none\)"),
        ({"shape": (-1, 224, 224, 3)}, r"channels last: this model has them first"),
        ({"shape": (-1, 3, 256, 256)}, r"this model takes FP32 \[N, 3, 224, 224\]"),
        ({"shape": (-1, 150528)}, r"this model takes FP32"),
        ({"datatype": "UINT8"}, r"UINT8 \[-1, 3, 224, 224\], and this model takes FP32"),
        ({"datatype": "BYTES"}, r"photo files need BYTES \[N\] or \[N, 1\]"),
        ({"outputs": (("y", (-1, 10)),)}, r"has the 1000 classes of this checkpoint \('y' FP32"),
        ({"outputs": ()}, r"\(it has none\)"),
        ({"outputs": (("a", (-1, 1000)), ("b", (-1, 1000)))}, r"several outputs of 1000 classes"),
    ],
)
def test_what_cannot_be_judged_is_a_sentence(changes, said):
    with pytest.raises(UserError, match=said):
        described(**changes)


@pytest.mark.parametrize(
    "wrong", [7, [], {"inputs": [7]}, {"name": "y", "inputs": 7}, {"name": []}]
)
def test_what_is_not_in_the_protocols_form_is_a_sentence(wrong):
    for place in range(3):
        parts = [{"name": "triton"}, {"name": "y"}, {}]
        parts[place] = wrong if place == 1 else 7
        with pytest.raises(UserError, match="does not speak KServe v2"):
            describe("http://host:8000", *parts, 10, 224)
