"""Which tensors of a small Paddle network can be scaled together."""

import pytest

from runtimes.worker import Worker


def found(name: str) -> dict:
    with Worker("main", "stretches") as worker:
        return worker.call("tests.convert.programs:find", name=name)


def test_convolutions_sums_and_pooling_are_one_stretch():
    # Three biases, and a batch norm's mean and bias; the last layer's bias stays.
    assert found("homogeneous") == {
        "stretches": 1,
        "changed": ["first", "last"],
        "scaled_shifts": 5,
    }


@pytest.mark.parametrize("name", ["sigmoid", "softmax", "gelu"])
def test_what_is_not_homogeneous_ends_a_stretch(name):
    assert found(name) == {
        "stretches": 2,
        "changed": ["first", "second", "third", "last"],
        "scaled_shifts": 4,
    }


def test_a_gate_passes_on_the_factor_of_what_it_gates():
    assert found("gate") == {
        "stretches": 1,
        "changed": ["first", "second", "last"],
        "scaled_shifts": 4,
    }


def test_a_product_of_two_free_tensors_is_left_alone():
    assert found("square")["stretches"] == 1  # the one behind it


def test_weights_that_two_layers_share_are_left_alone():
    assert found("shared")["stretches"] == 0
