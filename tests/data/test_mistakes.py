"""The known ways to prepare photos wrongly: each is another input, and none is the right one."""

import itertools

import numpy as np
import pytest

from data import mistakes
from data.preprocess import Preprocess
from models.registry import MODELS

PHOTO = np.random.default_rng(3).integers(0, 256, (300, 400, 3), np.uint8)
PREPROCESSES = list(dict.fromkeys(spec.preprocess for spec in MODELS.values()))


def right(preprocess):
    return preprocess.normalize(preprocess.crop_photo(PHOTO)[None])


@pytest.mark.parametrize("preprocess", PREPROCESSES, ids=str)
def test_without_a_mistake_a_photo_is_what_the_network_takes(preprocess):
    assert np.array_equal(mistakes.prepared(PHOTO, preprocess, ()), right(preprocess)[0])
    assert np.array_equal(mistakes.received(right(preprocess), ()), right(preprocess))


@pytest.mark.parametrize("preprocess", PREPROCESSES, ids=str)
def test_each_mistake_is_another_input(preprocess):
    of_photos = mistakes.of_photos(preprocess)
    made = [mistakes.prepared(PHOTO, preprocess, one) for one in mistakes.singles(of_photos)]
    of_inputs = mistakes.singles(mistakes.of_inputs(preprocess))
    received = [mistakes.received(right(preprocess), one) for one in of_inputs]
    for inputs in ([right(preprocess)[0], *made], [right(preprocess), *received]):
        assert {one.shape for one in inputs} == {inputs[0].shape}
        assert {one.dtype for one in inputs} == {np.dtype(np.float32)}
        assert all(not np.array_equal(*two) for two in itertools.combinations(inputs, 2))
    words = [one.words for one in of_photos]
    assert len(set(words)) == len(words)


def test_what_they_do():
    preprocess = Preprocess()
    found = {one.words: one for one in mistakes.of_photos(preprocess)}
    bgr = mistakes.prepared(PHOTO, preprocess, (found["BGR for RGB"],))
    assert np.array_equal(bgr, mistakes.prepared(PHOTO[:, :, ::-1].copy(), preprocess, ()))
    raw = mistakes.prepared(PHOTO, preprocess, (found["no normalisation (0 … 255)"],))
    assert np.array_equal(raw, preprocess.crop_photo(PHOTO).transpose(2, 0, 1))
    short = mistakes.prepared(PHOTO, preprocess, (found["short side 224 for 256"],))
    assert np.array_equal(short, mistakes.prepared(PHOTO, Preprocess(resize_short=224), ()))


def test_two_are_of_different_parts():
    found = mistakes.of_photos(Preprocess())
    both = mistakes.pairs(found)
    assert all(one.part != other.part for one, other in both)
    pair = next(two for two in both if {one.part for one in two} == {"size", "values"})
    made = mistakes.prepared(PHOTO, Preprocess(), pair)
    alone = [mistakes.prepared(PHOTO, Preprocess(), (one,)) for one in pair]
    assert not any(np.array_equal(made, one) for one in alone)
