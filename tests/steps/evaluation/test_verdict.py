"""A comparison says what its interval holds: better, not worse within a margin, worse, or that nobody can tell."""

import numpy as np
import pytest

from model_code import tasks
from steps.evaluation.statistics import Sampled
from steps.evaluation.verdict import compare, key_of


def compared(low, high, margin, task="binary-classification"):
    """Compare a model whose metric differs from the champion's by an interval from low to high."""
    task = tasks.get(task)
    draws = np.linspace(
        low - (high - low) / 38, high + (high - low) / 38, 401
    )  # whose 2.5 and 97.5 % quantiles are the ends
    sampled = {
        key_of(task.headline, None): Sampled(0.8 + (low + high) / 2, 0.8 + draws),
        key_of(task.headline, None, "champion"): Sampled(0.8, np.full(401, 0.8)),
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
