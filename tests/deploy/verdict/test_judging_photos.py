"""What runs on the photos that judge has to give logits of all of them."""

import numpy as np
import pytest

from common.errors import StepError
from deploy.verdict.judging_photos import require_logits


def test_logits_of_all_photos_are_taken():
    require_logits(np.zeros((2, 10), np.float32), 2, 10, "a file")


@pytest.mark.parametrize("shape", [(20,), (1, 20), (2, 11), (3, 10), (2, 10, 1)])
def test_anything_else_is_a_sentence(shape):
    with pytest.raises(
        StepError, match=r"^a file: the file gives values of shape .* 2 photos of 10"
    ):
        require_logits(np.zeros(shape, np.float32), 2, 10, "a file")
