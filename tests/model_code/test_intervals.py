"""Prediction intervals hold the share of rows that they promise, and are refused where they could not."""

import itertools
import json

import numpy as np
import pytest

from model_code import intervals

LEVELS = (0.5, 0.8, 0.9, 0.95, 0.99)


def draw(rows, seed):
    """A noise that grows with the prediction and has a heavy tail at one side."""
    random = np.random.default_rng(seed)
    prediction = random.uniform(1, 10, rows)
    return prediction + prediction * (random.exponential(size=rows) - 1), prediction


def schema(truth, prediction):
    return json.loads(json.dumps({"classes": [], "intervals": intervals.fit(truth, prediction)}))


@pytest.mark.parametrize("level", LEVELS)
def test_an_interval_holds_the_share_of_rows_that_it_promises(level):
    model = schema(*draw(8000, 0))
    truth, prediction = draw(20000, 1)
    low, high = intervals.ends(model, prediction, level)
    assert np.mean((low <= truth) & (truth <= high)) == pytest.approx(level, abs=0.01)


def test_few_rows_still_give_the_share_that_was_promised_on_average():
    shares = []
    for seed in range(300):
        model = schema(*draw(45, seed))
        truth, prediction = draw(200, 1000 + seed)
        low, high = intervals.ends(model, prediction, 0.95)
        shares.append(np.mean((low <= truth) & (truth <= high)))
    assert 0.945 < np.mean(shares) < 0.975


def test_the_width_follows_the_spread():
    model = schema(*draw(8000, 0))
    low, high = intervals.ends(model, np.array([1.5, 9.5]), 0.9)
    assert (high - low)[1] > 4 * (high - low)[0]
    assert (high - 9.5)[1] > 1.5 * (9.5 - low)[1]  # the tail is at the upper side


def test_intervals_of_a_higher_level_contain_those_of_a_lower_one():
    model, points = schema(*draw(3000, 0)), np.linspace(0, 12, 50)
    ends = [intervals.ends(model, points, level) for level in LEVELS]
    for (low, high), (lower, higher) in itertools.pairwise(ends):
        assert (lower <= low).all()
        assert (high <= higher).all()


def test_rows_with_equal_predictions_have_one_interval():
    truth = np.random.default_rng(0).normal(size=5000)
    model = schema(truth, np.zeros(5000))
    low, high = intervals.ends(model, np.zeros(3), 0.95)
    assert low == pytest.approx([-1.96] * 3, abs=0.15)
    assert high == pytest.approx([1.96] * 3, abs=0.15)


def test_a_level_that_needs_more_rows_is_refused_with_those_that_there_are():
    assert intervals.rows_for(0.95) == 39
    enough, few = schema(*draw(39, 0)), schema(*draw(38, 0))
    intervals.ends(enough, np.zeros(1), 0.95)
    with pytest.raises(ValueError, match=r"no intervals of level 0.95; it has: 0.5, 0.8, 0.9$"):
        intervals.ends(few, np.zeros(1), 0.95)
    with pytest.raises(ValueError, match="none, since 2 validation rows are too few"):
        intervals.ends(schema(*draw(2, 0)), np.zeros(1), 0.95)


def test_a_model_of_classes_and_one_from_before_say_why_they_have_none():
    with pytest.raises(ValueError, match="predicts classes"):
        intervals.ends({"classes": ["a", "b"]}, np.zeros((1, 2)), 0.95)
    with pytest.raises(ValueError, match="train again"):
        intervals.ends({"classes": []}, np.zeros(1), 0.95)
