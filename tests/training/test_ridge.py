"""Ridge regression: against the direct solution, in any order of photos, with a sound penalty."""

import math

import numpy as np
import pytest

from common.errors import UserError
from training import ridge


def noisy_classes(n: int, width: int = 12, classes: int = 4, seed: int = 0):
    """Features far from zero that tell classes apart with some noise: [n, width], labels [n]."""
    generator = np.random.default_rng(seed)
    labels = np.arange(n) % classes
    centres = np.random.default_rng(99).standard_normal((classes, width))
    features = 1000 + centres[labels] + 0.7 * generator.standard_normal((n, width))
    return features.astype(np.float32), labels


def moments_of(features: np.ndarray, labels: np.ndarray, batch: int) -> ridge.Moments:
    moments = ridge.Moments(features.shape[1], labels.max() + 1)
    for start in range(0, len(features), batch):
        moments.add(features[start : start + batch], labels[start : start + batch])
    return moments


class TestRidge:
    def test_is_the_direct_solution_of_the_penalised_least_squares(self):
        features, labels = noisy_classes(200)
        held_out = noisy_classes(100, seed=1)
        moments = moments_of(features, labels, 32)
        fitted, penalty = ridge.fit(moments, *held_out)

        x = features.astype(np.float64)
        # Rows of √λ·I penalise the weights; the last column is the bias, which is free.
        root = math.sqrt(penalty * np.trace(moments.scatter) / x.shape[1])
        rows = np.vstack([np.c_[x, np.ones(200)], np.c_[root * np.eye(12), np.zeros(12)]])
        targets = np.vstack([np.eye(4)[labels], np.zeros((12, 4))])
        direct = np.linalg.lstsq(rows, targets, rcond=None)[0]
        np.testing.assert_allclose(fitted.weight, direct[:-1], atol=1e-9)
        np.testing.assert_allclose(fitted.bias, direct[-1], atol=1e-6)

    @pytest.mark.parametrize("batch", [1, 7, 64, 200])
    def test_the_moments_are_the_same_however_the_photos_arrive(self, batch):
        features, labels = noisy_classes(200)
        moments = moments_of(features, labels, batch)
        x, y = features.astype(np.float64), np.eye(4)[labels]
        x, y = x - x.mean(0), y - y.mean(0)
        assert moments.count == 200
        np.testing.assert_allclose(moments.features, features.mean(0, np.float64), rtol=1e-13)
        np.testing.assert_allclose(moments.scatter, x.T @ x, atol=1e-8)
        np.testing.assert_allclose(moments.cross, x.T @ y, atol=1e-9)

    def test_no_photos_change_nothing(self):
        moments = moments_of(*noisy_classes(20), 20)
        before = moments.scatter.copy()
        moments.add(np.zeros((0, 12), np.float32), np.zeros(0, int))
        assert moments.count == 20
        np.testing.assert_array_equal(moments.scatter, before)

    def test_of_equally_good_penalties_the_largest_is_taken(self):
        features, labels = noisy_classes(400, width=2, classes=2)
        features[:, 0] = 100 * labels  # no penalty in the table gets any of these wrong
        assert ridge.fit(moments_of(features, labels, 50), features, labels)[1] == max(
            ridge.PENALTIES
        )

    def test_the_penalty_holds_back_what_only_fits_the_noise(self):
        features, labels = noisy_classes(64, width=60)
        held_out, truth = noisy_classes(1000, width=60, seed=1)
        moments = moments_of(features, labels, 64)
        fitted, penalty = ridge.fit(moments, held_out, truth)
        free = np.linalg.lstsq(moments.scatter, moments.cross, rcond=None)[0]
        unpenalised = (held_out - moments.features) @ free + moments.targets
        assert penalty > min(ridge.PENALTIES)
        chosen = ridge.count_right(fitted.logits(held_out.astype(np.float64)), truth)
        assert chosen > ridge.count_right(unpenalised, truth)

    def test_differences_that_a_lower_precision_would_swallow_are_not_bet_on(self):
        generator = np.random.default_rng(0)
        labels = np.arange(800) % 2
        tiny = 100 + 0.1 * labels  # tells the classes apart without a mistake
        plain = 4.0 * labels + 2 * generator.standard_normal(800)  # with a few
        features = np.stack([tiny, plain], axis=1).astype(np.float32)
        moments = moments_of(features[:400], labels[:400], 100)
        fitted, _ = ridge.fit(moments, features[400:], labels[400:])
        step = features.max() / 127  # of eight bits
        rounded = np.round(features / step) * step
        assert ridge.count_right(fitted.logits(rounded), labels) > 0.75 * 800

    def test_features_that_never_change_are_refused(self):
        moments = moments_of(np.ones((8, 3), np.float32), np.arange(8) % 2, 4)
        with pytest.raises(UserError, match="same for every photo"):
            ridge.fit(moments, np.ones((2, 3), np.float32), np.array([0, 1]))


class TestScale:
    def test_finds_the_factor_that_the_labels_were_drawn_with(self):
        generator = np.random.default_rng(0)
        logits = generator.standard_normal((20_000, 5))
        chances = np.exp(7 * logits) / np.exp(7 * logits).sum(1, keepdims=True)
        labels = (chances.cumsum(1) < generator.random((20_000, 1))).sum(1)
        assert ridge.fit_scale(logits, labels) == pytest.approx(7, rel=0.05)

    def test_one_photo_out_of_all_proportion_does_not_count(self):
        generator = np.random.default_rng(0)
        labels = np.arange(300) % 3
        logits = np.eye(3)[labels] + generator.standard_normal((300, 3))
        expected = ridge.fit_scale(logits, labels)
        logits, labels = np.vstack([logits, [[-1e4, 0, 1e4]]]), np.append(labels, 0)
        assert ridge.fit_scale(logits, labels) == pytest.approx(expected)

    def test_stays_finite_where_every_photo_is_right(self):
        logits = np.eye(3)[np.arange(30) % 3]
        factor = ridge.fit_scale(logits, np.arange(30) % 3)
        # All alike: the probability of the right class comes out as its credit, (n + 1)/(n + 2).
        right = math.exp(factor) / (math.exp(factor) + 2)
        assert right == pytest.approx(31 / 32, abs=1e-4)
