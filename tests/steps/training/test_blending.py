"""The weights of a blend, and its predictions of rows that had no part in their choice."""

import numpy as np
import pytest

from steps.evaluation.statistics import Resampling, by_row
from steps.training.blending import cross_fitted, mean, weigh

RNG = np.random.default_rng(0)
TRUTH = RNG.normal(size=600)
FIRST, SECOND, POOR = (TRUTH + RNG.normal(size=600) * spread for spread in (0.5, 0.5, 5))


def error(prediction):
    return np.mean((prediction - TRUTH) ** 2)


def test_two_models_with_errors_of_their_own_share_the_weight_and_a_poor_one_gets_none():
    weights = weigh(TRUTH, np.stack([FIRST, SECOND, POOR]))
    assert weights == pytest.approx([0.5, 0.5, 0], abs=0.11)
    assert weights.sum() == pytest.approx(1)
    assert error(mean(weights, np.stack([FIRST, SECOND, POOR]))) < 0.6 * error(FIRST)


def test_of_equal_models_the_first_has_all_the_weight():
    assert weigh(TRUTH, np.stack([FIRST, FIRST])).tolist() == [1, 0]


def test_probabilities_are_weighed_by_their_log_loss():
    truth = RNG.integers(0, 3, 900)
    raw = [np.eye(3)[truth] + RNG.normal(size=(900, 3)) for _ in range(2)]
    probabilities = np.stack([np.exp(r) / np.exp(r).sum(axis=1, keepdims=True) for r in raw])
    weights = weigh(truth, probabilities)
    losses = [-np.log(p[np.arange(900), truth]).mean() for p in (*probabilities, mean(weights, probabilities))]
    assert weights == pytest.approx([0.5, 0.5], abs=0.21)
    assert losses[2] < min(losses[:2])
    assert np.allclose(mean(weights, probabilities).sum(axis=1), 1)


def test_a_blend_of_noise_is_not_flattered_by_rows_that_chose_its_weights():
    """Many useless models: the weights that fit these rows best look better than any weights are on other rows."""
    noise = np.stack([RNG.normal(size=40) * 0.5 for _ in range(30)])
    truth = RNG.normal(size=40)
    fitted = mean(weigh(truth, noise), noise)
    honest = cross_fitted(truth, noise, by_row(40, 100, 0))
    assert np.mean((honest - truth) ** 2) > np.mean((fitted - truth) ** 2) + 0.05


def test_rows_that_belong_together_are_blended_with_the_same_weights():
    clusters = np.arange(600) // 3
    blended = cross_fitted(TRUTH, np.stack([FIRST, SECOND]), Resampling(600, 100, 0, clusters=clusters))
    weight = np.round((blended - SECOND) / (FIRST - SECOND), 6).reshape(200, 3)
    assert (weight == weight[:, :1]).all()
    assert cross_fitted(TRUTH, np.stack([FIRST, SECOND]), Resampling(600, 100, 0, clusters=np.zeros(600, int))) is None
