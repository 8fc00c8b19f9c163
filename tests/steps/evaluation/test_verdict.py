"""A comparison says what its interval holds: better, not worse within a margin, worse, or that nobody can tell."""

import numpy as np
import pytest

from model_code import metrics, tasks
from steps.evaluation.intervals import quantile
from steps.evaluation.slices import Part
from steps.evaluation.statistics import Measure, Sampled, bootstrap, by_row
from steps.evaluation.verdict import compare, key_of, weaker


def compared(low, high, margin, task="binary-classification"):
    """Compare a model whose metric differs from the champion's by an interval from low to high."""
    task = tasks.get(task)
    half = (high - low) / 2
    draws = half / quantile(1000) * np.tile([-1.0, 1.0], 200) * (1 - 1 / 1000) ** 0.5  # whose interval reaches so far
    sampled = {
        key_of(task.headline, None): Sampled(0.8 + (low + high) / 2, 0.8 + draws, 1000),
        key_of(task.headline, None, "champion"): Sampled(0.8, np.full(400, 0.8), 1000),
    }
    return compare(task, sampled, "champion", 1000, margin)


@pytest.mark.parametrize(
    ("low", "high", "margin", "outcome", "rows"),
    [
        (0.01, 0.03, 0.0, "better", None),
        (-0.01, 0.03, 0.0, "cannot tell", 4000),
        (-0.01, 0.03, 0.02, "not worse", None),
        (-0.03, 0.05, 0.02, "cannot tell", 1800),  # to exclude -0.02 takes fewer rows than to exclude 0
        (-0.03, -0.01, 0.0, "worse", None),
        (-0.03, -0.01, 0.05, "not worse", None),
        (0.0, 0.0, 0.0, "not worse", None),
        (np.nan, np.nan, 0.5, "cannot tell", None),
    ],
)
def test_better_not_worse_and_cannot_tell_are_by_the_ends_of_the_interval(low, high, margin, outcome, rows):
    comparison = compared(low, high, margin)
    assert (comparison.outcome, comparison.margin, comparison.rows_to_decide) == (outcome, margin, rows)


def slices_of(right, groups, seed):
    """Return parts of the rows by group, and the model's sampled accuracy on each and on all rows."""
    parts = [Part("g", str(group), np.flatnonzero(groups == group)) for group in np.unique(groups)]
    measures = {key_of("accuracy", None): Measure(metrics.average(right))}
    measures |= {key_of("accuracy", part): Measure(metrics.average(right[part.rows]), part.rows) for part in parts}
    return parts, bootstrap(measures, by_row(len(right), 200, seed))


SEVERAL = tasks.get("multiclass-classification")


def test_of_many_slices_that_are_alike_hardly_ever_one_is_called_weaker():
    random, alarms, apart = np.random.default_rng(0), 0, 0
    for seed in range(60):
        right, groups = random.random(1200) < 0.8, random.integers(0, 20, 1200)
        parts, sampled = slices_of(right, groups, seed)
        alarms += any(weaker(SEVERAL, parts, sampled).values())
        apart += any(sampled[key_of("accuracy", part)].estimate().high < right.mean() for part in parts)
    assert alarms <= 8  # 3 expected
    assert apart > 15  # one interval at a time accuses somebody in every third evaluation or more


def test_a_slice_that_is_much_worse_is_called_weaker_and_a_small_or_constant_one_never():
    random = np.random.default_rng(1)
    groups = np.repeat(np.arange(10), 120)
    right = random.random(1200) < np.where(groups == 3, 0.55, 0.85)
    parts, sampled = slices_of(right, groups, 0)
    assert [key for key, weak in weaker(SEVERAL, parts, sampled).items() if weak] == [key_of("accuracy", parts[3])]
    few, sampled = slices_of(np.arange(40) >= 20, np.repeat([0, 1], 20), 0)
    assert weaker(SEVERAL, few, sampled) == {}
    assert weaker(SEVERAL, [], sampled) == {}
