"""The temperature of a reference: found again where it is known, and what it mends."""

import numpy as np
import pytest

from deploy.verdict.probabilities import (
    NOT_FITTED,
    calibration_error,
    fit_temperature,
    probability,
)
from tests.deploy.verdict.worlds import World


@pytest.mark.parametrize("true", [0.5, 1.0, 2.5])
def test_the_temperature_that_made_the_labels_is_found_again(true):
    photos = World(true, 0).draw(5000, np.random.default_rng(1))
    found = fit_temperature(photos.reference, photos.labels)
    assert found.value == pytest.approx(true, rel=0.04)
    assert found.photos == 5000
    assert found.error < 0.03
    if true != 1:
        assert found.error_at_one > 3 * found.error


def test_probabilities_are_the_softmax_and_survive_large_logits():
    logits = np.array([[1.0, 2.0, 4.0], [1e4, 1e4, -1e4]], np.float32)
    by_hand = np.exp(2 / 2) / (np.exp(1 / 2) + np.exp(2 / 2) + np.exp(4 / 2))
    assert probability(logits, np.array([1, 0]), 2.0) == pytest.approx([by_hand, 0.5])


def test_the_calibration_error_of_a_boast_is_what_it_boasts():
    """Ninety-nine per cent sure of each, and right on every second photo."""
    logits = np.tile([np.log(99), 0.0], (100, 1))
    assert calibration_error(logits, np.arange(100) % 2, 1.0) == pytest.approx(0.49)


def test_photos_without_finite_logits_do_not_count():
    logits = np.array([[0.0, np.inf], [np.nan, 0.0]], np.float32)
    assert fit_temperature(logits, np.array([0, 1])) == NOT_FITTED
