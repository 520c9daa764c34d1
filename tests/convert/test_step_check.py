"""The check after every step: what counts as the same logits, and what does not."""

import numpy as np
import pytest

from common.errors import StepError
from convert import step_check

LOGITS = np.random.default_rng(5).standard_normal((8, 10)).astype(np.float32)


def moved(row: int, by: float) -> np.ndarray:
    """LOGITS, one image's first logit moved by a share of that image's largest."""
    logits = LOGITS.copy()
    logits[row, 0] += by * np.abs(LOGITS[row]).max()
    return logits


def test_a_difference_is_a_share_of_the_images_largest_logit():
    assert step_check.check("a step", LOGITS, moved(3, 5e-4), "fp32") == pytest.approx(
        5e-4, rel=1e-2
    )


@pytest.mark.parametrize(("row", "batch"), [(0, 1), (2, 2), (7, 5)])
def test_too_large_a_difference_names_the_batch(row, batch):
    with pytest.raises(StepError, match=rf"a step: differs .* by 0\.002 .*at batch {batch}$"):
        step_check.check("a step", LOGITS, moved(row, 2e-3), "fp32")
    assert step_check.check("a step", LOGITS, moved(row, 2e-3), "fp16") == pytest.approx(
        2e-3, rel=1e-2
    )


def test_an_image_that_a_last_relu_leaves_no_logits_is_held_against_the_others():
    before, after = LOGITS.copy(), LOGITS.copy()
    before[4] = after[4] = 0
    assert step_check.check("a step", before, after, "fp32") == 0
    after[4, 0] = 0.1
    with pytest.raises(StepError, match="differs"):
        step_check.check("a step", before, after, "fp32")


def test_nothing_can_be_compared_with_zeros():
    with pytest.raises(StepError, match="the step before gives only zeros"):
        step_check.check("a step", np.zeros_like(LOGITS), LOGITS, "fp32")


def test_another_class_count_and_infinite_logits_are_errors():
    with pytest.raises(StepError, match=r"gives logits \(8, 9\), the step before \(8, 10\)"):
        step_check.check("a step", LOGITS, LOGITS[:, :9], "fp32")
    with pytest.raises(StepError, match="gives 1 non-finite logits"):
        step_check.check("a step", LOGITS, moved(1, np.inf), "fp32")


@pytest.mark.parametrize("precision", step_check.LIMITS)
def test_logits_of_zero_are_wrong_in_every_precision(precision):
    with pytest.raises(StepError, match="differs"):
        step_check.check("a step", LOGITS, np.zeros_like(LOGITS), precision)
